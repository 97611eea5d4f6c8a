package main

import (
	"encoding/pem"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/clerkauth/clerkauth"
)

// refusedAtStart reports whether the options have an error that New reports and the SDK
// does not.
func refusedAtStart(r *reading) bool {
	key, secret, kind := r.text("publishableKey"), r.text("secretKey"), "test_"
	if strings.HasPrefix(key, "pk_live_") {
		kind = "live_"
	}
	notURL := func(s string) bool {
		u, err := url.Parse(s)
		return err != nil || u.Host == "" || strings.HasSuffix(s, "/") || u.RawQuery != "" || u.Fragment != "" || u.User != nil
	}
	notPage := func(s string) bool { return s != "" && s[0] != '/' && notURL(strings.TrimRight(s, "/")) }
	blank := func(c rune) bool { return c <= ' ' || c > '~' }
	own, isKey := keyIssuer(key)
	machine := r.text("machineSecretKey")
	return machine != "" && !strings.HasPrefix(machine, "ak_") || isKey && !hostPattern.MatchString(own) ||
		!strings.HasPrefix(strings.TrimPrefix(secret, "sk_"), kind) ||
		strings.ContainsFunc(key+secret+machine+r.text("signInUrl")+r.text("signUpUrl"), blank) ||
		notPage(r.text("signInUrl")) || notPage(r.text("signUpUrl")) ||
		slices.Contains(r.list("audience"), "") || slices.ContainsFunc(r.list("issuer"), notURL)
}

// hostPattern matches an issuer whose host is a plain name.
var hostPattern = regexp.MustCompile(`(?i)\Ahttps://` + label + `(\.` + label + `)+(:[0-9]{1,5})?\z`)

// refusedProxy reports whether New rejects the proxy of the Frontend API: its scheme is not
// https, unless it is on this machine, or it has more than a plain path.
func refusedProxy(r *reading) bool {
	c, err := configure(r.authCase)
	if err != nil || c.Browser.ProxyURL == "" {
		return false
	}
	text := c.Browser.ProxyURL
	if strings.HasPrefix(text, "/") {
		text = c.Browser.PublicOrigin + text
	}
	u, ok := parseAddress(text)
	name, _, _ := strings.Cut(u.host, ":")
	return !ok || u.user+u.query+u.fragment != "" || !plainHost.MatchString(u.host) ||
		u.scheme != "https" && (u.scheme != "http" || name != "localhost" && name != "127.0.0.1") || strings.Contains(u.path, "//")
}

// refusedPattern reports whether New may reject a pattern of a path for its form.
func refusedPattern(r *reading) bool {
	return !r.badPattern() &&
		slices.ContainsFunc(append(r.syncPatterns("organizationPatterns"), r.syncPatterns("personalAccountPatterns")...), unusual)
}

// unsupportedOption reports whether Config cannot express an option.
func unsupportedOption(r *reading) bool { return r.unsupported != "" }

// partOfParty reports whether the option is a string that may contain azp and does not
// equal it: the SDK searches in it.
func partOfParty(r *reading) bool {
	parties, isText := r.Options["authorizedParties"].(string)
	return isText && r.p["azp"] != parties
}

// origin matches an origin as a browser writes it.
var origin = regexp.MustCompile(`\A([a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]+\]|` + label + `(?:\.` + label + `)*)(:[0-9]+)?\z`)

const label = `[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?`

func inexactOrigin(r *reading) bool {
	return slices.ContainsFunc(r.list("authorizedParties"), func(party string) bool {
		m := origin.FindStringSubmatch(party)
		return m == nil || m[1] == "https" && m[3] == ":443" || m[1] == "http" && m[3] == ":80"
	})
}

func skewOutOfRange(r *reading) bool {
	ms, ok := r.Options["clockSkewInMs"].(float64)
	return ok && (ms < 0 || ms > 5*60*1000)
}

// keyUnreadable reports whether JWTKey is not one PEM block of an RSA public key.
func keyUnreadable(r *reading) bool {
	text := r.text("jwtKey")
	if text == "" {
		return false
	}
	text = strings.TrimSpace(strings.ReplaceAll(text, `\n`, "\n"))
	block, rest := pem.Decode([]byte(text))
	key, ok := pemKey(text)
	return block == nil || len(rest) > 0 || !ok || key.N.BitLen() < 2048 || key.N.BitLen() > 8192
}

// keyReadableByUs returns our decisions where the SDK misreads JWTKey: it takes the text
// between two constants for the modulus, and rejects every signature.
func keyReadableByUs(r *reading) []clerkauth.Reason {
	text := r.text("jwtKey")
	if text == "" || !r.signed() {
		return nil
	}
	if sdkReadable(text) {
		return nil
	}
	return r.due()
}

// withoutSecret reports whether the SDK throws only because a secret key is missing.
func withoutSecret(r *reading) bool {
	if r.text("secretKey") != "" || !r.rejects() {
		return false
	}
	with := r.with("secretKey", "sk_test_x")
	return !with.rejects() && with.good()
}

func badRequest(r *reading) bool {
	_, err := httpRequest(r.authCase)
	return err != nil
}

// presented reports whether the SDK finds a token that it decodes. Otherwise it reads
// cookies, or refuses as we do.
func (r *reading) presented() bool { return r.decodes || r.opaque() }

// invalid returns our reasons for a malformed token. Where only machines are accepted, it
// may also be a token of another kind.
func (r *reading) invalid() []clerkauth.Reason {
	if slices.Contains(r.accepted(), clerkauth.SessionToken) {
		return []clerkauth.Reason{clerkauth.ErrTokenInvalid}
	}
	return []clerkauth.Reason{clerkauth.ErrTokenInvalid, clerkauth.ErrTokenType}
}

// whenInvalid is when for a property that makes a token malformed.
func whenInvalid(property func(*reading) bool) func(*reading) []clerkauth.Reason {
	return func(r *reading) []clerkauth.Reason { return when(property, r.invalid()...)(r) }
}

func twoLines(r *reading) bool { return len(r.lines) > 1 && (r.token == "" || r.presented()) }

// bearer splits a single line whose scheme is Bearer in any case.
func (r *reading) bearer() (scheme, rest string) {
	if len(r.lines) != 1 {
		return "", ""
	}
	line := strings.Trim(r.lines[0], " \t")
	if i := strings.IndexAny(line, " \t"); i >= 0 && strings.EqualFold(line[:i], "Bearer") {
		return line[:i], line[i:]
	}
	return "", ""
}

// bearerCase returns our decisions where the SDK does not recognize the scheme: those for
// the token behind it.
func bearerCase(r *reading) []clerkauth.Reason {
	scheme, rest := r.bearer()
	if scheme == "" || scheme == "Bearer" || r.token != "" {
		return nil
	}
	c := *r.authCase
	c.Request.Headers = maps.Clone(c.Request.Headers)
	c.Request.Headers["authorization"] = []string{"Bearer" + rest}
	return newReading(&c, r.cache.clone()).due()
}

func schemeless(r *reading) bool {
	return len(r.lines) == 1 && r.token != "" && strings.HasPrefix(strings.Trim(r.lines[0], " \t"), r.token)
}

func moreThanOneToken(r *reading) bool {
	_, rest := r.bearer()
	return rest != "" && r.presented() && rest != " "+r.token
}

func opaqueKind(r *reading) bool { return r.flow == flowSession && r.opaque() }
