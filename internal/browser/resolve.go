package browser

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Resolve returns the next step of a request with these facts, after those steps that have
// found what found holds. The order in which it decides is that of Clerk's SDKs, so that
// the same reason is given.
func Resolve(s *Settings, f *Facts, found *Findings) Step {
	r := resolution{s, f, found}
	if f.Bearer != "" {
		v := found.Tokens[Presented]
		switch {
		case v == nil:
			return Step{Action: Verify, Token: f.Bearer}
		case v.valid():
			return Step{Action: SignedIn}
		default:
			return r.failed(v, f.Bearer)
		}
	}
	if step, decided := r.handshake(); decided {
		return step
	}
	if step, decided := r.domains(); decided {
		return step
	}
	return r.session()
}

// resolution is one call of Resolve.
type resolution struct {
	s     *Settings
	f     *Facts
	found *Findings
}

func signedOut(reason string) Step { return Step{Action: SignedOut, Reason: reason} }

// session decides by the session cookie and the time at which the browser's client last
// changed, which the Frontend API tells in another cookie: a session cookie that is older
// is outdated.
func (r *resolution) session() Step {
	f := r.f
	switch {
	case f.ClientUAT == 0 && f.Session == "":
		return signedOut(ReasonNothing)
	case f.ClientUAT == 0:
		return r.begin(ReasonNoClientUAT)
	case f.Session == "":
		return r.begin(ReasonNoSession)
	}
	switch {
	case !f.claims.decodes:
		return signedOut(ReasonTokenInvalid)
	case f.claims.machine:
		return signedOut(ReasonTokenType)
	case f.claims.hasIAT && f.claims.issuedAt < f.ClientUAT:
		return r.begin(ReasonOutdated)
	}
	v := r.found.Tokens[Presented]
	switch {
	case v == nil:
		return Step{Action: Verify, Token: f.Session}
	case !v.valid():
		return r.failed(v, f.Session)
	case !v.HasIssuedAt:
		return r.begin(ReasonOutdated)
	case r.needsPrimarySync():
		return r.begin(ReasonPrimarySync)
	case r.needsOrganization(v):
		return r.begin(ReasonOrganization)
	}
	return r.signIn(v, Step{Of: Presented})
}

// signIn makes step the end of a request with cookies that v is the verdict about.
func (r *resolution) signIn(v *Verdict, step Step) Step {
	switch {
	case v.NoUser:
	case r.f.CrossSite:
		return signedOut(ReasonCrossSite)
	case r.f.Differs && step.Of != Received:
		// One of the two may have been planted; the Frontend API knows which is
		// right.
		return r.begin(ReasonNoSession)
	}
	step.Action = SignedIn
	return step
}

// failed decides about a token that is not valid. One whose time is wrong is worth
// renewing.
func (r *resolution) failed(v *Verdict, token string) Step {
	switch {
	case v.Away:
		return Step{Action: Unavailable, Reason: v.Reason}
	case v.Reason == ReasonEarly:
		return r.begin(ReasonSessionEarly)
	case v.Reason == ReasonFuture:
		return r.begin(ReasonSessionFuture)
	case v.Reason != ReasonExpired:
		return signedOut(v.Reason)
	}
	return r.renew(v, token)
}

// sessionID matches the ids that Clerk gives to sessions.
var sessionID = regexp.MustCompile(`\Asess_[A-Za-z0-9_]+\z`)

// SessionID reports whether id is like those that Clerk gives to sessions. No other becomes
// part of the path of a request to the Backend API.
func SessionID(id string) bool { return sessionID.MatchString(id) }

// renew refreshes a token that is valid but for its expiry. If that cannot be done, a
// handshake may: the Frontend API may be reached where the Backend API is not.
func (r *resolution) renew(v *Verdict, token string) Step {
	f := r.f
	switch {
	case f.Method != http.MethodGet:
		return r.begin(ReasonExpiredRefresh + reasonNonGET)
	case f.Refresh == "" || f.Bearer != "" && f.Session != "" && f.Session != f.Bearer:
		return r.begin(ReasonExpiredRefresh + reasonNoRefreshCookie)
	case f.CrossSite:
		return signedOut(ReasonCrossSite)
	case f.Speculative:
		return Step{Action: Postpone, Reason: ReasonUnavailable}
	case v.Session == "":
		return r.begin(ReasonExpiredRefresh + reasonMissingSessionID)
	case slices.Contains(strings.Split(v.Session, "/"), ".."), slices.Contains(strings.Split(v.Session, "/"), "."):
		return r.begin(ReasonExpiredRefresh + reasonBackend)
	case !SessionID(v.Session):
		return r.begin(ReasonExpiredRefresh + reasonNoSuchSession)
	}
	renewal := r.found.Refresh
	if renewal == nil {
		return Step{Action: Refresh, Token: token, Session: v.Session}
	}
	code := renewal.Code
	if code == "" {
		cookies, session, ok := r.directives(renewal.Cookies)
		refreshed := r.found.Tokens[Refreshed]
		switch {
		case !ok, len(renewal.Cookies) == 0:
			code = reasonNoCookies
		case session == "":
			code = reasonNewTokenInvalid
		case refreshed == nil:
			return Step{Action: Verify, Of: Refreshed, Token: session}
		case refreshed.Away:
			return Step{Action: Unavailable, Reason: refreshed.Reason}
		case !refreshed.valid(), refreshed.User != v.User, refreshed.Session != v.Session:
			code = reasonNewTokenInvalid
		default:
			if f.Bearer == "" && r.needsOrganization(refreshed) {
				return r.begin(ReasonOrganization) // which also renews the cookies
			}
			return r.signIn(refreshed, Step{Of: Refreshed, SetCookies: cookies})
		}
	}
	step := r.begin(ReasonExpiredRefresh + code)
	if renewal.Away && step.Action == SignedOut {
		return Step{Action: Unavailable, Reason: ReasonUnavailable}
	}
	return step
}
