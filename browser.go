package clerkauth

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/clerkauth/clerkauth/internal/browser"
	"github.com/clerkauth/clerkauth/internal/claims"
	"github.com/clerkauth/clerkauth/internal/clerkapi"
	"github.com/clerkauth/clerkauth/internal/exchange"
	"github.com/clerkauth/clerkauth/internal/jws"
)

// browsers authenticates browsers by their cookies.
type browsers struct {
	browser.Settings
	backend   *clerkapi.Browsers // nil without a secret key
	exchanges exchange.Group
	debug     bool
}

// flow is what the response to a request with cookies has in addition, whatever it is.
type flow struct {
	location   string // the response is a redirect to it
	setCookies []string
}

// maxSteps is more than the steps that any request takes.
const maxSteps = 8

// authenticateBrowser authenticates a request by its cookies, or, with an expired session
// token of the Authorization header, by what takes its place.
func (a *core) authenticateBrowser(r *http.Request, p *presented, bearer string) State {
	b, ctx := a.browsers, r.Context()
	f := browser.Read(r, &b.Settings, a.pages.publicOrigin(r), a.now())
	f.CrossSite, f.Bearer = p.cross && bearer == "", bearer
	var found browser.Findings
	var who [3]Auth      // by browser.Token
	var unsure [3]*Error // why one of them could not be verified
	for range maxSteps {
		step := browser.Resolve(&b.Settings, &f, &found)
		switch step.Action {
		case browser.Verify:
			from := fromCookie
			if bearer != "" && step.Of == browser.Presented {
				from = fromHeader
			}
			found.Lenient = found.Lenient || step.Lenient
			who[step.Of], found.Tokens[step.Of], unsure[step.Of] = a.verdict(ctx, step.Token, from, step.Lenient)
		case browser.VerifyHandshake:
			found.Handshake = a.verifyHandshake(ctx, step.Token)
		case browser.FetchHandshake:
			found.Handshake = a.fetchHandshake(ctx, step.Token)
		case browser.Refresh:
			found.Refresh = a.refresh(r, &f, step)
		default:
			return a.browserState(&f, step, who[step.Of], unsure)
		}
	}
	return anonymously(newError(ErrUnavailable, nil))
}

// browserState returns the State that a final step is of.
func (a *core) browserState(f *browser.Facts, step browser.Step, who Auth, unsure [3]*Error) State {
	s := State{cookies: true, bearer: f.Bearer != ""}
	if step.Location != "" || len(step.SetCookies) > 0 {
		s.flow = &flow{location: step.Location, setCookies: step.SetCookies}
	}
	switch {
	case step.Action == browser.SignedIn, step.Action == browser.Redirect && step.Reason == "":
		s.who = who
	case step.Action == browser.Unavailable, step.Action == browser.Postpone:
		s.who.err = newError(ErrBackendUnavailable, nil)
		for _, err := range unsure {
			if err != nil {
				s.who.err = err
			}
		}
		s.postponed = step.Action == browser.Postpone
	default:
		s.why = flowError(step.Reason)
		s.bad = s.bearer
		var cause Reason
		switch {
		case s.bearer && errors.As(s.why.cause, &cause): // as without cookies
			s.who.err = newError(cause, nil)
		case s.bearer || f.Session != "" || f.ClientUAT != 0:
			s.who.err = s.why
		}
	}
	return s
}

// flowCauses are the sentinels that reasons of browser flows are errors of.
var flowCauses = []struct {
	prefix string
	cause  Reason
}{
	{browser.ReasonExpiredRefresh, ErrTokenExpired},
	{browser.ReasonSessionEarly, ErrTokenEarly},
	{browser.ReasonSessionFuture, ErrTokenFuture},
	{browser.ReasonSessionMissing, ErrTokenMissing},
	{browser.ReasonDevBrowser, ErrTokenMissing},
	{browser.ReasonDevBrowserSync, ErrTokenMissing},
	{browser.ReasonNoSession, ErrTokenMissing},
	{browser.ReasonSatellite, ErrTokenMissing},
	{browser.ReasonPrimaryResponds, ErrTokenMissing},
}

// flowErrors are the refusals for the most frequent reasons. None is handed out: see own.
var flowErrors = map[string]*Error{
	browser.ReasonNothing:    errMissing,
	browser.ReasonDevBrowser: newError(Reason(browser.ReasonDevBrowser), ErrTokenMissing),
	browser.ReasonNoSession:  newError(Reason(browser.ReasonNoSession), ErrTokenMissing),
	browser.ReasonCrossSite:  newError(ErrCrossSite, nil),
}

// flowError returns the refusal for a reason of a browser flow.
func flowError(reason string) *Error {
	if err := flowErrors[reason]; err != nil {
		return err
	}
	for _, c := range flowCauses {
		if strings.HasPrefix(reason, c.prefix) {
			return newError(Reason(reason), c.cause)
		}
	}
	return newError(Reason(reason), nil)
}

