package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/clerkauth/clerkauth"
)

// failed decides where a session token is rejected for that reason: an expired one is
// refreshed, and the browser gets a new one by a handshake.
func (b *browser) failed(reason clerkauth.Reason, s *reading) ruling {
	switch reason {
	case clerkauth.ErrTokenEarly:
		return b.handshake("session-token-nbf", nil)
	case clerkauth.ErrTokenFuture:
		return b.handshake("session-token-iat-in-the-future", nil)
	case clerkauth.ErrTokenExpired:
	default:
		return refuse(reason)
	}
	var why string
	switch {
	case !b.get():
		why = "non-eligible-non-get"
	case b.refresh == "":
		why = "non-eligible-no-refresh-cookie"
	case b.on("bearer-refresh") && s.token == b.token && b.session != "" && b.session != s.token:
		why = "non-eligible-no-refresh-cookie"
	case b.crossSite():
		return refuse(clerkauth.ErrCrossSite)
	case b.speculative():
		return refuse(clerkauth.ErrBackendUnavailable)
	default:
		done, failure, away := b.refreshed(s)
		if failure == "" {
			return done
		}
		why = failure
		if away && b.on("outage-refused") {
			if to := b.handshake(clerkauth.Reason("session-token-expired-refresh-"+why), nil); to.outcome == outcomeRedirect {
				return to
			}
			return refuse(clerkauth.ErrBackendUnavailable)
		}
	}
	return b.handshake(clerkauth.Reason("session-token-expired-refresh-"+why), nil)
}

var (
	sessionID = regexp.MustCompile(`\Asess_[A-Za-z0-9_]+\z`)
	errorCode = regexp.MustCompile(`\A[a-z][a-z_-]*\z`)
)

// refreshed asks the Backend API for a new token. It returns the SDK's name of the
// failure, and whether the API is away.
func (b *browser) refreshed(old *reading) (done ruling, failure string, away bool) {
	expired := old
	if b.session != "" {
		expired = b.as(b.session)
	}
	id := expired.p["sid"]
	switch {
	case !expired.decodes:
		return ruling{}, "expired-session-token-decode-failed", false
	case !truthy(id):
		return ruling{}, "expired-session-token-missing-sid-claim", false
	}
	path := fmt.Sprint("/v1/sessions/", id, "/refresh")
	if strings.Contains(path, "/../") || strings.Contains(path, "/./") {
		return ruling{}, "unexpected-bapi-error", false
	}
	a := find(b.BAPI, http.MethodPost, path)
	if text, _ := id.(string); b.on("session-ids") && !sessionID.MatchString(text) {
		return ruling{}, "resource_not_found", false
	}
	if a.Status == 0 {
		return ruling{}, "fetch-error", true
	}
	if a.Status/100 != 2 {
		return ruling{}, b.refreshError(a), unreachable(a.Status)
	}
	var body struct {
		Cookies []any `json:"cookies"`
	}
	malformed := json.Unmarshal(a.body(), &body) != nil
	switch odd := slices.ContainsFunc(body.Cookies, notText); {
	case (malformed || odd) && b.on("outage-refused"):
		return ruling{}, "unexpected-bapi-error", true
	case odd:
		return ruling{outcome: outcomeRefuse, silent: true}, "", false
	case len(body.Cookies) == 0:
		return ruling{}, "unexpected-sdk-error", false
	}
	cookies, token, ok := b.read(body.Cookies)
	switch {
	case cookies == nil && !b.on("session-directive"):
		return ruling{outcome: outcomeRefuse, silent: true}, "", false
	case !ok:
		return ruling{}, "unexpected-sdk-error", false
	}
	done.cookies = cookies
	s := b.as(token)
	if b.verify(s) != "" || b.on("same-session") && (s.p["sub"] != expired.p["sub"] || s.p["sid"] != id) ||
		b.on("session-category") && s.otherType() {
		return ruling{}, "invalid-session-token", false
	}
	if b.on("sync-after-refresh") && b.token == "" && b.otherOrganization(s) {
		if away := b.handshake("active-organization-mismatch", nil); away.outcome == outcomeRedirect {
			return away, "", false
		}
	}
	if b.on("own-cookies") {
		done.cookies = b.ownCookies(done.cookies)
	}
	return b.byCookie(s, done), "", false
}

// refreshError returns the SDK's name for an error of the Backend API: its first code.
func (b *browser) refreshError(a bapiAnswer) string {
	var body struct {
		Errors []struct {
			Code string `json:"code"`
		} `json:"errors"`
	}
	if a.ContentType == "application/json" {
		_ = json.Unmarshal(a.body(), &body)
	}
	if len(body.Errors) == 0 {
		return "unexpected-bapi-error"
	}
	code := body.Errors[0].Code
	switch {
	case code == "unexpected_error":
		return "fetch-error"
	case b.on("known-codes") && !errorCode.MatchString(code):
		return "unexpected-bapi-error"
	}
	return code
}
