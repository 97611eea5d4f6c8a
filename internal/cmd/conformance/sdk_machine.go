package main

import (
	"cmp"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/clerkauth/clerkauth"
)

// flow is the way in which the SDK handles a request.
type flow int

const (
	flowThrows   flow = iota // because of the options
	flowMismatch             // token-type-mismatch
	flowMissing              // no credential, and cookies are not accepted
	flowCookies
	flowSession
	flowJWT         // of a machine
	flowUndecodable // a machine's token in the form of a JWT that does not decode
	flowOpaque
	flowHandshake // of a handshake token; no flow of a case
)

// noToken is the SDK's reason where a machine's credential is required and there is none.
const noToken clerkauth.Reason = "No token in header"

var machineKinds = []clerkauth.TokenType{clerkauth.APIKey, clerkauth.M2MToken, clerkauth.OAuthToken}

var jwtFormat = regexp.MustCompile(`\A[a-zA-Z0-9_-]+\.[a-zA-Z0-9_-]+\.[a-zA-Z0-9_-]+\z`)

// sdkKind returns the kind of machine credential that the SDK takes the token for, or "".
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

// accessTokenType reports whether typ is that of an OAuth access token (RFC 9068 section
// 2.1).
func accessTokenType(typ any) bool { return typ == "at+jwt" || typ == "application/at+jwt" }

// readFlow sets the flow, the kind, and the token type that the SDK reports in a refusal.
func (r *reading) readFlow() {
	r.kind = r.sdkKind()
	presented := cmp.Or(r.kind, clerkauth.SessionToken)
	accepts := r.Options["acceptsToken"]
	if accepts == nil {
		accepts = string(clerkauth.SessionToken)
	}
	list, isList := accepts.([]any)
	requested, _ := accepts.(string)
	switch {
	case isList && !slices.Contains(list, any(string(presented))):
		r.flow = flowMismatch // without a token type
	case isList || requested == "any":
		r.requested = presented
		r.flow = r.flowOfAny(r.kind != "", r.kind != "" || r.foreign())
	case requested == string(clerkauth.SessionToken):
		r.requested = clerkauth.SessionToken
		r.flow = r.flowOfAny(false, r.kind != "" && !r.opaque() || r.foreign())
	default:
		r.requested = clerkauth.TokenType(requested)
		known := slices.Contains(machineKinds, r.requested)
		r.flow = r.flowOfAny(r.kind == r.requested, true)
		switch {
		case r.flow == flowCookies && known:
			r.flow = flowMissing
		case r.flow == flowCookies:
			r.requested = clerkauth.SessionToken
		}
	}
	if r.rejects() {
		r.flow = flowThrows
	}
}

// flowOfAny returns the flow of a token: as a machine's, as one of a kind that is not
// accepted, or as a session's.
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

// fetchesKeys reports whether the SDK needs the instance's keys for the token.
func (r *reading) fetchesKeys() bool {
	verifies := r.flow == flowSession && r.decodes || r.flow == flowJWT && !r.otherCategory()
	return verifies && r.text("jwtKey") == "" && r.text("secretKey") != ""
}

// otherCategory reports whether a machine-to-machine JWT has another category.
func (r *reading) otherCategory() bool {
	cat, ok := r.h["cat"]
	return r.kind == clerkauth.M2MToken && ok && cat != "cl_B7d4PD333AAA"
}

// sdkRefuses returns the SDK's reason to refuse the request and the token type in its
// refusal, as far as they follow from the inputs, or "".
func (r *reading) sdkRefuses() (clerkauth.Reason, clerkauth.TokenType) {
	switch r.flow {
	case flowMismatch:
		return clerkauth.ErrTokenType, r.requested
	case flowMissing:
		return noToken, r.requested
	case flowUndecodable:
		return clerkauth.ErrTokenInvalid, clerkauth.M2MToken
	case flowSession:
		return r.sdkReason(), clerkauth.SessionToken
	case flowJWT:
		return r.sdkRefusesJWT(), r.kind
	case flowOpaque:
		reason, _ := r.sdkOpaque()
		return reason, r.kind
	}
	return "", ""
}

// sdkRefusesJWT is sdkRefuses for a machine's JWT. Except for the category, the SDK has a
// single reason.
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

// sdkCrashes reports whether the SDK throws because of a machine's credential or of the
// Backend API's response about it. It reads the scopes of a JWT last, after its signature
// has been verified.
func (r *reading) sdkCrashes() bool {
	switch r.flow {
	case flowOpaque:
		_, crash := r.sdkOpaque()
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

// verifyPaths are the paths at which the Backend API verifies opaque credentials.
var verifyPaths = map[clerkauth.TokenType]string{
	clerkauth.APIKey:     "/api_keys/verify",
	clerkauth.M2MToken:   "/m2m_tokens/verify",
	clerkauth.OAuthToken: "/oauth_applications/access_tokens/verify",
}

// response returns the Backend API's response, in this case, about the credential.
func (r *reading) response() bapiAnswer { return find(r.BAPI, "POST", verifyPaths[r.kind]) }

// sdkOpaque returns the SDK's reason to refuse an opaque credential, or "" if it does not,
// and whether it throws because of the response.
func (r *reading) sdkOpaque() (reason clerkauth.Reason, crash bool) {
	resp := r.response()
	if resp.Status == 0 {
		return clerkauth.ErrBackendUnavailable, false
	}
	if resp.Status == 204 {
		if r.kind == clerkauth.OAuthToken {
			return clerkauth.ErrBackendUnavailable, false
		}
		return "", true
	}
	var body any = string(resp.body())
	if resp.ContentType == "application/json" && json.Unmarshal(resp.body(), &body) != nil {
		return clerkauth.ErrBackendUnavailable, false
	}
	if resp.Status/100 != 2 {
		return sdkErrorReason(resp.Status, body), false
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

// sdkErrorReason returns the SDK's reason for an error of the Backend API. If the list of
// errors is malformed, the SDK fails to read it.
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

// sdkOAuthAudience reports whether the SDK accepts aud: it must have one of the configured
// audiences, and no empty one beside it.
func (r *reading) sdkOAuthAudience(aud any) bool {
	wanted := slices.DeleteFunc(r.list("audience"), func(s string) bool { return s == "" })
	if len(wanted) == 0 {
		return true
	}
	list, isList := aud.([]any)
	if !isList {
		list = []any{aud}
	}
	invalid := func(v any) bool { return notText(v) || v == "" }
	return !slices.ContainsFunc(list, invalid) && slices.ContainsFunc(list, func(v any) bool { return slices.Contains(wanted, v.(string)) })
}
