package main

import (
	"cmp"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/clerkauth/clerkauth"
)

// flow is how the SDK goes about a request.
type flow int

const (
	flowThrows   flow = iota // at the options, whatever is presented
	flowMismatch             // token-type-mismatch
	flowMissing              // there is no credential, and no cookie that would do
	flowCookies
	flowSession
	flowJWT         // of a machine
	flowUndecodable // it has the form of a JWT, and is called an invalid one of a machine
	flowOpaque
)

// noToken is the SDK's reason where a machine's credential is asked for.
const noToken clerkauth.Reason = "No token in header"

var machineKinds = []clerkauth.TokenType{clerkauth.APIKey, clerkauth.M2MToken, clerkauth.OAuthToken}

var jwtFormat = regexp.MustCompile(`\A[a-zA-Z0-9_-]+\.[a-zA-Z0-9_-]+\.[a-zA-Z0-9_-]+\z`)

// sdkKind returns what kind of machine credential the SDK takes the token for, ""
// for none.
func (r *reading) sdkKind() clerkauth.TokenType {
	sub, _ := r.p["sub"].(string)
	jwt := r.decodes && jwtFormat.MatchString(r.token)
	switch {
	case strings.HasPrefix(r.token, "mt_"), jwt && strings.HasPrefix(sub, "mch_"):
		return clerkauth.M2MToken
	case strings.HasPrefix(r.token, "oat_"), jwt && accessTokenType(r.h["typ"]):
		return clerkauth.OAuthToken
	case strings.HasPrefix(r.token, "ak_"):
		return clerkauth.APIKey
	}
	return ""
}

// accessTokenType tells whether typ is of an OAuth access token (RFC 9068 section 2.1).
func accessTokenType(typ any) bool { return typ == "at+jwt" || typ == "application/at+jwt" }

// readFlow finds out which way the SDK takes, and which token type it reports when
// it refuses.
func (r *reading) readFlow() {
	r.kind = r.sdkKind()
	presented := cmp.Or(r.kind, clerkauth.SessionToken)
	accepts := r.Options["acceptsToken"]
	if accepts == nil {
		accepts = string(clerkauth.SessionToken)
	}
	list, isList := accepts.([]any)
	asked, _ := accepts.(string)
	switch {
	case isList && !slices.Contains(list, any(string(presented))):
		r.flow = flowMismatch // of no type
	case isList || asked == "any":
		r.asked = presented
		r.flow = r.flowOfAny(r.kind != "", r.kind != "" || r.foreign())
	case asked == string(clerkauth.SessionToken):
		r.asked = clerkauth.SessionToken
		r.flow = r.flowOfAny(false, r.kind != "" && !r.opaque() || r.foreign())
	default:
		r.asked = clerkauth.TokenType(asked)
		known := slices.Contains(machineKinds, r.asked)
		r.flow = r.flowOfAny(r.kind == r.asked, true)
		switch {
		case r.flow == flowCookies && known:
			r.flow = flowMissing
		case r.flow == flowCookies:
			r.asked = clerkauth.SessionToken
		}
	}
	if r.rejects() {
		r.flow = flowThrows
	}
}

// flowOfAny is the way of a credential that is verified as a machine's, or is of a
// kind that will not do, or is a session's.
func (r *reading) flowOfAny(machine, mismatch bool) flow {
	switch {
	case r.token == "":
		return flowCookies
	case machine && !jwtFormat.MatchString(r.token):
		return flowOpaque
	case machine && !r.decodes:
		return flowUndecodable
	case machine:
		return flowJWT
	case mismatch:
		return flowMismatch
	default:
		return flowSession
	}
}

// fetchesKeys tells whether the SDK needs the instance's keys for the token.
func (r *reading) fetchesKeys() bool {
	verifies := r.flow == flowSession && r.decodes || r.flow == flowJWT && !r.otherCategory()
	return verifies && r.text("jwtKey") == "" && r.text("secretKey") != ""
}

// otherCategory tells whether a machine-to-machine JWT says that it is none.
func (r *reading) otherCategory() bool {
	cat, ok := r.h["cat"]
	return r.kind == clerkauth.M2MToken && ok && cat != "cl_B7d4PD333AAA"
}

// sdkRefuses tells for which reason the SDK refuses the request, as far as that
// follows from the inputs, and of what type it calls the token; "" where it does
// not follow.
func (r *reading) sdkRefuses() (clerkauth.Reason, clerkauth.TokenType) {
	switch r.flow {
	case flowMismatch:
		return clerkauth.ErrTokenType, r.asked
	case flowMissing:
		return noToken, r.asked
	case flowUndecodable:
		return clerkauth.ErrTokenInvalid, clerkauth.M2MToken
	case flowSession:
		return r.sdkReason(), clerkauth.SessionToken
	case flowJWT:
		return r.sdkRefusesJWT(), r.kind
	case flowOpaque:
		reason, _ := r.sdkAsks()
		return reason, r.kind
	}
	return "", ""
}