// verdict verifies a session token of a browser's. The error is why it could not be
// verified, where that says nothing about the token.
func (a *core) verdict(ctx context.Context, token string, from carrier, lenient bool) (Auth, *browser.Verdict, *Error) {
	u, why := a.classify(token)
	switch {
	case why != nil:
	case u.kind == kindUnrelated:
		why = u.err
		if why.Reason == ErrTokenIssuer {
			a.refusedIssuer(&u.token)
		}
	case u.kind != kindSession:
		why = errOtherType
	}
	if why != nil {
		return Auth{}, &browser.Verdict{Reason: string(why.Reason)}, nil //nolint:nilerr // the verdict has it
	}
	s := a.verifySession(ctx, &u, from, lenient)
	noUser := s.err != nil && s.err.Reason == ErrSessionPending
	v := &browser.Verdict{Pending: noUser, NoUser: noUser}
	if c := s.claims; c != nil {
		v.User, v.Session, v.OrgID, v.OrgSlug = c.Subject, c.SID, c.Org.ID, c.Org.Slug
		v.HasIssuedAt = c.IssuedAt.Is == claims.Present
		v.Pending = v.Pending || s.err == nil && c.Status == SessionPending
	}
	switch {
	case s.err == nil, s.err.Reason == ErrSessionPending:
		return s.who, v, nil
	case s.err.Reason.class() == ErrUnavailable:
		v.Away, v.Reason = true, string(s.err.Reason)
		return Auth{}, v, s.err
	}
	v.Reason = string(s.err.Reason)
	return Auth{}, v, nil
}

// verifyHandshake verifies a handshake token.
func (a *core) verifyHandshake(ctx context.Context, token string) *browser.Handshake {
	h, err := a.readHandshake(ctx, token)
	switch {
	case err == nil:
		return &browser.Handshake{Directives: h.Directives, Malformed: h.Malformed}
	case err.Reason.class() == ErrUnavailable:
		return &browser.Handshake{Away: true}
	default:
		return &browser.Handshake{Reason: string(err.Reason)}
	}
}

// readHandshake returns what a handshake token says. Its signature and its category are
// those of a session token, and it has a claim that no session token has. Clerk sets none
// of the registered claims, so that they are not required; one that is there has to hold.
func (a *core) readHandshake(ctx context.Context, text string) (*claims.Handshake, *Error) {
	token, err := jws.Parse(text)
	if err != nil {
		return nil, errInvalid
	}
	u := unverified{kind: kindSession, raw: text, token: token}
	h := &u.token.Header
	payload, err := u.token.Text()
	empty := err == nil && payload == "null" // Clerk's SDKs take it for no directives
	if u.hints, err = claims.ScanToken(&u.token, a.issuers); err != nil && !empty || u.token.CheckHeader() != nil ||
		h.HasCat && h.Category != categorySession && h.Category != categoryIgnore || h.HasType && h.Type != "JWT" {
		return nil, errInvalid
	}
	if err := a.verifySignature(ctx, &u); err != nil {
		return nil, err
	}
	if empty {
		return &claims.Handshake{}, nil
	}
	_, list, refusal := a.readPayload(&u, nil)
	if refusal != nil {
		return nil, refusal
	}
	c := list.ReadHandshake()
	now := a.now()
	switch {
	case c.ExpiresAt.Is == claims.Malformed, c.NotBefore.Is == claims.Malformed, c.IssuedAt.Is == claims.Malformed, c.Bound:
		return nil, newError(ErrTokenClaims, nil)
	case c.ExpiresAt.Is == claims.Present && !time.Unix(c.ExpiresAt.Unix, 0).After(now.Add(-a.skew)):
		return nil, newError(ErrTokenExpired, nil)
	case time.Unix(c.NotBefore.Unix, 0).After(now.Add(a.skew)):
		return nil, newError(ErrTokenEarly, nil)
	case time.Unix(c.IssuedAt.Unix, 0).After(now.Add(a.skew)):
		return nil, newError(ErrTokenFuture, nil)
	}
	return c, nil
}

// fetchHandshake asks the Backend API what a nonce stands for. A nonce that it does not
// know, which a cookie may hold for a minute, is not sent again.
func (a *core) fetchHandshake(ctx context.Context, nonce string) *browser.Handshake {
	b := a.browsers
	if b.backend == nil {
		return &browser.Handshake{} // handshakes without a secret key have tokens
	}
	outcome := b.exchanges.Share(ctx, exchange.Nonces, nonce, a.now(), func() exchange.Outcome {
		list, err := b.backend.HandshakePayload(context.WithoutCancel(ctx), nonce)
		return a.outcome(list, err)
	})
	return &browser.Handshake{Directives: outcome.Lines, Away: outcome.Away, Refused: outcome.Code != "" && !outcome.Away}
}

