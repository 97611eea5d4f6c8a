package main

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/clerkauth/clerkauth"
)

// refusedAtStart holds for mistakes that New finds and the SDK does not look for.
func refusedAtStart(r *reading, a *answer) bool {
	if a.config == nil {
		return false
	}
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

// hostPattern is an issuer whose host is a plain name.
var hostPattern = regexp.MustCompile(`(?i)\Ahttps://` + label + `(\.` + label + `)+(:[0-9]{1,5})?\z`)

// unsaidOption holds where the option table has no way to say an option.
func unsaidOption(_ *reading, a *answer) bool {
	var u unsayable
	return errors.As(a.config, &u)
}

// partOfParty holds where the option is a text, in which the SDK finds azp.
func partOfParty(r *reading) bool {
	parties, isText := r.Options["authorizedParties"].(string)
	return isText && r.p["azp"] != parties
}

// origin is one as a browser writes it.
var origin = regexp.MustCompile(`\A([a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]+\]|` + label + `(?:\.` + label + `)*)(:[0-9]+)?\z`)

const label = `[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?`

func inexactOrigin(r *reading, a *answer) bool {
	return a.config != nil && slices.ContainsFunc(r.list("authorizedParties"), func(party string) bool {
		m := origin.FindStringSubmatch(party)
		return m == nil || m[1] == "https" && m[3] == ":443" || m[1] == "http" && m[3] == ":80"
	})
}

func skewOutOfRange(r *reading, a *answer) bool {
	ms, ok := r.Options["clockSkewInMs"].(float64)
	return a.config != nil && ok && (ms < 0 || ms > 5*60*1000)
}

// keyUnreadable holds where the text is not one PEM block of an RSA public key.
func keyUnreadable(r *reading, a *answer) bool {
	text := strings.TrimSpace(r.text("jwtKey"))
	if a.config == nil || r.text("jwtKey") == "" {
		return false
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil || len(rest) > 0 || !strings.HasPrefix(text, "-----BEGIN") {
		return true
	}
	var key any
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	}
	public, isRSA := key.(*rsa.PublicKey)
	return err != nil || !isRSA || public.N.BitLen() < 2048 || public.N.BitLen() > 8192
}

// keyReadableByUs holds where New has read a JWTKey that the SDK cannot: that one
// takes what stands between two constants for the modulus, and finds no
// signature good.
func keyReadableByUs(r *reading, a *answer) bool {
	text := r.text("jwtKey")
	if a.config != nil || text == "" || !r.decodes || signatureRefused(a) {
		return false
	}
	for _, s := range []string{"-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----"} {
		text = strings.ReplaceAll(text, s, "")
	}
	text = strings.Join(strings.Fields(text), "")
	const prefix, suffix = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA", "IDAQAB"
	return !strings.HasPrefix(text, prefix) || !strings.HasSuffix(text, suffix)
}

// signatureRefused tells whether we refuse a token before its claims are looked
// at.
func signatureRefused(a *answer) bool {
	return slices.Contains([]clerkauth.Reason{
		clerkauth.ErrTokenInvalid, clerkauth.ErrTokenType, clerkauth.ErrTokenAlgorithm, clerkauth.ErrTokenSignature,
	}, clerkauth.Reason(a.Reason))
}

func withoutSecret(r *reading, a *answer) bool {
	return a.Outcome == outcomeIn && r.text("secretKey") == "" && r.rejects()
}

func badRequest(_ *reading, a *answer) bool { return a.Reason == reasonRequest }

// presented tells whether the SDK finds a token that it decodes; with any other
// it goes to the cookies, or refuses as we do.
func (r *reading) presented() bool { return r.decodes || r.opaque() }

// invalid tells whether we call the token malformed. Where only machines are let
// in, we do not tell that from a token of another kind.
func (r *reading) invalid(a *answer) bool {
	return a.Reason == nullable(clerkauth.ErrTokenInvalid) ||
		a.Reason == nullable(clerkauth.ErrTokenType) && !slices.Contains(r.accepted(), clerkauth.SessionToken)
}

func twoLines(r *reading, a *answer) bool {
	return len(r.lines) > 1 && r.invalid(a) && (r.token == "" || r.presented())
}

// bearer splits a single line that has a scheme which we take for Bearer.
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

func bearerCase(r *reading, _ *answer) bool {
	scheme, _ := r.bearer()
	return scheme != "" && scheme != "Bearer" && r.token == ""
}

func schemeless(r *reading, a *answer) bool {
	return len(r.lines) == 1 && r.token != "" && strings.HasPrefix(strings.Trim(r.lines[0], " \t"), r.token) &&
		a.Reason == nullable(clerkauth.ErrTokenMissing)
}

func moreThanOneToken(r *reading, a *answer) bool {
	_, rest := r.bearer()
	return r.invalid(a) && r.presented() && rest != " "+r.token
}

func opaqueKind(r *reading, a *answer) bool {
	return r.flow == flowSession && r.opaque() && a.Reason == nullable(clerkauth.ErrTokenType)
}