// sdkRefusesJWT is sdkRefuses for a JWT of a machine: but for its category, all
// that can be wrong with it is one reason.
func (r *reading) sdkRefusesJWT() clerkauth.Reason {
	typ, hasType := r.h["typ"]
	alg, _ := r.h["alg"].(string)
	switch {
	case r.otherCategory():
		return clerkauth.ErrTokenInvalid
	case r.text("jwtKey") == "" && r.text("secretKey") == "",
		r.keys == keyUnknown, r.keys == keysFailed, r.keys == keysBroken,
		r.kind == clerkauth.M2MToken && hasType && typ != "JWT",
		!slices.Contains([]string{"RS256", "RS384", "RS512"}, alg):
		return clerkauth.ErrTokenClaims
	}
	return r.sdkJudges()
}

// sdkCrashes tells whether the SDK throws at what a machine presents, or at what
// it is told about it. At the scopes of a JWT it does so last, when its signature has
// been found good.
func (r *reading) sdkCrashes() bool {
	switch r.flow {
	case flowOpaque:
		_, crash := r.sdkAsks()
		return crash
	case flowJWT:
		if r.header == nil || r.payload == nil {
			return true
		}
		late := r.signed()
		text := r.p["scopes"]
		if r.kind == clerkauth.OAuthToken {
			text = r.p["scope"]
			late = late && r.p["scp"] == nil
		}
		return late && r.sdkRefusesJWT() == "" && text != nil && notText(text)
	}
	return false
}

// verifyPaths are where the Backend API verifies opaque credentials.
var verifyPaths = map[clerkauth.TokenType]string{
	clerkauth.APIKey:     "/api_keys/verify",
	clerkauth.M2MToken:   "/m2m_tokens/verify",
	clerkauth.OAuthToken: "/oauth_applications/access_tokens/verify",
}

// said is what the Backend API answers in this case when it is asked about the
// credential.
func (r *reading) said() bapiAnswer { return find(r.BAPI, "POST", verifyPaths[r.kind]) }

// sdkAsks tells for which reason the SDK refuses an opaque credential, "" if it
// does not, and whether it throws at the answer.
func (r *reading) sdkAsks() (reason clerkauth.Reason, crash bool) {
	said := r.said()
	if said.Status == 0 {
		return clerkauth.ErrBackendUnavailable, false
	}
	if said.Status == 204 {
		if r.kind == clerkauth.OAuthToken {
			return clerkauth.ErrBackendUnavailable, false
		}
		return "", true
	}
	var body any = string(said.body())
	if said.ContentType == "application/json" && json.Unmarshal(said.body(), &body) != nil {
		return clerkauth.ErrBackendUnavailable, false
	}
	if said.Status/100 != 2 {
		return sdkErrorReason(said.Status, body), false
	}
	_, isText := body.(string)
	list, isList := body.([]any)
	object, isObject := body.(map[string]any)
	bare := func(v any) bool { return v == nil || v == true || v == false || isNumber(v) }
	if !isText && !isList && !isObject || slices.ContainsFunc(list, bare) {
		return clerkauth.ErrBackendUnavailable, false
	}
	switch r.kind {
	case clerkauth.OAuthToken:
		aud := object["aud"]
		if object["object"] == "api_key" || object["object"] == "machine_to_machine_token" {
			aud = nil
		}
		if !r.sdkOAuthAudience(aud) {
			return clerkauth.ErrTokenClaims, false
		}
	case clerkauth.APIKey:
		return "", notText(object["subject"])
	}
	return "", false
}

func isNumber(v any) bool {
	_, ok := v.(float64)
	return ok
}

// sdkErrorReason is what the SDK makes of an error of the Backend API. Where its
// list of errors is none, reading it fails.
func sdkErrorReason(status int, body any) clerkauth.Reason {
	if object, ok := body.(map[string]any); ok {
		errs, present := object["errors"]
		text, isText := errs.(string)
		list, _ := errs.([]any)
		if present && errs == nil || isText && text != "" || slices.Contains(list, nil) {
			return clerkauth.ErrBackendUnavailable
		}
	}
	switch status {
	case 401:
		return clerkauth.ErrSecretKeyInvalid
	case 404:
		return clerkauth.ErrTokenInvalid
	default:
		return clerkauth.ErrBackendUnavailable
	}
}

// sdkOAuthAudience wants one of the configured audiences, and no empty one beside
// it.
func (r *reading) sdkOAuthAudience(aud any) bool {
	wanted := slices.DeleteFunc(r.list("audience"), func(s string) bool { return s == "" })
	if len(wanted) == 0 {
		return true
	}
	list, isList := aud.([]any)
	if !isList {
		list = []any{aud}
	}
	odd := func(v any) bool { return notText(v) || v == "" }
	return !slices.ContainsFunc(list, odd) && slices.ContainsFunc(list, func(v any) bool { return slices.Contains(wanted, v.(string)) })
}
