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
func noInstance(r *reading) bool {
	_, ok := keyIssuer(r.text("publishableKey"))
	return !ok && (r.text("publishableKey") != "" || len(r.list("issuer")) == 0)
}

// missingToken holds where cookies would not do, so that a token is missing.
func missingToken(r *reading) bool {
	return r.token == "" && (r.flow == flowMissing || r.flow == flowMismatch)
}

// opaqueForm is what opaque credentials look like.
var opaqueForm = regexp.MustCompile(`\A(ak|mt|oat)_[A-Za-z0-9_-]{1,512}\z`)

func oddOpaque(r *reading) bool {
	return r.opaque() && !opaqueForm.MatchString(r.token)
}

// otherKind holds for JWTs that we take for a machine's and the SDK does not.
func otherKind(r *reading) bool {
	sub, _ := r.p["sub"].(string)
	machine := r.h["cat"] == "cl_B7d4PD333AAA" || strings.HasPrefix(sub, "mch_") || accessTokenType(r.h["typ"])
	return r.decodes && r.kind == "" && machine
}

// apiKeyJWT holds for a session, to the SDK, with the id of an API key.
func apiKeyJWT(r *reading) bool {
	jti, _ := r.p["jti"].(string)
	_, hasCat := r.h["cat"]
	_, hasSID := r.p["sid"]
	return r.flow == flowSession && strings.HasPrefix(jti, "ak_") && !hasCat && !hasSID
}

// categorised holds for an OAuth token whose category is Clerk's of something else; the
// SDK goes on to check its signature.
func categorised(r *reading) bool {
	cat, ok := r.h["cat"]
	return r.flow == flowJWT && r.kind == clerkauth.OAuthToken && ok && cat != "cl_I7d4PD111III"
}

