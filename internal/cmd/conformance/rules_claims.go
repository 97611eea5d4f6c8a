package main

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/clerkauth/clerkauth"
)

// badClaim returns the answers function for a property for which we reject a correctly
// signed payload with reason, and the SDK does not.
func badClaim(reason clerkauth.Reason, property func(*reading) bool) func(*reading) []clerkauth.Reason {
	return when(func(r *reading) bool {
		return r.signed() && (r.flow == flowSession || r.flow == flowJWT) && r.sdkJudges() != reason && property(r)
	}, reason)
}

// isID reports whether a claim is an id of visible ASCII.
func isID(claim any) bool {
	s, ok := claim.(string)
	return ok && s != "" && len(s) <= 256 && !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' })
}

func noSubject(r *reading) bool {
	_, isText := r.p["sub"].(string)
	return isText && !isID(r.p["sub"])
}

// noAudience reports whether aud is empty, or not of the form of RFC 7519.
func noAudience(r *reading) bool {
	if len(r.list("audience")) == 0 {
		return false
	}
	list, isList := r.p["aud"].([]any)
	return !truthy(r.p["aud"]) || notText(r.p["aud"]) && !isList || isList && !slices.ContainsFunc(list, truthy) ||
		slices.ContainsFunc(list, notText)
}

// foreignIssuer reports whether the issuer is not the instance's and the SDK does not
// check it: that checks only configured issuers, and only of sessions.
func foreignIssuer(r *reading) bool {
	iss, _ := r.p["iss"].(string)
	own, _ := keyIssuer(r.text("publishableKey"))
	if issuers := r.list("issuer"); len(issuers) > 0 {
		return r.flow == flowJWT && !slices.Contains(issuers, iss)
	}
	return iss != own
}

// foreignBearer reports whether a session token names another issuer, which we check
// before anything else. Tokens signed by the instance's keys are for issuer-enforced.
func foreignBearer(r *reading) bool {
	iss, isText := r.p["iss"].(string)
	own, _ := keyIssuer(r.text("publishableKey"))
	ours := r.list("issuer")
	if len(ours) == 0 {
		ours = []string{own}
	}
	return r.flow == flowSession && r.decodes && !r.signed() && isText && !slices.Contains(ours, iss)
}

func confirmed(r *reading) bool {
	_, ok := r.p["cnf"]
	return ok
}

func timesOutOfRange(r *reading) bool {
	exp, _ := r.number("exp")
	for _, claim := range []string{"exp", "nbf", "iat"} {
		if t, ok := r.number(claim); ok && (t < 0 || t > 253402300799 || int64(t) > int64(exp)) {
			return true
		}
	}
	return false
}

func noSessionID(r *reading) bool {
	sid, _ := r.p["sid"].(string)
	return r.flow == flowSession && (!isID(sid) || !strings.HasPrefix(sid, "sess_"))
}

func unknownStatus(r *reading) bool {
	sts, ok := r.p["sts"]
	return r.flow == flowSession && ok && sts != "active" && sts != "pending"
}

// version returns the v claim: 1 where there is none.
func (r *reading) version() any {
	if v, ok := r.number("v"); ok {
		return v
	}
	if v := r.p["v"]; v != nil {
		return v
	}
	return 1.0
}

var orgClaims = []string{"org_id", "org_role", "org_slug", "org_permissions"}

func unknownVersion(r *reading) bool {
	if v := r.version(); v == 1.0 || v == 2.0 {
		return false
	}
	return slices.ContainsFunc(orgClaims, func(name string) bool { return r.p[name] != nil })
}

// malformedOrganization reports whether claims would grant an organization, or rights
// in one, but they or the organization's id have a wrong type.
func malformedOrganization(r *reading) bool {
	if r.sdkThrows() {
		return false
	}
	claims, names := r.p, orgClaims
	if r.version() == 2.0 {
		claims, _ = r.p["o"].(map[string]any)
		names = []string{"id", "rol", "slg", "per"}
		for _, claim := range []any{r.p["fea"], claims["per"], claims["fpm"]} {
			if claims != nil && claim != nil && notText(claim) {
				return true // where permissions would come from
			}
		}
	}
	for _, name := range names {
		claim := claims[name]
		list, isList := claim.([]any)
		isPermissions := name == "org_permissions"
		switch {
		case !truthy(claim) || isPermissions && isList && len(list) == 0:
			// It grants nothing.
		case !isID(claims[names[0]]):
			return true
		case isPermissions && (!isList || slices.ContainsFunc(list, notText)), !isPermissions && notText(claim):
			return true
		}
	}
	return false
}

func notText(v any) bool {
	_, isText := v.(string)
	return !isText
}

// undecodable reports whether ClaimsAs rejects the claims: names in them differ only in
// case, or a number exceeds float64.
func undecodable(r *reading) bool {
	claims := r.payload
	if r.flow == flowOpaque {
		claims = r.responseObject()["claims"]
	}
	return r.kind != clerkauth.OAuthToken && ambiguous(claims)
}

func ambiguous(v any) bool {
	switch v := v.(type) {
	case json.Number:
		_, err := v.Float64()
		return err != nil
	case []any:
		return slices.ContainsFunc(v, ambiguous)
	case map[string]any:
		seen := map[string]bool{}
		for name, value := range v {
			if name = strings.ToLower(name); seen[name] || ambiguous(value) {
				return true
			}
			seen[name] = true
		}
	}
	return false
}
