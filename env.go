package clerkauth

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
)

// publicPrefixes begin the names of variables that front-end tools expose to pages.
var publicPrefixes = []string{"NEXT_PUBLIC_", "VITE_", "EXPO_PUBLIC_", "PUBLIC_"}

const publishableVariable = "CLERK_PUBLISHABLE_KEY"

// FromEnv returns the configuration in Clerk's own environment variables:
// CLERK_PUBLISHABLE_KEY, CLERK_SECRET_KEY, CLERK_MACHINE_SECRET_KEY, CLERK_JWT_KEY,
// CLERK_API_URL ([Config.BackendURL]), CLERK_PROXY_URL, CLERK_SIGN_IN_URL,
// CLERK_SIGN_UP_URL, and CLERK_AUTHORIZED_PARTIES, a list of origins separated by
// commas. [New] checks the values.
//
// If CLERK_PUBLISHABLE_KEY and CLERK_JWT_KEY are not set, the publishable key is read
// from the variables of front-end tools: NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY,
// VITE_CLERK_PUBLISHABLE_KEY, EXPO_PUBLIC_CLERK_PUBLISHABLE_KEY or
// PUBLIC_CLERK_PUBLISHABLE_KEY. If these differ, New returns an error unless
// [Config.PublishableKey], [Config.JWTKey] or [Config.Issuers] has been set. A key that
// was read from them is not used beside a JWTKey or Issuers.
func FromEnv() Config {
	c := Config{
		PublishableKey: os.Getenv(publishableVariable),
		SecretKey:      NewSecret(os.Getenv("CLERK_SECRET_KEY")),
		JWTKey:         os.Getenv("CLERK_JWT_KEY"),
		Machines:       MachineConfig{SecretKey: NewSecret(os.Getenv("CLERK_MACHINE_SECRET_KEY"))},
		BackendURL:     os.Getenv("CLERK_API_URL"),
		Browser:        BrowserConfig{ProxyURL: os.Getenv("CLERK_PROXY_URL"), SignInURL: os.Getenv("CLERK_SIGN_IN_URL"), SignUpURL: os.Getenv("CLERK_SIGN_UP_URL")},
	}
	c.frontEnd = findFrontEndKey(c.PublishableKey)
	if c.PublishableKey == "" && c.JWTKey == "" && len(c.frontEnd.others) == 0 {
		c.PublishableKey = c.frontEnd.key
	}
	if list := os.Getenv("CLERK_AUTHORIZED_PARTIES"); list != "" {
		c.AuthorizedParties = []string{} // New rejects an empty list
		for party := range strings.SplitSeq(list, ",") {
			if party = strings.TrimSpace(party); party != "" {
				c.AuthorizedParties = append(c.AuthorizedParties, party)
			}
		}
	}
	return c
}

// frontEndKey is the publishable key in the variables of front-end tools, and in
// CLERK_PUBLISHABLE_KEY.
type frontEndKey struct {
	plain  string   // the value of CLERK_PUBLISHABLE_KEY
	name   string   // the first front-end variable that is set
	key    string   // its value
	others []string // the front-end variables with another value
}

func findFrontEndKey(plain string) *frontEndKey {
	f := &frontEndKey{plain: plain}
	for _, prefix := range publicPrefixes {
		name := prefix + publishableVariable
		switch key := os.Getenv(name); {
		case key == "" || key == f.key:
		case f.key == "":
			f.name, f.key = name, key
		default:
			f.others = append(f.others, name)
		}
	}
	return f
}

// instance returns the instance of the publishable key, or nil if there is no key or it
// is invalid.
func (c Config) instance(log *slog.Logger, wrong *mistakes) *instance {
	f := cmp.Or(c.frontEnd, &frontEndKey{})
	field, key := "PublishableKey", c.PublishableKey
	fromFrontEnd := f.plain == "" && f.key != "" && key == f.key
	switch {
	case fromFrontEnd && (c.JWTKey != "" || len(c.Issuers) > 0):
		key = "" // it must not add an issuer to those that are configured
	case fromFrontEnd:
		field += " (" + f.name + ")"
	case key == "" && len(f.others) > 0 && c.JWTKey == "" && len(c.Issuers) == 0:
		wrong.add(field, fmt.Errorf("%s and %s differ: set CLERK_PUBLISHABLE_KEY to the one that this server is for",
			f.name, strings.Join(f.others, ", ")))
		return nil
	case key != "" && key == f.plain && f.key != "" && (key != f.key || len(f.others) > 0):
		names := slices.Clone(f.others)
		if key != f.key {
			names = append([]string{f.name}, names...)
		}
		log.Warn("clerkauth: CLERK_PUBLISHABLE_KEY is used; front ends' variables hold another key, so that their users' tokens may be of another instance",
			"variables", names)
	}
	if key != "" {
		i, err := parsePublishableKey(key)
		wrong.add(field, err)
		if err != nil {
			return nil
		}
		return &i
	}
	if len(c.Issuers) == 0 {
		text := "it is missing: set CLERK_PUBLISHABLE_KEY, or name the Issuers"
		if f.key != "" {
			text += "; beside CLERK_JWT_KEY, " + f.name + " is not used"
		} else if !c.SecretKey.IsZero() {
			text += "; it stands beside the secret key on the API keys page of Clerk's dashboard, and in your front end's environment"
		}
		wrong.add(field, errors.New(text))
	}
	return nil
}