// refresh asks the Backend API for new cookies.
func (a *core) refresh(r *http.Request, f *browser.Facts, step browser.Step) *browser.Renewal {
	b := a.browsers
	if b.backend == nil {
		return &browser.Renewal{Code: "missing-api-client"}
	}
	outcome := b.exchanges.Share(r.Context(), exchange.Refreshes, step.Token+" "+f.Refresh, a.now(), func() exchange.Outcome {
		list, err := b.backend.RefreshSession(context.WithoutCancel(r.Context()), step.Session, f.Suffixed, &clerkapi.RefreshParams{
			Format: "cookie", ExpiredToken: step.Token, RefreshToken: f.Refresh, RequestOrigin: f.Public,
			RequestHeaders: refreshHeaders(r, b.Suffix, a.pages.proxies.Client(r)),
		})
		return a.outcome(list, err)
	})
	return &browser.Renewal{Code: outcome.Code, Away: outcome.Away, Cookies: outcome.Lines}
}

// outcome reads the result of a call to the Backend API.
func (a *core) outcome(lines []string, err error) exchange.Outcome {
	if err == nil {
		return exchange.Outcome{Lines: lines}
	}
	var answer *clerkapi.Error
	if !errors.As(err, &answer) {
		return exchange.Outcome{Code: "fetch-error", Away: true}
	}
	o := exchange.Outcome{Code: answer.Code}
	if o.Code == "" {
		o.Code = "unexpected-bapi-error"
	}
	switch status := answer.Status; {
	case status < 400, status >= 500, status == http.StatusTooManyRequests:
		o.Away = true
	case status == http.StatusUnauthorized && aboutSecret(answer.Code):
		a.secretRefused("CLERK_SECRET_KEY")
		o.Away = true
	}
	return o
}

// aboutSecret reports whether a 401 with that code rejects the secret key. Others reject what
// the browser has sent, such as an expired refresh token.
func aboutSecret(code string) bool {
	return code == "" || strings.HasPrefix(code, "clerk_key") || strings.HasPrefix(code, "auth")
}

// refreshHeaders returns what Clerk is told of a request whose session it refreshes: what
// it needs to judge where the session is used, and none of the application's own headers
// and cookies.
func refreshHeaders(r *http.Request, suffix string, client netip.Addr) map[string][]string {
	headers := map[string][]string{}
	for name, lines := range r.Header {
		lower := strings.ToLower(name)
		switch {
		case strings.HasPrefix(lower, "sec-"), lower == "user-agent", lower == "accept-language", lower == "origin", lower == "referer":
			headers[lower] = lines
		}
	}
	if cookies := browser.ClerkCookies(r.Header["Cookie"], suffix); cookies != "" {
		headers["cookie"] = []string{cookies}
	}
	if client.IsValid() {
		headers["x-forwarded-for"] = []string{client.String()}
	}
	return headers
}

// Header returns the headers that belong on the response, whatever it will be. If there is
// a Location among them, the response is a redirect with the status 307 and without a
// body: the browser has to renew its cookies.
func (s State) Header() http.Header {
	h := http.Header{"Vary": {cmp.Or(s.vary, "Authorization")}}
	maps.Copy(h, s.debugHeader())
	if s.flow != nil {
		if len(s.flow.setCookies) > 0 {
			h["Set-Cookie"] = slices.Clone(s.flow.setCookies)
		}
		h.Set("Cache-Control", "no-store")
		if s.flow.location != "" {
			h.Set("Location", s.flow.location)
		}
	}
	return h
}

// debugHeader returns the headers of [BrowserConfig.DebugHeaders].
func (s *State) debugHeader() http.Header {
	reason := s.reason()
	if !s.debug || reason == nil {
		return nil
	}
	if s.why != nil {
		reason = s.why
	}
	status := "signed-out"
	if s.flow != nil && s.flow.location != "" {
		status = "handshake"
	}
	return http.Header{
		"X-Clerk-Auth-Status":  {status},
		"X-Clerk-Auth-Reason":  {string(reason.Reason)},
		"X-Clerk-Auth-Message": {reason.Reason.info().text},
	}
}

// redirects writes the redirect of a browser flow, if s is of one and the route takes
// sessions, and reports whether it did.
func (a *core) redirects(w http.ResponseWriter, s *State, p *policy) bool {
	if s.redirection(p, a.accept) == nil {
		return false
	}
	a.head(w, s)
	w.Header().Set("Location", s.flow.location)
	w.WriteHeader(http.StatusTemporaryRedirect)
	return true
}

// redirection returns the refusal that stands for the redirect of a browser flow, or nil.
func (s *State) redirection(p *policy, accept kinds) *Error {
	if s.flow == nil || s.flow.location == "" || !p.takes(accept).has(kindSession) {
		return nil
	}
	err := errMissing.own()
	if s.why != nil {
		err = s.why.own()
	}
	err.Status = http.StatusTemporaryRedirect
	return err
}

// postponement returns the refusal for a page that a browser has requested before the
// user goes there, or nil. Browsers discard the response, and request the page again.
func (s *State) postponement() *Error {
	if !s.postponed {
		return nil
	}
	return s.who.err.own()
}
