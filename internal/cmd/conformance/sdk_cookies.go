package main

import (
	"crypto/sha1" //nolint:gosec // it names cookies and protects nothing
	"encoding/base64"
	"encoding/json"
	"math"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The cookies that the SDK reads.
const (
	sessionCookie    = "__session"
	uatCookie        = "__client_uat"
	refreshCookie    = "__refresh"
	devBrowserCookie = "__clerk_db_jwt"
	handshakeCookie  = "__clerk_handshake"
	nonceCookie      = "__clerk_handshake_nonce"
	loopCookie       = "__clerk_redirect_count"
)

// cookies are those of a request: of each name all the values, in their order.
type cookies map[string][]string

// readCookies reads the Cookie header: pairs without "=" are ignored, and a value is
// decoded if its escapes are all of valid UTF-8.
func (c *authCase) readCookies() cookies {
	all := cookies{}
	for pair := range strings.SplitSeq(joined(c.Request.Headers["cookie"], "; "), ";") {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			continue
		}
		name, value = strings.Trim(name, " \t"), strings.Trim(value, " \t")
		if decoded, err := url.PathUnescape(value); err == nil && utf8.ValidString(decoded) {
			value = decoded
		}
		all[name] = append(all[name], value)
	}
	return all
}

// get returns the first cookie of that name, or "".
func (all cookies) get(name string) string {
	if values := all[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// cookieSuffix returns the suffix of an instance's cookies.
func cookieSuffix(publishableKey string) string {
	sum := sha1.Sum([]byte(publishableKey)) //nolint:gosec // see the import
	return "_" + base64.URLEncoding.EncodeToString(sum[:])[:8]
}

// production reports whether the publishable key is of a production instance.
func (r *reading) production() bool { return strings.HasPrefix(r.text("publishableKey"), "pk_live_") }

func (r *reading) satellite() bool { return r.Options["isSatellite"] == true }

// ownFrontendAPI returns the host of the Frontend API, whatever proxy it is reached by.
func (r *reading) ownFrontendAPI() string {
	if domain := r.text("domain"); r.production() && r.satellite() && domain != "" {
		return "clerk." + domain
	}
	own, _ := keyIssuer(r.text("publishableKey"))
	return strings.TrimPrefix(own, "https://")
}

var schemes = regexp.MustCompile(`https?://`)

// suffixed reports which of the cookies the SDK chooses, and whether it throws because the
// payload of a token is null.
func (r *reading) suffixed(all cookies, nullable bool) (suffixed, throws bool) {
	suffix := cookieSuffix(r.text("publishableKey"))
	session, uat := all.get(sessionCookie), all.get(uatCookie)
	suffixedSession, suffixedUAT := all.get(sessionCookie+suffix), all.get(uatCookie+suffix)
	plain, other := r.as(session), r.as(suffixedSession)
	if session != "" {
		if plain.decodes && plain.payload == nil && !nullable {
			return false, true
		}
		if !plain.decodes || !truthy(plain.p["iss"]) {
			return false, false
		}
		iss, isText := plain.p["iss"].(string)
		if !isText || schemes.ReplaceAllString(iss, "") != r.ownFrontendAPI() {
			return true, false
		}
	}
	if suffixedUAT == "" && suffixedSession == "" {
		return false, false
	}
	if other.decodes && other.payload == nil && !nullable {
		return false, true
	}
	iat, _ := plain.number("iat")
	otherIAT, _ := other.number("iat")
	exp, hasExp := other.number("exp")
	switch {
	case suffixedUAT != "0" && uat != "0" && iat > otherIAT, suffixedUAT == "0" && uat != "0":
		return false, false
	case !r.production() && suffixedUAT != "0" && uat == "0" && hasExp && exp <= math.Trunc(float64(r.Now)/1000):
		return false, false
	default:
		return suffixedUAT != "" || suffixedSession == "", false
	}
}

var integer = regexp.MustCompile(`\A[ \t\n\v\f\r\x{a0}\x{feff}]*([+-]?)(?:0[xX]([0-9a-fA-F]+)|([0-9]+))`)

// parseInt is JavaScript's parseInt without a radix; 0 stands for NaN.
func parseInt(s string) float64 {
	m := integer.FindStringSubmatch(s)
	if m == nil {
		return 0
	}
	digits, base := m[3], 10.0
	if m[2] != "" {
		digits, base = m[2], 16
	}
	n := 0.0
	for _, c := range digits {
		d, _ := strconv.ParseUint(string(c), 16, 8)
		n = n*base + float64(d)
	}
	if m[1] == "-" {
		return -n
	}
	return n
}

var decimal = regexp.MustCompile(`\A[+-]?(Infinity|([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?)\z`)

// number is JavaScript's Number; 0 stands for NaN.
func number(s string) float64 {
	s = strings.Trim(s, " \t\n\v\f\r\u00a0\ufeff")
	if len(s) > 2 && s[0] == '0' {
		if base := map[byte]int{'x': 16, 'o': 8, 'b': 2}[s[1]|0x20]; base > 0 {
			n, err := strconv.ParseUint(s[2:], base, 64)
			if err != nil {
				return 0
			}
			return float64(n)
		}
	}
	if !decimal.MatchString(s) {
		return 0
	}
	f, _ := strconv.ParseFloat(s, 64) // beyond the range of float64 it is infinite
	return f
}

// asNumber returns f as JavaScript prints it.
func asNumber(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	text, _ := json.Marshal(f)
	return string(text)
}
