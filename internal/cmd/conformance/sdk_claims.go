package main

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/clerkauth/clerkauth"
)

// sdkReason returns the SDK's reason to reject the token as a session's before its claims
// are checked, or "" if there is none.
func (r *reading) sdkReason() clerkauth.Reason {
	switch {
	case r.token == "":
		return ""
	case !r.decodes:
		return clerkauth.ErrTokenInvalid
	case r.keys == keyUnknown:
		return clerkauth.ErrUnknownKey
	case r.keys == keysFailed:
		return clerkauth.ErrKeysUnavailable
	}
	return ""
}

// sdkJudges returns the SDK's reason to reject the claims of a correctly signed token, or
// "" if there is none. For a machine it checks neither party nor issuer, and has a single
// reason.
func (r *reading) sdkJudges() clerkauth.Reason {
	if r.flow == flowJWT {
		_, ok := r.p["sub"].(string)
		if r.kind == clerkauth.OAuthToken {
			ok = ok && r.sdkOAuthAudience(r.p["aud"])
		} else {
			ok = ok && r.sdkAudience()
		}
		if !ok || r.sdkJudgesTimes() != "" {
			return clerkauth.ErrTokenClaims
		}
		return ""
	}
	if _, ok := r.p["sub"].(string); !ok {
		return clerkauth.ErrTokenClaims
	}
	if !r.sdkAudience() {
		return clerkauth.ErrTokenClaims
	}
	if !r.sdkParty() {
		return clerkauth.ErrTokenParty
	}
	iss, _ := r.p["iss"].(string)
	if issuers := r.list("issuer"); len(issuers) > 0 && !slices.Contains(issuers, iss) {
		return clerkauth.ErrTokenIssuer
	}
	return r.sdkJudgesTimes()
}

// sdkJudgesTimes is sdkJudges for exp, nbf and iat.
func (r *reading) sdkJudgesTimes() clerkauth.Reason {
	skew, ok := r.Options["clockSkewInMs"].(float64)
	if !ok {
		skew = 5000
	}
	now := float64(r.Now)
	exp, ok := r.number("exp")
	if !ok {
		return clerkauth.ErrTokenClaims
	}
	if date(exp) <= now-skew {
		return clerkauth.ErrTokenExpired
	}
	for _, c := range []struct {
		claim  string
		reason clerkauth.Reason
	}{{"nbf", clerkauth.ErrTokenEarly}, {"iat", clerkauth.ErrTokenFuture}} {
		if _, present := r.p[c.claim]; !present {
			continue
		}
		t, ok := r.number(c.claim)
		if !ok {
			return clerkauth.ErrTokenClaims
		}
		if date(t) > now+skew {
			return c.reason
		}
	}
	return ""
}

// sdkAudience reports whether the SDK accepts the audience. It accepts a token without
// aud, and some with a malformed one.
func (r *reading) sdkAudience() bool {
	wanted := r.list("audience")
	wanted = slices.DeleteFunc(wanted, func(s string) bool { return s == "" })
	if len(wanted) == 0 {
		return true
	}
	switch aud := r.p["aud"].(type) {
	case string:
		return aud == "" || slices.Contains(wanted, aud)
	case []any:
		texts := 0
		for _, e := range aud {
			s, isText := e.(string)
			if isText && slices.Contains(wanted, s) {
				return true
			}
			if isText {
				texts++
			}
		}
		return texts < len(aud) || !slices.ContainsFunc(aud, truthy)
	}
	return true
}

// sdkParty reports whether the SDK accepts the party. It searches for azp in a string, and
// for an equal element in a list.
func (r *reading) sdkParty() bool {
	azp := r.p["azp"]
	switch parties := r.Options["authorizedParties"].(type) {
	case string:
		return parties == "" || truthy(azp) && strings.Contains(parties, asText(azp))
	case []any:
		return len(parties) == 0 || truthy(azp) && slices.ContainsFunc(parties, func(p any) bool {
			if n, isNumber := p.(float64); isNumber {
				other, ok := r.number("azp")
				return ok && n == other
			}
			return p == azp
		})
	}
	return true
}

// asText returns v as JavaScript converts it to a string.
func asText(v any) string {
	list, isList := v.([]any)
	if !isList {
		return fmt.Sprint(v)
	}
	texts := make([]string, len(list))
	for i, e := range list {
		texts[i] = asText(e)
	}
	return strings.Join(texts, ",")
}

// sdkThrows reports whether the SDK throws for a valid session, because it cannot parse
// the organization's permissions.
func (r *reading) sdkThrows() bool {
	version, _ := r.number("v")
	fea, feaIsText := r.p["fea"].(string)
	if version != 2 || !truthy(r.p["o"]) {
		return false
	}
	if truthy(r.p["fea"]) && !feaIsText {
		return true
	}
	for element := range strings.SplitSeq(fea, ",") {
		if fea != "" && !strings.Contains(element, ":") {
			return true
		}
	}
	o, _ := r.p["o"].(map[string]any)
	return truthy(o["per"]) && truthy(o["fpm"]) && (notText(o["per"]) || notText(o["fpm"]))
}

// number returns a numeric claim; one that exceeds float64 is infinite.
func (r *reading) number(claim string) (float64, bool) {
	n, ok := r.p[claim].(json.Number)
	if !ok {
		return 0, false
	}
	f, _ := strconv.ParseFloat(n.String(), 64)
	return f, true
}

// date returns the milliseconds of a JavaScript Date for so many seconds, truncated, or
// NaN beyond its range.
func date(seconds float64) float64 {
	ms := math.Trunc(seconds) * 1000
	if math.Abs(ms) > 8.64e15 {
		return math.NaN()
	}
	return ms
}
