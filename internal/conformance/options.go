package main

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/clerkauth/clerkauth"
)

// unsayable is an option of the SDK that Config has no way to say, so that there
// is no configuration for the case.
type unsayable struct{ option string }

func (u unsayable) Error() string { return u.option + " cannot be configured" }

// optionTable says what each option of the SDK's authenticateRequest is in our
// Config. What is not in it is unsayable, so that nothing is let in because a
// restriction was overlooked.
var optionTable = map[string]func(*clerkauth.Config, any) error{
	"publishableKey": func(c *clerkauth.Config, v any) error { return readText(v, &c.PublishableKey) },
	"jwtKey":         func(c *clerkauth.Config, v any) error { return readText(v, &c.JWTKey) },
	"signInUrl":      func(c *clerkauth.Config, v any) error { return readText(v, &c.SignInURL) },
	"signUpUrl":      func(c *clerkauth.Config, v any) error { return readText(v, &c.SignUpURL) },
	"secretKey": func(c *clerkauth.Config, v any) error {
		var s string
		err := readText(v, &s)
		c.SecretKey = clerkauth.NewSecret(s)
		return err
	},
	"apiUrl": func(c *clerkauth.Config, v any) error {
		err := readText(v, &c.BackendURL)
		c.BackendURL = strings.ReplaceAll(c.BackendURL, "{{BAPI}}", backendOrigin)
		return err
	},
	"authorizedParties": func(c *clerkauth.Config, v any) error { return readList(v, &c.AuthorizedParties) },
	"audience":          func(c *clerkauth.Config, v any) error { return readList(v, &c.Audience) },
	"issuer":            func(c *clerkauth.Config, v any) error { return readList(v, &c.Issuers) },
	"clockSkewInMs":     clockSkew,
	"acceptsToken":      acceptsToken,
	"apiVersion":        nothingBut("v1"),

	// Browser flows are not there yet.
	"isSatellite":             nothingBut(false),
	"domain":                  nothingBut(""),
	"proxyUrl":                nothingBut(""),
	"organizationSyncOptions": noPatterns,
	"satelliteAutoSync":       ignored, // it means nothing but on a satellite

	// These change no decision: a key of machines, who are not there yet, and
	// what an Authenticator of its own for each request does.
	"machineSecretKey": ignored,
	"skipJwksCache":    ignored,
}

// configure translates options.
func configure(options map[string]any) (clerkauth.Config, error) {
	var c clerkauth.Config
	for _, name := range slices.Sorted(maps.Keys(options)) {
		value := options[name]
		if value == nil {
			continue // as good as absent
		}
		set, ok := optionTable[name]
		if !ok || set(&c, value) != nil {
			return c, unsayable{name}
		}
	}
	c.AnyParty = len(c.AuthorizedParties) == 0
	// The SDK's issuers are all there are; ours are more than the publishable
	// key's. Who does not want that one leaves the key out.
	if own, ok := keyIssuer(c.PublishableKey); ok && len(c.Issuers) > 0 && !slices.Contains(c.Issuers, own) {
		c.PublishableKey = ""
	}
	return c, nil
}

func readText(v any, into *string) error {
	s, ok := v.(string)
	if !ok {
		return fmt.Errorf("%T is no string", v)
	}
	*into = s
	return nil
}

// readList reads a list of strings, or one string, which is the nearest to a list.
func readList(v any, into *[]string) error {
	switch v := v.(type) {
	case string:
		if v != "" {
			*into = []string{v}
		}
		return nil
	case []any:
		for _, e := range v {
			var s string
			if err := readText(e, &s); err != nil {
				return err
			}
			*into = append(*into, s)
		}
		return nil
	}
	return fmt.Errorf("%T is no list", v)
}

func clockSkew(c *clerkauth.Config, v any) error {
	ms, ok := v.(float64)
	if !ok {
		return fmt.Errorf("%T is no number", v)
	}
	c.ClockSkew = time.Duration(max(min(ms*float64(time.Millisecond), math.MaxInt64/2), math.MinInt64/2))
	if c.ClockSkew == 0 {
		c.ClockSkew = clerkauth.NoClockSkew
	}
	return nil
}

// acceptsToken knows session tokens alone. More kinds are nearest to those; none
// of them is unsayable.
func acceptsToken(_ *clerkauth.Config, v any) error {
	var kinds []string
	if err := readList(v, &kinds); err != nil {
		return err
	}
	if slices.Contains(kinds, "session_token") || v == "any" {
		return nil
	}
	return fmt.Errorf("%v has no session token", v)
}

// nothingBut is for an option that we have in one way alone.
func nothingBut(want any) func(*clerkauth.Config, any) error {
	return func(_ *clerkauth.Config, v any) error {
		if v != want {
			return fmt.Errorf("it is not %v", want)
		}
		return nil
	}
}

func noPatterns(_ *clerkauth.Config, v any) error {
	if patterns, ok := v.(map[string]any); !ok || len(patterns) > 0 {
		return errors.New("there are patterns")
	}
	return nil
}

func ignored(*clerkauth.Config, any) error { return nil }
