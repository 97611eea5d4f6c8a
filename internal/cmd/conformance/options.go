package main

import (
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/clerkauth/clerkauth"
)

// unsupportedError is the error for an option of the SDK that Config cannot express.
// Such a case has no configuration.
type unsupportedError struct{ option string }

func (u unsupportedError) Error() string { return u.option + " cannot be configured" }

// optionTable maps the options of the SDK's authenticateRequest to our Config. Options
// that are not in it are unsupported, so that no restriction is overlooked.
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

	"isSatellite":             func(c *clerkauth.Config, v any) error { return readFlag(v, &c.Browser.Satellite) },
	"domain":                  func(c *clerkauth.Config, v any) error { return readText(v, &c.Browser.Domain) },
	"proxyUrl":                proxyURL,
	"organizationSyncOptions": organizationSync,
	"satelliteAutoSync": func(c *clerkauth.Config, v any) error {
		c.Browser.SatelliteAutoSync = v == true // as in the SDK, other values do not enable it
		return nil
	},

	"skipJwksCache": ignored, // see clientFor
}

// configure returns our configuration for a case.
func configure(of *authCase) (clerkauth.Config, error) {
	var c clerkauth.Config
	options := of.Options
	for _, name := range slices.Sorted(maps.Keys(options)) {
		value := options[name]
		if value == nil || pointless(options, name) {
			continue // the same as absent
		}
		set, ok := optionTable[name]
		if !ok || set(&c, value) != nil {
			return c, unsupportedError{name}
		}
	}
	c.InsecureAnyParty = len(c.AuthorizedParties) == 0
	// The SDK accepts only the issuers of the option; we also accept the publishable
	// key's. To exclude that one, the key is left out.
	if own, ok := keyIssuer(c.PublishableKey); ok && len(c.Issuers) > 0 && !slices.Contains(c.Issuers, own) {
		c.PublishableKey = ""
	}
	of.place(&c.Browser)
	return c, nil
}

// place configures where the application of a case is: behind a proxy if the case has
// headers of one, at its own origin, and beside the satellite of the corpus.
func (c *authCase) place(b *clerkauth.BrowserConfig) {
	for name := range c.Request.Headers {
		if strings.HasPrefix(name, "x-forwarded-") {
			b.TrustedProxies = []netip.Prefix{netip.PrefixFrom(peer.Addr(), 32)}
		}
	}
	if strings.HasPrefix(b.ProxyURL, "/") {
		b.PublicOrigin = c.publicURL().origin()
	}
	if !b.Satellite {
		b.Satellites = syncTargets
	}
}

// pointless reports whether an option has no effect beside others: the version of the
// Backend API is only in the path of keys, machine-to-machine tokens involve no redirect to
// another domain, and the domain of a satellite is ignored in other applications.
func pointless(options map[string]any, name string) bool {
	switch name {
	case "apiVersion":
		return truthy(options["jwtKey"])
	case "domain":
		return options["acceptsToken"] == string(clerkauth.M2MToken) || options["isSatellite"] != true
	case "isSatellite", "proxyUrl":
		return options["acceptsToken"] == string(clerkauth.M2MToken)
	}
	return false
}

func readText(v any, into *string) error {
	s, ok := v.(string)
	if !ok {
		return fmt.Errorf("%T is not a string", v)
	}
	*into = s
	return nil
}

func readFlag(v any, into *bool) error {
	flag, ok := v.(bool)
	if !ok {
		return fmt.Errorf("%T is not a bool", v)
	}
	*into = flag
	return nil
}

// readList reads a list of strings, or one string as a list.
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
	return fmt.Errorf("%T is not a list", v)
}

func clockSkew(c *clerkauth.Config, v any) error {
	ms, ok := v.(float64)
	if !ok {
		return fmt.Errorf("%T is not a number", v)
	}
	c.ClockSkew = time.Duration(max(min(ms*float64(time.Millisecond), math.MaxInt64/2), math.MinInt64/2))
	if c.ClockSkew == 0 {
		c.ClockSkew = clerkauth.NoClockSkew
	}
	return nil
}

// allKinds are all kinds of credentials.
var allKinds = append([]clerkauth.TokenType{clerkauth.SessionToken}, machineKinds...)

// acceptsToken ignores values that are not kinds. Without any kind, the option is
// unsupported.
func acceptsToken(c *clerkauth.Config, v any) error {
	if c.Accept = acceptedKinds(v); len(c.Accept) == 0 {
		return fmt.Errorf("%v names no kind", v)
	}
	return nil
}

// acceptedKinds returns the kinds in a value of the option: a kind, a list, or "any".
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

// nothingBut is for an option of which we support only one value.
func nothingBut(want any) func(*clerkauth.Config, any) error {
	return func(_ *clerkauth.Config, v any) error {
		if v != want {
			return fmt.Errorf("it is not %v", want)
		}
		return nil
	}
}

// proxyURL adds https:// where there is no scheme, as the SDK does.
func proxyURL(c *clerkauth.Config, v any) error {
	if err := readText(v, &c.Browser.ProxyURL); err != nil {
		return err
	}
	if u := c.Browser.ProxyURL; u != "" && !strings.HasPrefix(u, "http") && !strings.HasPrefix(u, "/") {
		c.Browser.ProxyURL = "https://" + u
	}
	return nil
}

func organizationSync(c *clerkauth.Config, v any) error {
	options, ok := v.(map[string]any)
	if !ok {
		return fmt.Errorf("%T is not an object", v)
	}
	for name, into := range map[string]*[]string{
		"organizationPatterns":    &c.Browser.Organizations.Organizations,
		"personalAccountPatterns": &c.Browser.Organizations.Personal,
	} {
		if options[name] == nil {
			continue
		}
		if err := readList(options[name], into); err != nil {
			return err
		}
	}
	return nil
}

func ignored(*clerkauth.Config, any) error { return nil }
