package browser

import (
	"crypto/fips140"
	"crypto/sha1" //nolint:gosec // it names cookies and protects nothing
	"encoding/base64"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Suffix returns the suffix of the names of an instance's cookies: the first eight
// characters of the SHA-1 of its publishable key in base64. It is a name, so that SHA-1
// has to work where the program enforces FIPS 140, too.
func Suffix(publishableKey string) (suffix string) {
	fips140.WithoutEnforcement(func() {
		sum := sha1.Sum([]byte(publishableKey)) //nolint:gosec // see above
		suffix = base64.URLEncoding.EncodeToString(sum[:])[:8]
	})
	return suffix
}

// Cookies are the values of Clerk's cookies in a request, "" for one that is absent.
type Cookies struct {
	// Suffixed is whether those with the suffix in their names were chosen.
	Suffixed bool
	Session  string
	claims   claims // of Session, which is not verified
	// Differs is whether the chosen session cookie is there more than once, with
	// different values: another site may have set one of them.
	Differs    bool
	ClientUAT  float64
	DevBrowser string
	Refresh    string
	Handshake  string
	Nonce      string
	// Redirects is how often the browser was redirected just now, as it says itself.
	Redirects float64
	// Redirected is whether it says so at all.
	Redirected bool
}

// slot is a cookie that is read.
type slot int

const (
	session slot = iota
	clientUAT
	devBrowser
	refresh // it has a suffix only
	handshake
	nonce
	redirects
	slots
)

// withSuffix is the distance from a slot to that of the cookie with the suffix.
const withSuffix = slots

// jar holds the first value of each cookie, and whether a later one differs.
type jar struct {
	values  [2 * slots]string
	there   [2 * slots]bool
	differs [2 * slots]bool
}

// read reads the Cookie lines of a request as Clerk's SDKs do (RFC 6265 section 5.4): names
// are exact, values are percent-decoded where that succeeds, and of several cookies with
// one name the first counts. What is not a cookie of Clerk's is skipped.
func (j *jar) read(lines []string, suffix string) {
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ";") {
			name, value, ok := strings.Cut(part, "=")
			if !ok {
				continue
			}
			at, ok := find(trim(name), suffix)
			if !ok {
				continue
			}
			value = decode(trim(value))
			if j.there[at] {
				j.differs[at] = j.differs[at] || j.values[at] != value
				continue
			}
			j.values[at], j.there[at] = value, true
		}
	}
}

// find returns the slot of a cookie of that name, and whether it is one that is read.
func find(name, suffix string) (slot, bool) {
	if !strings.HasPrefix(name, "__") {
		return 0, false
	}
	if base, end := len(name)-len(suffix)-1, "_"; base > 0 && name[base:base+1] == end && name[base+1:] == suffix {
		switch name[:base] {
		case cookieSession:
			return session + withSuffix, true
		case cookieClientUAT:
			return clientUAT + withSuffix, true
		case cookieDevBrowser:
			return devBrowser + withSuffix, true
		case cookieRefresh:
			return refresh + withSuffix, true
		}
		return 0, false
	}
	switch name {
	case cookieSession:
		return session, true
	case cookieClientUAT:
		return clientUAT, true
	case cookieDevBrowser:
		return devBrowser, true
	case cookieHandshake:
		return handshake, true
	case cookieNonce:
		return nonce, true
	case cookieRedirects:
		return redirects, true
	}
	return 0, false
}

// readCookies reads the cookies of a request.
func readCookies(lines []string, s *Settings, now time.Time) (c Cookies) {
	if len(lines) == 0 {
		return c
	}
	var j jar
	j.read(lines, s.Suffix)
	c.Refresh = j.values[refresh+withSuffix]
	c.Handshake, c.Nonce = j.values[handshake], j.values[nonce]
	c.Redirects, c.Redirected = number(j.values[redirects]), j.values[redirects] != ""
	plain, own := peek(j.values[session]), peek(j.values[session+withSuffix])
	c.Suffixed, c.claims = j.suffixed(&plain, &own, s, now), plain
	var chosen slot
	if c.Suffixed {
		chosen, c.claims = withSuffix, own
	}
	c.Session, c.Differs = j.values[chosen+session], j.differs[chosen+session]
	c.ClientUAT = leadingInteger(j.values[chosen+clientUAT])
	c.DevBrowser = j.values[chosen+devBrowser]
	return c
}

func trim(s string) string { return strings.Trim(s, " \t") }

