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

// publicPrefixes are what front ends put before the names of variables that their
// pages may see.
var publicPrefixes = []string{"NEXT_PUBLIC_", "VITE_", "EXPO_PUBLIC_", "PUBLIC_"}

const publishableVariable = "CLERK_PUBLISHABLE_KEY"

// FromEnv returns the configuration in Clerk's own environment variables:
// CLERK_PUBLISHABLE_KEY, CLERK_SECRET_KEY, CLERK_MACHINE_SECRET_KEY,
// CLERK_JWT_KEY, CLERK_API_URL, CLERK_PROXY_URL, CLERK_SIGN_IN_URL,
// CLERK_SIGN_UP_URL, and CLERK_AUTHORIZED_PARTIES, which is a list of origins
// separated by commas. What they hold is checked by [New].
//
// Where there is neither CLERK_PUBLISHABLE_KEY nor CLERK_JWT_KEY, and no
// [Config.Issuers] are set before New, the publishable key is taken from the name
// that a front end gives it: NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY,
// VITE_CLERK_PUBLISHABLE_KEY, EXPO_PUBLIC_CLERK_PUBLISHABLE_KEY or
// PUBLIC_CLERK_PUBLISHABLE_KEY. Two of these that differ are an error of New.
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
		c.AuthorizedParties = []string{} // a list without an origin is a mistake
		for party := range strings.SplitSeq(list, ",") {
			if party = strings.TrimSpace(party); party != "" {
				c.AuthorizedParties = append(c.AuthorizedParties, party)
			}
		}
	}
	return c
}

// frontEndKey is the publishable key in the environment under names of front ends,
// and the key itself beside them.
type frontEndKey struct {
	plain  string   // of CLERK_PUBLISHABLE_KEY
	name   string   // of the first variable that holds one
	key    string   // what it holds
	others []string // names of those that hold another
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

// instance returns the instance that the publishable key names; nil if there is none
// or it is wrong.
func (c Config) instance(log *slog.Logger, wrong *mistakes) *instance {
	f := cmp.Or(c.frontEnd, &frontEndKey{})
	field, key := "PublishableKey", c.PublishableKey
	fromFrontEnd := f.plain == "" && f.key != "" && key == f.key
	switch {
	case fromFrontEnd && (c.JWTKey != "" || len(c.Issuers) > 0):
		key = "" // a front end's key adds no issuer to those that are named
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
