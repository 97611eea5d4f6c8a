package main

import (
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/clerkauth/clerkauth"
)

// noInstance holds where nothing that can be read says whose tokens are accepted.
func noInstance(r *reading, a *answer) bool {
	_, ok := keyIssuer(r.text("publishableKey"))
	return a.config != nil && !ok && (r.text("publishableKey") != "" || len(r.list("issuer")) == 0)
}

// missingToken holds where cookies would not do, so that a token is missing.
func missingToken(r *reading, a *answer) bool {
	return a.Reason == nullable(clerkauth.ErrTokenMissing) && r.token == "" && (r.flow == flowMissing || r.flow == flowMismatch)
}

// opaqueForm is what opaque credentials look like.
var opaqueForm = regexp.MustCompile(`\A(ak|mt|oat)_[A-Za-z0-9_-]{1,512}\z`)

func oddOpaque(r *reading, a *answer) bool {
	return r.opaque() && r.invalid(a) && !opaqueForm.MatchString(r.token)
}

// otherKind holds for JWTs that we take for a machine's and the SDK does not.
func otherKind(r *reading, a *answer) bool {
	sub, _ := r.p["sub"].(string)
	machine := r.h["cat"] == "cl_B7d4PD333AAA" || strings.HasPrefix(sub, "mch_") || accessTokenType(r.h["typ"])
	return a.Outcome == outcomeRefuse && r.decodes && r.kind == "" && machine
}

// apiKeyJWT holds for a session, to the SDK, with the id of an API key.
func apiKeyJWT(r *reading, a *answer) bool {
	jti, _ := r.p["jti"].(string)
	_, hasCat := r.h["cat"]
	_, hasSID := r.p["sid"]
	return a.Reason == nullable(clerkauth.ErrTokenType) && r.flow == flowSession && strings.HasPrefix(jti, "ak_") && !hasCat && !hasSID
}

// ofKind makes a rule of a property for which we refuse a machine's JWT whose
// signature the SDK goes on to check.
func ofKind(kind clerkauth.TokenType, property func(*reading) bool) func(*reading, *answer) bool {
	return func(r *reading, a *answer) bool {
		return a.Outcome == outcomeRefuse && r.flow == flowJWT && r.kind == kind && property(r)
	}
}

func categorised(r *reading) bool {
	cat, ok := r.h["cat"]
	return ok && cat != "cl_I7d4PD111III"
}

// claimOfMachine makes a rule of a property for which we refuse the claims of a
// machine's JWT, and the SDK does not.
func claimOfMachine(property func(*reading) bool) func(*reading, *answer) bool {
	rule := badClaim(clerkauth.ErrTokenClaims, property)
	return func(r *reading, a *answer) bool { return r.flow == flowJWT && rule(r, a) }
}

func noTokenID(r *reading) bool { return !isID(r.p["jti"]) }

// oddScopes holds where the claim that we take scopes from, which is the first of
// two that is there, is neither a text nor a list of texts.
func oddScopes(r *reading) bool {
	first, second := "scopes", "aud"
	if r.kind == clerkauth.OAuthToken {
		first, second = "scp", "scope"
	}
	claim, ok := r.p[first]
	if !ok {
		claim, ok = r.p[second]
	}
	list, isList := claim.([]any)
	return ok && (notText(claim) && !isList || slices.ContainsFunc(list, notText))
}

// foreignSubject holds for a subject that cannot be whom such a credential is of.
func foreignSubject(r *reading, a *answer) bool {
	subject := r.p["sub"]
	if r.flow == flowOpaque {
		subject = r.saidObject()["subject"]
	} else if r.flow != flowJWT || r.sdkJudges() != "" {
		return false
	}
	s, _ := subject.(string)
	prefixes := map[clerkauth.TokenType][]string{
		clerkauth.APIKey: {"user_", "org_"}, clerkauth.M2MToken: {"mch_"}, clerkauth.OAuthToken: {"user_"},
	}[r.kind]
	owned := slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(s, prefix) })
	return a.Reason == nullable(clerkauth.ErrTokenClaims) && !owned
}