// suffixed reports whether the cookies with the suffix count, by the rules of Clerk's
// SDKs, in their order. Several instances may share a domain, and only newer versions of
// Clerk's browser SDK set them. Tokens are looked at without being verified: that only
// chooses which one is. plain and own are the claims of the two.
func (j *jar) suffixed(plain, own *claims, s *Settings, now time.Time) bool {
	token, uat := j.values[session], j.values[clientUAT]
	ownSession, ownUAT := j.values[session+withSuffix], j.values[clientUAT+withSuffix]
	switch {
	case token != "" && !plain.hasIssuer:
		return false
	case token != "" && plain.issuer != s.Host:
		return true // it is of another instance
	case ownUAT == "" && ownSession == "":
		return false
	case ownUAT != "0" && uat != "0" && plain.issuedAt > own.issuedAt:
		return false // both are signed in, and the other was so later
	case ownUAT == "0" && uat != "0":
		return false // signed out here, and signed in there
	case !s.Production && ownUAT != "0" && uat == "0" && own.expired(now):
		return false
	default:
		return ownUAT != "" || ownSession == ""
	}
}

// decode returns s percent-decoded as JavaScript's decodeURIComponent does, or unchanged
// where that fails.
func decode(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b = append(b, s[i])
			continue
		}
		c, ok := hexByte(s, i)
		if !ok {
			return s
		}
		if c < utf8.RuneSelf {
			b = append(b, c)
			i += 2
			continue
		}
		// One character, all of it encoded.
		from := len(b)
		for i+2 < len(s) && s[i] == '%' && !utf8.FullRune(b[from:]) {
			if c, ok = hexByte(s, i); !ok {
				return s
			}
			b = append(b, c)
			i += 3
		}
		if r, size := utf8.DecodeRune(b[from:]); r == utf8.RuneError && size <= 1 || size != len(b)-from {
			return s
		}
		i--
	}
	return string(b)
}

// hexByte returns the byte that the three characters of s from i on encode.
func hexByte(s string, i int) (byte, bool) {
	if i+2 >= len(s) {
		return 0, false
	}
	n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
	return byte(n), err == nil
}

// leadingInteger returns the integer that s begins with, as JavaScript's parseInt does
// without a radix, or 0 if there is none.
func leadingInteger(s string) float64 {
	s = strings.TrimLeft(s, jsSpace)
	sign := 1.0
	if s != "" && (s[0] == '+' || s[0] == '-') {
		if s[0] == '-' {
			sign = -1
		}
		s = s[1:]
	}
	base, digits := 10.0, "0123456789"
	if len(s) > 1 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') {
		s, base, digits = s[2:], 16, "0123456789abcdefABCDEF"
	}
	n := 0
	for n < len(s) && strings.IndexByte(digits, s[n]) >= 0 {
		n++
	}
	if base == 10 {
		f, _ := strconv.ParseFloat(s[:n], 64) // 0 for ""
		return sign * f
	}
	f := 0.0
	for _, c := range []byte(s[:n]) {
		d, _ := strconv.ParseUint(string(c), 16, 8)
		f = f*base + float64(d)
	}
	return sign * f
}

// number returns the number that s is, as JavaScript's Number does, or 0 if it is none.
func number(s string) float64 {
	s = strings.Trim(s, jsSpace)
	switch s {
	case "Infinity", "+Infinity":
		return math.Inf(1)
	case "-Infinity":
		return math.Inf(-1)
	}
	if len(s) > 2 && s[0] == '0' {
		if base := map[byte]int{'x': 16, 'X': 16, 'o': 8, 'O': 8, 'b': 2, 'B': 2}[s[1]]; base != 0 {
			if strings.ContainsAny(s, "_+-") {
				return 0
			}
			n, err := strconv.ParseUint(s[2:], base, 64)
			if err != nil && n != math.MaxUint64 { // a large one is large
				return 0
			}
			return float64(n)
		}
	}
	if strings.Trim(s, "0123456789.eE+-") != "" {
		return 0 // ParseFloat also takes hexadecimal, NaN and underscores
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(f, 0) {
		return 0
	}
	return f
}

// jsSpace is what JavaScript skips around numbers.
const jsSpace = " \t\n\v\f\r\u00a0\ufeff\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"

// ClerkCookies returns those of the Cookie lines of a request that are read here, as one
// line.
func ClerkCookies(lines []string, suffix string) string {
	var list []string
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ";") {
			name, _, _ := strings.Cut(part, "=")
			if _, ok := find(trim(name), suffix); ok {
				list = append(list, trim(part))
			}
		}
	}
	return strings.Join(list, "; ")
}
