package clerkauth

import (
	"cmp"
	"errors"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"github.com/clerkauth/clerkauth/internal/clerkkey"
)

// FromEnv returns the configuration in Clerk's own environment variables:
// CLERK_PUBLISHABLE_KEY, CLERK_SECRET_KEY, CLERK_MACHINE_SECRET_KEY, CLERK_JWT_KEY,
// CLERK_API_URL ([Config.BackendURL]), CLERK_PROXY_URL, CLERK_DOMAIN, CLERK_IS_SATELLITE
// (true or a positive integer), CLERK_SIGN_IN_URL, CLERK_SIGN_UP_URL, and CLERK_AUTHORIZED_PARTIES, a list of origins separated by
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
		PublishableKey: os.Getenv(clerkkey.PublishableVariable),
		SecretKey:      NewSecret(os.Getenv("CLERK_SECRET_KEY")),
		JWTKey:         os.Getenv("CLERK_JWT_KEY"),
		Machines:       MachineConfig{SecretKey: NewSecret(os.Getenv("CLERK_MACHINE_SECRET_KEY"))},
		BackendURL:     os.Getenv("CLERK_API_URL"),
		Browser: BrowserConfig{
			ProxyURL: os.Getenv("CLERK_PROXY_URL"), Domain: os.Getenv("CLERK_DOMAIN"), Satellite: isTrue(os.Getenv("CLERK_IS_SATELLITE")),
			SignInURL: os.Getenv("CLERK_SIGN_IN_URL"), SignUpURL: os.Getenv("CLERK_SIGN_UP_URL"),
		},
	}
	c.frontEnd = clerkkey.FindFrontEnd(c.PublishableKey)
	if c.PublishableKey == "" && c.JWTKey == "" && len(c.frontEnd.Others) == 0 {
		c.PublishableKey = c.frontEnd.Key
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

// isTrue reports whether a variable of Clerk's says true.
func isTrue(value string) bool {
	n, err := strconv.Atoi(value)
	return strings.EqualFold(value, "true") || err == nil && n > 0
}

// instance returns the instance of the publishable key, or nil if there is no key or it
// is invalid.
func (c Config) instance(log *slog.Logger, wrong *mistakes) *clerkkey.Instance {
	f := cmp.Or(c.frontEnd, &clerkkey.FrontEnd{})
	chosen, err := f.Choose(c.PublishableKey, c.JWTKey != "" || len(c.Issuers) > 0)
	if len(chosen.Differing) > 0 {
		log.Warn("clerkauth: CLERK_PUBLISHABLE_KEY is used; front ends' variables hold another key, so that their users' tokens may be of another instance",
			"variables", chosen.Differing)
	}
	field := "PublishableKey"
	if chosen.Name != "" {
		field += " (" + chosen.Name + ")"
	}
	switch {
	case err != nil:
		wrong.add(field, err)
	case chosen.Key != "":
		i, err := clerkkey.ParsePublishable(chosen.Key)
		if err == nil {
			return &i
		}
		wrong.add(field, err)
	case len(c.Issuers) == 0:
		text := "it is missing: set CLERK_PUBLISHABLE_KEY, or name the Issuers"
		if f.Key != "" {
			text += "; beside CLERK_JWT_KEY, " + f.Name + " is not used"
		} else if !c.SecretKey.IsZero() {
			text += "; it stands beside the secret key on the API keys page of Clerk's dashboard, and in your front end's environment"
		}
		wrong.add(field, errors.New(text))
	}
	return nil
}
