package browser

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/clerkauth/clerkauth/internal/jws"
)

// claims are those of a token that are looked at before it is verified, as leniently as
// Clerk's SDKs decode them. They decide which cookie is verified and whether a browser is
// sent through a handshake instead, never who the caller is.
type claims struct {
	decodes   bool
	machine   bool // it is not a session's
	hasIssuer bool
	issuer    string // without a scheme; "" if it is not text
	hasIAT    bool
	issuedAt  float64
	expiresAt float64 // NaN if there is none
}

// The categories of a session token, in its header.
const (
	categorySession = "cl_B7d4PD111AAA"
	categoryIgnore  = "cl_I7d4PD111III"
)

var scheme = regexp.MustCompile(`(?i)https?://`)

// peek decodes a token without verifying it.
func peek(token string) claims {
	c := claims{expiresAt: math.NaN()}
	if token == "" {
		return c
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 || len(token) > jws.MaxLen {
		return c
	}
	var objects [2]map[string]json.RawMessage
	for i, part := range parts {
		text, err := base64.RawURLEncoding.Strict().DecodeString(strings.TrimRight(part, "="))
		if err != nil || strings.ContainsAny(part, "\r\n") {
			return c
		}
		if i == 2 {
			break
		}
		text = bytes.TrimPrefix(text, []byte("\ufeff"))
		if !json.Valid(text) {
			return c
		}
		_ = json.Unmarshal(text, &objects[i]) // nil unless it is an object
	}
	header, payload := objects[0], objects[1]
	c.decodes = true
	if category, ok := header["cat"]; ok {
		cat, isText := text(category)
		c.machine = !isText || cat != categorySession && cat != categoryIgnore
	}
	subject, _ := text(payload["sub"])
	kind, _ := text(header["typ"])
	c.machine = c.machine || strings.HasPrefix(subject, "mch_") || kind == "at+jwt" || kind == "application/at+jwt"
	issuer, isText := text(payload["iss"])
	c.hasIssuer = truthy(payload["iss"])
	if isText {
		c.issuer = scheme.ReplaceAllString(issuer, "")
	}
	c.issuedAt, c.hasIAT = float(payload["iat"])
	if exp, ok := float(payload["exp"]); ok {
		c.expiresAt = exp
	}
	return c
}

// expired reports whether the token says that it has expired.
func (c *claims) expired(now time.Time) bool { return c.expiresAt <= float64(now.Unix()) }

func text(value json.RawMessage) (s string, ok bool) {
	ok = len(value) > 0 && value[0] == '"' && json.Unmarshal(value, &s) == nil
	return s, ok
}

func float(value json.RawMessage) (f float64, ok bool) {
	ok = len(value) > 0 && (value[0] == '-' || value[0] >= '0' && value[0] <= '9') && json.Unmarshal(value, &f) == nil
	return f, ok
}

// truthy reports whether a JSON value is true as a condition in JavaScript.
func truthy(value json.RawMessage) bool {
	switch string(value) {
	case "", "null", "false", `""`:
		return false
	}
	f, isNumber := float(value)
	return !isNumber || f != 0
}
