package main

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/clerkauth/clerkauth"
)

// fieldsOf are the fields, by kind, that the SDK's auth object has besides tokenType and
// isAuthenticated. They are null if the caller is not authenticated.
var fieldsOf = map[clerkauth.TokenType][]string{
	clerkauth.SessionToken: {
		"userId", "sessionId", "orgId", "orgRole", "orgSlug", "orgPermissions", "factorVerificationAge", "actor", "sessionClaims",
	},
	clerkauth.APIKey:     {"id", "subject", "scopes", "name", "claims", "userId", "orgId"},
	clerkauth.M2MToken:   {"id", "subject", "scopes", "claims", "machineId"},
	clerkauth.OAuthToken: {"id", "subject", "scopes", "userId", "clientId"},
}

// signedOut is the SDK's auth object for an unauthenticated caller, where a token of that
// type is required.
func signedOut(of clerkauth.TokenType, status string) map[string]any {
	a := map[string]any{"tokenType": nullable(of), "isAuthenticated": false}
	for _, name := range fieldsOf[of] {
		a[name] = nil
	}
	if of == clerkauth.SessionToken {
		a["sessionStatus"] = nullable(status)
	}
	return a
}

// machine returns our identity of a machine as the SDK's auth object.
func machine(who clerkauth.Auth, r *reading) map[string]any {
	scopes := any(append([]string{}, who.Scopes()...))
	all := map[string]any{
		"id": who.TokenID, "subject": who.Subject, "name": who.KeyName, "clientId": who.ClientID,
		"machineId": nullable(who.MachineID), "userId": nullable(who.UserID), "orgId": nullable(who.OrgID),
	}
	// Claims that ClaimsAs rejects are left out.
	payload, err := clerkauth.ClaimsAs[json.RawMessage](who)
	switch {
	case err != nil:
	case r.opaque():
		all["claims"] = payload
	default:
		var claims map[string]json.RawMessage
		_ = json.Unmarshal(payload, &claims)
		// The SDK returns these claims unchanged, whether a list or a string.
		if text, ok := r.p[sdkScopes(who.TokenType, claims)].(string); ok && slices.Equal(strings.Split(text, " "), who.Scopes()) {
			scopes = text
		}
		for _, name := range []string{"iss", "sub", "exp", "nbf", "iat", "jti"} {
			delete(claims, name)
		}
		if len(claims) > 0 {
			all["claims"] = claims
		}
	}
	all["scopes"] = scopes
	a := map[string]any{"tokenType": who.TokenType, "isAuthenticated": true}
	for _, name := range fieldsOf[who.TokenType] {
		a[name] = all[name]
	}
	return a
}

// sdkScopes returns the name of the claim that the SDK returns as the scopes of a JWT,
// unsplit, if it is present.
func sdkScopes(of clerkauth.TokenType, claims map[string]json.RawMessage) string {
	if of == clerkauth.OAuthToken {
		return "scp"
	}
	if _, ok := claims["scopes"]; ok {
		return ""
	}
	return "aud"
}

// signedIn returns our identity of a user as the SDK's auth object. A field is absent if
// the token lacks its claim, as in the SDK's.
func signedIn(who clerkauth.Auth) map[string]any {
	a := map[string]any{
		"tokenType":             who.TokenType,
		"isAuthenticated":       who.SignedIn(),
		"userId":                who.UserID,
		"sessionId":             who.SessionID,
		"sessionStatus":         nullable(who.SessionStatus),
		"factorVerificationAge": nil,
	}
	// Claims that ClaimsAs rejects are left out.
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
			a[name] = claim // the token's own empty value
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

// truthy reports whether a JSON value is truthy in JavaScript.
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
