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
	"signInUrl":      func(c *clerkauth.Config, v any) error { return readText(v, &c.Browser.SignInURL) },
	"signUpUrl":      func(c *clerkauth.Config, v any) error { return readText(v, &c.Browser.SignUpURL) },
	"secretKey": func(c *clerkauth.Config, v any) error {
		var s string
		err := readText(v, &s)
		c.SecretKey = clerkauth.NewSecret(s)
		return err
	},
	"machineSecretKey": func(c *clerkauth.Config, v any) error {
		var s string
		err := readText(v, &s)
		c.Machines.SecretKey = clerkauth.NewSecret(s)
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

	"skipJwksCache": ignored, // an Authenticator of its own for each request does it
}

// configure translates options.
func configure(options map[string]any) (clerkauth.Config, error) {
	var c clerkauth.Config
	for _, name := range slices.Sorted(maps.Keys(options)) {
		value := options[name]
		if value == nil || pointless(options, name) {
			continue // as good as absent
		}
		set, ok := optionTable[name]
		if !ok || set(&c, value) != nil {
			return c, unsayable{name}
		}
	}
	c.InsecureAnyParty = len(c.AuthorizedParties) == 0
	// The SDK's issuers are all there are; ours are more than the publishable
	// key's. Who does not want that one leaves the key out.
	if own, ok := keyIssuer(c.PublishableKey); ok && len(c.Issuers) > 0 && !slices.Contains(c.Issuers, own) {
		c.PublishableKey = ""
	}
	return c, nil
}

// pointless tells whether an option means nothing beside others: the version of the
// Backend API is in the path of keys alone, and nobody is sent to another domain
// for a machine-to-machine token.
func pointless(options map[string]any, name string) bool {
	switch name {
	case "apiVersion":
		return truthy(options["jwtKey"])
	case "isSatellite", "domain", "proxyUrl":
		return options["acceptsToken"] == string(clerkauth.M2MToken)
	}
	return false
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

// allKinds are the kinds of credentials that there are.
var allKinds = append([]clerkauth.TokenType{clerkauth.SessionToken}, machineKinds...)

// acceptsToken leaves out what is no kind; if there is nothing else, it is
// unsayable.
func acceptsToken(c *clerkauth.Config, v any) error {
	if c.Accept = acceptedKinds(v); len(c.Accept) == 0 {
		return fmt.Errorf("%v names no kind", v)
	}
	return nil
}

// acceptedKinds returns the kinds that a value of the option names: the one that
// it is, those that are in it, or any.
func acceptedKinds(v any) []clerkauth.TokenType {
	if v == "any" {
		return allKinds
	}
	list, isList := v.([]any)
	if !isList {
		list = []any{v}
	}
	var kinds []clerkauth.TokenType
	for _, kind := range allKinds {
		if slices.Contains(list, any(string(kind))) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// accepted returns the kinds that a case accepts.
func (c *authCase) accepted() []clerkauth.TokenType {
	if c.Options["acceptsToken"] == nil {
		return []clerkauth.TokenType{clerkauth.SessionToken}
	}
	return acceptedKinds(c.Options["acceptsToken"])
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
