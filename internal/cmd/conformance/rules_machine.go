package main

import (
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/clerkauth/clerkauth"
)

// noInstance reports whether the options name no instance: the publishable key is invalid,
// or there are neither a key nor issuers.
func noInstance(r *reading) bool {
	_, ok := keyIssuer(r.text("publishableKey"))
	return !ok && (r.text("publishableKey") != "" || len(r.list("issuer")) == 0)
}

// missingToken reports whether there is no token and cookies are not accepted.
func missingToken(r *reading) bool {
	return r.token == "" && (r.flow == flowMissing || r.flow == flowMismatch)
}

// opaqueForm matches opaque credentials.
var opaqueForm = regexp.MustCompile(`\A(ak|mt|oat)_[A-Za-z0-9_-]{1,512}\z`)

func malformedOpaque(r *reading) bool {
	return r.opaque() && !opaqueForm.MatchString(r.token)
}

// otherKind reports whether we take the JWT for a machine's and the SDK does not.
func otherKind(r *reading) bool {
	sub, _ := r.p["sub"].(string)
	machine := r.h["cat"] == "cl_B7d4PD333AAA" || strings.HasPrefix(sub, "mch_") || accessTokenType(r.h["typ"])
	return r.decodes && r.kind == "" && machine
}

// apiKeyJWT reports whether the SDK takes a JWT with the id of an API key for a session.
func apiKeyJWT(r *reading) bool {
	jti, _ := r.p["jti"].(string)
	_, hasCat := r.h["cat"]
	_, hasSID := r.p["sid"]
	return r.flow == flowSession && strings.HasPrefix(jti, "ak_") && !hasCat && !hasSID
}

// categorised reports whether an OAuth token has the category of another kind, which the
// SDK ignores.
func categorised(r *reading) bool {
	cat, ok := r.h["cat"]
	return r.flow == flowJWT && r.kind == clerkauth.OAuthToken && ok && cat != "cl_I7d4PD111III"
}

// claimOfMachine is badClaim for properties of machines' JWTs.
func claimOfMachine(property func(*reading) bool) func(*reading) []clerkauth.Reason {
	return badClaim(clerkauth.ErrTokenClaims, func(r *reading) bool { return r.flow == flowJWT && property(r) })
}

func noTokenID(r *reading) bool { return !isID(r.p["jti"]) }

