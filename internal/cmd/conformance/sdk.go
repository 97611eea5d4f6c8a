package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"regexp"
	"strings"

	"github.com/clerkauth/clerkauth"
)

// reading is a case as the SDK reads it, as far as rules need that: which token it finds,
// how it decodes it, and the state of its key cache. It depends only on the inputs.
type reading struct {
	*authCase
	lines []string // of Authorization
	token string   // "" where the SDK reads cookies

	// The token, decoded as leniently as the SDK does.
	decodes         bool
	header, payload any
	h, p            map[string]any // those two, if they are objects

	flow      flow
	kind      clerkauth.TokenType // of a machine's credential, or ""
	requested clerkauth.TokenType // the token type in the SDK's refusal, "" for null

	keys    keyState // the result of the search for the token's key
	kid     string
	wasDown bool // the previous fetch of keys failed

	cache        *sdkKeys         // before this case
	seen, before []map[string]any // keys published so far, and the last set before this case
	failedBefore bool             // an earlier case of the scope has not found its key

	genuine     *bool               // the result of signed
	inauthentic *clerkauth.Reason   // the result of sdkAuthentic
	others      map[string]*reading // the readings of other tokens of the case

	unsupported string // the option that Config cannot express
}

func newReading(c *authCase, cache *sdkKeys) *reading {
	r := &reading{authCase: c, lines: c.Request.Headers["authorization"], cache: cache.clone()}
	var u unsupportedError
	if _, err := configure(c); errors.As(err, &u) {
		r.unsupported = u.option
	}
	r.token = sdkToken(r.lines)
	r.decode()
	r.readFlow()
	if r.fetchesKeys() {
		r.kid, _ = r.h["kid"].(string)
		cache.remember(r)
		r.keys = cache.lookUp(r)
		cache.failed = cache.failed || r.keys != keyFound
	}
	return r
}

// sdkToken reads Authorization: lines are joined, the first two words count, a single word
// is a token, and schemes other than Bearer are ignored.
func sdkToken(lines []string) string {
	trimmed := make([]string, len(lines))
	for i, line := range lines {
		trimmed[i] = strings.Trim(line, " \t")
	}
	words := append(strings.Split(strings.Trim(strings.Join(trimmed, ", "), " \t"), " "), "")
	switch {
	case words[1] == "":
		return words[0]
	case words[0] == "Bearer":
		return words[1]
	default:
		return ""
	}
}

// decode splits the token and decodes its parts: padding is ignored, invalid UTF-8 is
// replaced, a byte order mark is dropped, and the last of duplicate names counts.
func (r *reading) decode() {
	parts := strings.Split(r.token, ".")
	if len(parts) != 3 {
		return
	}
	var decoded [3][]byte
	for i, part := range parts {
		part = strings.TrimRight(part, "=")
		b, err := base64.RawURLEncoding.Strict().DecodeString(part)
		if err != nil || strings.ContainsAny(part, "\r\n") {
			return
		}
		decoded[i] = bytes.TrimPrefix(b, []byte("\ufeff"))
	}
	var errs [2]error
	r.header, errs[0] = lenientJSON(decoded[0])
	r.payload, errs[1] = lenientJSON(decoded[1])
	r.decodes = errs[0] == nil && errs[1] == nil
	r.h, _ = r.header.(map[string]any)
	r.p, _ = r.payload.(map[string]any)
}

func lenientJSON(data []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber() // for the SDK a number that exceeds float64 is not an error
	if err = d.Decode(&v); err == nil && d.More() {
		err = json.Unmarshal(data, &v)
	}
	return v, err
}

var opaquePattern = regexp.MustCompile(`\A(ak|mt|oat)_`)

// opaque reports whether the token has the prefix of an opaque machine token.
func (r *reading) opaque() bool { return opaquePattern.MatchString(r.token) }

// foreign reports whether the token has a category other than a session's and the one
// that leaves the kind open.
func (r *reading) foreign() bool {
	cat, ok := r.h["cat"]
	return ok && cat != "cl_B7d4PD111AAA" && cat != "cl_I7d4PD111III"
}

// text returns an option that is a string.
func (r *reading) text(option string) string {
	s, _ := r.Options[option].(string)
	return s
}

// list returns an option that is a list of strings or one string.
func (r *reading) list(option string) []string {
	var l []string
	_ = readList(r.Options[option], &l)
	return l
}

// rejects reports whether the SDK throws for these options, whatever the token.
func (r *reading) rejects() bool {
	accepts, _ := r.Options["acceptsToken"].(string)
	if _, ok := keyIssuer(r.text("publishableKey")); !ok && accepts != "m2m_token" && accepts != "api_key" {
		return true
	}
	secret := r.text("secretKey")
	if accepts == "m2m_token" {
		return secret == "" && r.text("machineSecretKey") == ""
	}
	if secret == "" {
		return true
	}
	if r.Options["isSatellite"] != true {
		return false
	}
	signIn := r.text("signInUrl")
	development := strings.HasPrefix(secret, "sk_test_") || strings.HasPrefix(secret, "test_")
	if development && signIn == "" || r.text("domain") == "" && r.text("proxyUrl") == "" {
		return true
	}
	origins := r.Request.Headers["origin"]
	if signIn == "" || len(origins) == 0 || origins[0] == "" {
		return false
	}
	u, err := url.Parse(signIn)
	return err != nil || u.Host == "" || u.Scheme+"://"+u.Host == origins[0]
}

// keyIssuer returns the issuer in a publishable key, as the SDK reads it.
func keyIssuer(key string) (string, bool) {
	pieces := strings.Split(key, "_")
	if len(pieces) != 3 || pieces[0] != "pk" || pieces[1] != "live" && pieces[1] != "test" {
		return "", false
	}
	b64 := strings.Join(strings.Fields(pieces[2]), "")
	if len(b64)%4 == 0 { // for other lengths, padding is an error
		b64 = strings.TrimSuffix(strings.TrimSuffix(b64, "="), "=")
	}
	decoded, err := base64.RawStdEncoding.DecodeString(b64)
	host, end, ok := strings.Cut(string(decoded), "$")
	if err != nil || !ok || end != "" || !strings.Contains(host, ".") {
		return "", false
	}
	return "https://" + host, true
}