// preciseReason holds for a JWT of a machine of which the SDK says no more than
// that it is not good.
func preciseReason(r *reading, a *answer) bool {
	return a.Outcome == outcomeRefuse && r.flow == flowJWT
}

// saidObject is what the Backend API says about the credential, empty if that is
// no JSON object.
func (r *reading) saidObject() map[string]any {
	var object map[string]any
	if json.Unmarshal(r.said().body(), &object) != nil {
		return nil
	}
	return object
}

// told makes a rule of a property of a success of the Backend API for which we
// refuse with one of the given reasons.
func told(property func(r *reading, object map[string]any) bool, reasons ...clerkauth.Reason) func(*reading, *answer) bool {
	return func(r *reading, a *answer) bool {
		return r.flow == flowOpaque && r.said().Status/100 == 2 && slices.Contains(reasons, clerkauth.Reason(a.Reason)) &&
			property(r, r.saidObject())
	}
}

// answerTypes are the types of what we read in an answer, all of which may be null.
var answerTypes = map[string]func(any) bool{
	"object": isText, "id": isText, "subject": isText, "type": isText, "name": isText, "client_id": isText,
	"description": isText, "revocation_reason": isText, "created_by": isText,
	"scopes": func(v any) bool {
		list, ok := v.([]any)
		return ok && !slices.ContainsFunc(list, func(v any) bool { return v != nil && notText(v) })
	},
	"revoked": isBool, "expired": isBool,
	"expiration": isInteger, "created_at": isInteger, "updated_at": isInteger, "last_used_at": isInteger,
}

func isText(v any) bool { return !notText(v) }

func isBool(v any) bool { return v == true || v == false }

func isInteger(v any) bool {
	f, ok := v.(float64)
	return ok && f == math.Trunc(f) && math.Abs(f) < 1<<63
}

// noAnswer holds for an answer that is no object of Clerk's, or does not say whether
// the credential is revoked and whether it has expired.
func noAnswer(r *reading, object map[string]any) bool {
	for name, fits := range answerTypes {
		if v := object[name]; v != nil && !fits(v) {
			return true
		}
	}
	text := r.said().body()
	for _, name := range []string{"revoked", "expired"} {
		if !isBool(object[name]) {
			return true
		}
	}
	return object == nil || hasTwins(text) || badJSON(text) || tooDeep(text) || len(text) > 64<<10
}

func otherObject(r *reading, object map[string]any) bool {
	return object["object"] != map[clerkauth.TokenType]string{
		clerkauth.APIKey: "api_key", clerkauth.M2MToken: "machine_to_machine_token", clerkauth.OAuthToken: "clerk_idp_oauth_access_token",
	}[r.kind]
}

func namesNobody(_ *reading, object map[string]any) bool {
	return !isID(object["id"]) || !isID(object["subject"])
}

func noLongerGood(r *reading, object map[string]any) bool {
	expiration, ok := object["expiration"].(float64)
	return object["revoked"] == true || object["expired"] == true || ok && expiration <= float64(r.Now)
}

// otherMeaning holds for errors of the Backend API: 401 is about our key whatever
// comes with it, and 404 about the credential only if Clerk says so.
func otherMeaning(r *reading, a *answer) bool {
	status := r.said().Status
	return a.Outcome == outcomeRefuse && r.flow == flowOpaque && (status == 401 || status == 404)
}

// charset holds for JSON that the SDK takes for a text, because its type has a
// parameter.
func charset(r *reading, a *answer) bool {
	return a.Outcome == outcomeIn && r.flow == flowOpaque && r.said().ContentType != "application/json"
}

// emptyScopes holds where the SDK takes nothing, between spaces, for a scope.
func emptyScopes(r *reading, a *answer) bool {
	text, isText := r.p["scopes"].(string)
	if r.kind == clerkauth.OAuthToken {
		text, isText = r.p["scope"].(string)
	}
	return a.Outcome == outcomeIn && r.flow == flowJWT && isText && slices.Contains(strings.Split(text, " "), "")
}

// oddClient holds for a client that is named by what is no id.
func oddClient(r *reading, a *answer) bool {
	client := r.p["client_id"]
	return a.Outcome == outcomeIn && r.flow == flowJWT && r.kind == clerkauth.OAuthToken && truthy(client) && !isID(client)
}
