package main

import (
	"encoding/json"

	"github.com/clerkauth/clerkauth"
)

// signedOut is the SDK's auth object of nobody.
func signedOut(status string) map[string]any {
	a := map[string]any{"tokenType": clerkauth.SessionToken, "isAuthenticated": false, "sessionStatus": nullable(status)}
	for _, name := range []string{
		"userId", "sessionId", "orgId", "orgRole", "orgSlug", "orgPermissions", "factorVerificationAge", "actor", "sessionClaims",
	} {
		a[name] = nil
	}
	return a
}

// signedIn is our identity in the shape of the SDK's auth object. A field is
// absent there where the token lacks the claim, so it is absent here as well.
func signedIn(who clerkauth.Auth) map[string]any {
	a := map[string]any{
		"tokenType":             who.TokenType,
		"isAuthenticated":       who.SignedIn(),
		"userId":                who.UserID,
		"sessionId":             who.SessionID,
		"sessionStatus":         nullable(who.SessionStatus),
		"factorVerificationAge": nil,
	}
	// Claims that ClaimsAs will not hand out stay unseen.
	payload, _ := clerkauth.ClaimsAs[json.RawMessage](who)
	var claims map[string]any
	if json.Unmarshal(payload, &claims) == nil {
		a["sessionClaims"] = payload
	}
	if ages, ok := claims["fva"]; ok {
		a["factorVerificationAge"] = ages
	}
	if actor, ok := claims["act"]; ok {
		a["actor"] = actor
	}
	put := func(name, ours string, claim any, present bool) {
		if ours != "" {
			a[name] = ours
		} else if present && !truthy(claim) {
			a[name] = claim // the token's own way to say that there is none
		}
	}
	if claims["v"] == 2.0 {
		org, _ := claims["o"].(map[string]any)
		id, hasID := org["id"]
		put("orgId", who.OrgID, id, hasID)
		slug, hasSlug := org["slg"]
		put("orgSlug", who.OrgSlug, slug, hasSlug)
		put("orgRole", who.OrgRole, nil, false)
		if truthy(claims["o"]) {
			a["orgPermissions"] = append([]string{}, who.Permissions()...)
		}
		return a
	}
	id, hasID := claims["org_id"]
	put("orgId", who.OrgID, id, hasID)
	slug, hasSlug := claims["org_slug"]
	put("orgSlug", who.OrgSlug, slug, hasSlug)
	role, hasRole := claims["org_role"]
	put("orgRole", who.OrgRole, role, hasRole)
	permissions, listed := claims["org_permissions"]
	put("orgPermissions", "", permissions, listed)
	if _, isList := permissions.([]any); isList || len(who.Permissions()) > 0 {
		a["orgPermissions"] = append([]string{}, who.Permissions()...)
	}
	return a
}

// truthy is JavaScript's idea of it, for JSON values.
func truthy(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case float64:
		return v != 0
	case json.Number:
		f, err := v.Float64()
		return f != 0 || err != nil
	default:
		return true
	}
}