// claimOfMachine makes a rule of a property for which we refuse the claims of a
// machine's JWT, and the SDK does not.
func claimOfMachine(property func(*reading) bool) func(*reading) []clerkauth.Reason {
	return badClaim(clerkauth.ErrTokenClaims, func(r *reading) bool { return r.flow == flowJWT && property(r) })
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
func foreignSubject(r *reading) bool {
	subject := r.p["sub"]
	switch {
	case r.flow == flowOpaque && r.said().Status/100 == 2:
		subject = r.saidObject()["subject"]
	case r.flow != flowJWT || !r.signed() || r.sdkJudges() != "":
		return false
	}
	s, _ := subject.(string)
	return !ownedBy(r.kind, s)
}

// owners are what the ids begin with that credentials of a kind may be for.
var owners = map[clerkauth.TokenType][]string{
	clerkauth.APIKey: {"user_", "org_"}, clerkauth.M2MToken: {"mch_"}, clerkauth.OAuthToken: {"user_"},
}

func ownedBy(kind clerkauth.TokenType, subject string) bool {
	return slices.ContainsFunc(owners[kind], func(prefix string) bool {
		return strings.HasPrefix(subject, prefix) && subject != prefix
	})
}

// preciseReason returns what is wrong with a JWT of a machine of which the SDK says no
// more than that it is not good.
func preciseReason(r *reading) (answers []clerkauth.Reason) {
	if r.flow != flowJWT {
		return nil
	}
	if typ, hasType := r.h["typ"]; hasType && typ != "JWT" && r.kind == clerkauth.M2MToken {
		answers = append(answers, r.invalid()...)
	}
	switch {
	case r.h["alg"] != "RS256":
		answers = append(answers, clerkauth.ErrTokenAlgorithm)
	case r.keys == keyUnknown:
		answers = append(answers, clerkauth.ErrUnknownKey)
	case r.keys == keysFailed, r.keys == keysBroken:
		answers = append(answers, clerkauth.ErrKeysUnavailable, clerkauth.ErrSecretKeyInvalid)
	case !r.signed():
		answers = append(answers, clerkauth.ErrTokenSignature)
	default:
		answers = append(answers, r.sdkJudgesTimes())
	}
	return answers
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
func told(property func(r *reading, object map[string]any) bool, reasons ...clerkauth.Reason) func(*reading) []clerkauth.Reason {
	return when(func(r *reading) bool {
		return r.flow == flowOpaque && r.said().Status/100 == 2 && property(r, r.saidObject())
	}, reasons...)
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
		for other := range object {
			if other != name && strings.EqualFold(other, name) {
				return true // it is one or the other, by who reads it
			}
		}
	}
	text := r.said().body()
	return object == nil || !isBool(object["revoked"]) || !isBool(object["expired"]) || hasDuplicates(text) || badJSON(text) || tooDeep(text) || len(text) > 64<<10
}

func otherObject(r *reading, object map[string]any) bool {
	return object["object"] != map[clerkauth.TokenType]string{
		clerkauth.APIKey: "api_key", clerkauth.M2MToken: "machine_to_machine_token", clerkauth.OAuthToken: "clerk_idp_oauth_access_token",
	}[r.kind]
}

func namesNobody(_ *reading, object map[string]any) bool {
	return !isID(object["id"]) || !isID(object["subject"])
}

// bound holds for a credential that is bound to a key.
func bound(_ *reading, object map[string]any) bool {
	_, said := object["cnf"]
	custom, _ := object["claims"].(map[string]any)
	_, claimed := custom["cnf"]
	return said || claimed
}

func noLongerGood(r *reading, object map[string]any) bool {
	expiration, ok := object["expiration"].(float64)
	return object["revoked"] == true || object["expired"] == true || ok && expiration <= float64(r.Now)
}

// goodAnswer tells whether the Backend API says that the credential is good.
func (r *reading) goodAnswer() bool {
	if r.flow != flowOpaque || r.said().Status/100 != 2 {
		return false
	}
	object := r.saidObject()
	for _, wrong := range []func(*reading, map[string]any) bool{noAnswer, otherObject, namesNobody, noLongerGood, bound} {
		if wrong(r, object) {
			return false
		}
	}
	return !foreignSubject(r)
}

// otherMeaning returns what we make of errors of the Backend API: 401 is about our key
// whatever comes with it, and 404 about the credential only if Clerk says so.
func otherMeaning(r *reading) []clerkauth.Reason {
	status := r.said().Status
	switch {
	case r.flow != flowOpaque:
		return nil
	case status == 401:
		return []clerkauth.Reason{clerkauth.ErrSecretKeyInvalid}
	case status == 404 && saysNotFound(r.saidObject()):
		return []clerkauth.Reason{clerkauth.ErrTokenInvalid}
	case status == 404:
		return []clerkauth.Reason{clerkauth.ErrBackendUnavailable}
	default:
		return nil
	}
}

// saysNotFound tells whether an answer is Clerk's error that what was asked for is not
// there.
func saysNotFound(object map[string]any) bool {
	list, _ := object["errors"].([]any)
	return slices.ContainsFunc(list, func(e any) bool {
		err, _ := e.(map[string]any)
		code, _ := err["code"].(string)
		return strings.HasSuffix(code, "not_found")
	})
}

// charset holds for JSON that the SDK takes for a text, because its type has a
// parameter.
func charset(r *reading) bool {
	kind, _, _ := strings.Cut(r.said().ContentType, ";")
	return kind == "application/json" && r.said().ContentType != kind && r.goodAnswer()
}

// emptyScopes holds where the SDK takes nothing, between spaces, for a scope.
func emptyScopes(r *reading) bool {
	text, isText := r.p["scopes"].(string)
	if r.kind == clerkauth.OAuthToken {
		text, isText = r.p["scope"].(string)
	}
	return r.flow == flowJWT && isText && slices.Contains(strings.Split(text, " "), "")
}

// oddClient holds for a client that is named by what is no id.
func oddClient(r *reading) bool {
	client := r.p["client_id"]
	return r.flow == flowJWT && r.kind == clerkauth.OAuthToken && truthy(client) && !isID(client)
}
