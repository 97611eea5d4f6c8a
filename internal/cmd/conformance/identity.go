package main

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/clerkauth/clerkauth"
)

// fieldsOf are those that the SDK's auth object of each kind has beside tokenType
// and isAuthenticated, and which are null in nobody's.
var fieldsOf = map[clerkauth.TokenType][]string{
	clerkauth.SessionToken: {
		"userId", "sessionId", "orgId", "orgRole", "orgSlug", "orgPermissions", "factorVerificationAge", "actor", "sessionClaims",
	},
	clerkauth.APIKey:     {"id", "subject", "scopes", "name", "claims", "userId", "orgId"},
	clerkauth.M2MToken:   {"id", "subject", "scopes", "claims", "machineId"},
	clerkauth.OAuthToken: {"id", "subject", "scopes", "userId", "clientId"},
}

// signedOut is the SDK's auth object of nobody, where a token of that type was
// asked for.
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

// machine is our identity of a machine in the shape of the SDK's auth object.
func machine(who clerkauth.Auth, r *reading) map[string]any {
	scopes := any(append([]string{}, who.Scopes()...))
	all := map[string]any{
		"id": who.TokenID, "subject": who.Subject, "name": who.KeyName, "clientId": who.ClientID,
		"machineId": nullable(who.MachineID), "userId": nullable(who.UserID), "orgId": nullable(who.OrgID),
	}
	// Claims that ClaimsAs will not hand out stay unseen.
	payload, err := clerkauth.ClaimsAs[json.RawMessage](who)
	switch {
	case err != nil:
	case r.opaque():
		all["claims"] = payload
	default:
		var claims map[string]json.RawMessage
		_ = json.Unmarshal(payload, &claims)
		// The SDK hands out these claims as they are, be they a list or a text.
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

// sdkScopes names the claim that the SDK takes for the scopes of a JWT without
// splitting it, if it is there.
func sdkScopes(of clerkauth.TokenType, claims map[string]json.RawMessage) string {
	if of == clerkauth.OAuthToken {
		return "scp"
	}
	if _, ok := claims["scopes"]; ok {
		return ""
	}
	return "aud"
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