// malformedScopes reports whether the scopes, which are in the first of two claims that is
// present, are neither a string nor a list of strings.
func malformedScopes(r *reading) bool {
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

// foreignSubject reports whether the subject has the wrong prefix for its kind.
func foreignSubject(r *reading) bool {
	subject := r.p["sub"]
	switch {
	case r.flow == flowOpaque && r.response().Status/100 == 2:
		subject = r.responseObject()["subject"]
	case r.flow != flowJWT || !r.signed() || r.sdkJudges() != "":
		return false
	}
	s, _ := subject.(string)
	return !ownedBy(r.kind, s)
}

// owners are the prefixes of the subjects of each kind of credential.
var owners = map[clerkauth.TokenType][]string{
	clerkauth.APIKey: {"user_", "org_"}, clerkauth.M2MToken: {"mch_"}, clerkauth.OAuthToken: {"user_"},
}

func ownedBy(kind clerkauth.TokenType, subject string) bool {
	return slices.ContainsFunc(owners[kind], func(prefix string) bool {
		return strings.HasPrefix(subject, prefix) && subject != prefix
	})
}

// preciseReason returns our reasons to reject a machine's JWT for which the SDK has a
// single reason.
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

// responseObject returns the Backend API's response about the credential, or nil if it
// is not a JSON object.
func (r *reading) responseObject() map[string]any {
	var object map[string]any
	if json.Unmarshal(r.response().body(), &object) != nil {
		return nil
	}
	return object
}

// told returns the answers function for a property of a successful response of the
// Backend API that we reject with one of the reasons.
func told(property func(r *reading, object map[string]any) bool, reasons ...clerkauth.Reason) func(*reading) []clerkauth.Reason {
	return when(func(r *reading) bool {
		return r.flow == flowOpaque && r.response().Status/100 == 2 && property(r, r.responseObject())
	}, reasons...)
}

// answerTypes are the types of the members that we read in a response. All may be null.
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

// noAnswer reports whether a response is not an object of Clerk's types, or lacks revoked
// or expired.
func noAnswer(r *reading, object map[string]any) bool {
	for name, fits := range answerTypes {
		if v := object[name]; v != nil && !fits(v) {
			return true
		}
		for other := range object {
			if other != name && strings.EqualFold(other, name) {
				return true // parsers disagree on which one counts
			}
		}
	}
	text := r.response().body()
	return object == nil || !isBool(object["revoked"]) || !isBool(object["expired"]) || hasDuplicates(text) || badJSON(text) || tooDeep(text) || len(text) > 64<<10
}

func otherObject(r *reading, object map[string]any) bool {
	return object["object"] != map[clerkauth.TokenType]string{
		clerkauth.APIKey: "api_key", clerkauth.M2MToken: "machine_to_machine_token", clerkauth.OAuthToken: "clerk_idp_oauth_access_token",
	}[r.kind]
}

func lacksIDs(_ *reading, object map[string]any) bool {
	return !isID(object["id"]) || !isID(object["subject"])
}

// bound reports whether a credential is bound to a key.
func bound(_ *reading, object map[string]any) bool {
	_, own := object["cnf"]
	custom, _ := object["claims"].(map[string]any)
	_, claimed := custom["cnf"]
	return own || claimed
}

func noLongerGood(r *reading, object map[string]any) bool {
	expiration, ok := object["expiration"].(float64)
	return object["revoked"] == true || object["expired"] == true || ok && expiration <= float64(r.Now)
}

// goodAnswer reports whether the Backend API's response makes the credential valid.
func (r *reading) goodAnswer() bool {
	if r.flow != flowOpaque || r.response().Status/100 != 2 {
		return false
	}
	object := r.responseObject()
	for _, wrong := range []func(*reading, map[string]any) bool{noAnswer, otherObject, lacksIDs, noLongerGood, bound} {
		if wrong(r, object) {
			return false
		}
	}
	return !foreignSubject(r)
}

// otherMeaning returns our reasons for errors of the Backend API: 401 is about our key
// whatever its body, and 404 is about the credential only with Clerk's error code.
func otherMeaning(r *reading) []clerkauth.Reason {
	status := r.response().Status
	switch {
	case r.flow != flowOpaque:
		return nil
	case status == 401:
		return []clerkauth.Reason{clerkauth.ErrSecretKeyInvalid}
	case status == 404 && isNotFound(r.responseObject()):
		return []clerkauth.Reason{clerkauth.ErrTokenInvalid}
	case status == 404:
		return []clerkauth.Reason{clerkauth.ErrBackendUnavailable}
	default:
		return nil
	}
}

// isNotFound reports whether a response has Clerk's error code for not found.
func isNotFound(object map[string]any) bool {
	list, _ := object["errors"].([]any)
	return slices.ContainsFunc(list, func(e any) bool {
		err, _ := e.(map[string]any)
		code, _ := err["code"].(string)
		return strings.HasSuffix(code, "not_found")
	})
}

// charset reports whether the SDK does not parse a valid response, because its content
// type has a parameter.
func charset(r *reading) bool {
	kind, _, _ := strings.Cut(r.response().ContentType, ";")
	return kind == "application/json" && r.response().ContentType != kind && r.goodAnswer()
}

// emptyScopes reports whether the SDK has an empty scope, from two adjacent spaces.
func emptyScopes(r *reading) bool {
	text, isText := r.p["scopes"].(string)
	if r.kind == clerkauth.OAuthToken {
		text, isText = r.p["scope"].(string)
	}
	return r.flow == flowJWT && isText && slices.Contains(strings.Split(text, " "), "")
}

// malformedClient reports whether the client id is not an id of visible ASCII.
func malformedClient(r *reading) bool {
	client := r.p["client_id"]
	return r.flow == flowJWT && r.kind == clerkauth.OAuthToken && truthy(client) && !isID(client)
}
