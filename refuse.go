package clerkauth

import (
	"maps"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/clerkauth/clerkauth/internal/browser"
	"github.com/clerkauth/clerkauth/internal/resource"
	"github.com/clerkauth/clerkauth/internal/respond"
	"github.com/clerkauth/clerkauth/internal/response"
)

// head sets the headers of a response that is not the application's: nothing stores it.
func (a *core) head(w http.ResponseWriter, s *State) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	maps.Copy(h, s.debugHeader())
	out := response.Of(w)
	if out == nil {
		out = &response.Writer{}
		out.Init(w)
		defer out.Apply()
	}
	out.NoStore()
	out.Vary(a.vary)
	if s.flow != nil && s.fresh {
		out.SetCookie(s.flow.setCookies)
	}
}

// refuse answers a request that is refused. It is the one place that does. p is the
// policy that was not satisfied. An ErrorHandler may do with err what it likes.
func (a *core) refuse(w http.ResponseWriter, r *http.Request, state *State, err *Error, p *policy) {
	if a.errorHandler != nil && response.Of(w) == nil {
		out := &response.Writer{} // it adds what an ErrorHandler has removed
		out.Init(w)
		w = out.ResponseWriter()
		defer out.Finish()
	}
	a.head(w, state)
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	if err.Status == http.StatusUnauthorized && !state.bearer && a.pages.signIn != "" && p.takes(a.accept).has(kindSession) {
		switch {
		case browser.Page(r):
			http.Redirect(w, r, a.signInURL(r, err.Reason), http.StatusSeeOther) //nolint:gosec // the target is ours; r is in its query alone
			return
		case browser.HTMX(r):
			h.Set("HX-Redirect", a.signInURL(r, err.Reason)) // a redirect would be followed inside of the page
		}
	}
	switch {
	case challenges(err):
		h.Set("WWW-Authenticate", challenge(err, r, p))
	case err.Status == http.StatusServiceUnavailable:
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(max(err.RetryAfter, time.Second).Seconds()))))
	}
	if a.errorHandler != nil {
		own := respond.NewWriter(w, err.Status)
		a.errorHandler(own, r, err.describe())
		own.Begin()
		return
	}
	if err.Reason == ErrReverification {
		respond.JSON(w, err.Status, "application/json", reverificationBody(err.by.fresh))
	} else {
		respond.Problem(w, err.Status, err.Reason.info().text, string(err.Reason))
	}
}

// hides reports whether the refusal of r by a route with that policy must look like a path
// where nothing is.
func (a *core) hides(r *http.Request, err *Error, p *policy) bool {
	if err.Status == http.StatusUnauthorized && resource.PlaceOf(r.Context()).Discovery {
		return true
	}
	if !a.hide || p.open {
		return false
	}
	switch err.Reason.class() {
	case ErrUnauthenticated, ErrRequestTarget:
		return true
	default:
		return err.Reason == ErrForbidden || err.Reason == ErrScope || err.Reason == ErrCrossSite
	}
}

// notFounder is a ResponseWriter whose framework has a not-found answer of its own.
// Hidden refusals are left to it, before anything of ours is written.
type notFounder interface{ NotFound() }

// hideFrom answers as a public route does for a path where nothing is.
func (a *core) hideFrom(w http.ResponseWriter, r *http.Request, s *State, of *presented) {
	if framework, ok := w.(notFounder); ok {
		framework.NotFound()
		return
	}
	if a.redirects(w, s, Public.policy()) {
		return
	}
	if err := s.postponement(); err != nil {
		a.refuse(w, r, s, err, Public.policy())
		return
	}
	a.choose(r.Context(), s, kindSession.set()) // as on a public route
	a.serve(w, r, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		own := respond.NewWriter(w, http.StatusNotFound)
		a.notFound.ServeHTTP(own, r)
		own.Begin()
	}), s, of, false)
}

// hide answers r as hideFrom does.
func (a *Authenticator) hide(w http.ResponseWriter, r *http.Request) {
	of := a.core.present(r)
	state := a.core.stateOf(r, &of)
	a.core.hideFrom(w, r, &state, &of)
}

// reverificationBody is what Clerk's browser SDKs answer with a dialog.
func reverificationBody(required *reverification) any {
	return map[string]any{"clerk_error": map[string]any{
		"type":     "forbidden",
		"reason":   "reverification-error",
		"metadata": map[string]any{"reverification": required.metadata()},
	}}
}

// challenges reports whether a refusal has a WWW-Authenticate.
func challenges(err *Error) bool {
	return err.Status == http.StatusUnauthorized || err.Reason == ErrScope && err.Status == http.StatusForbidden
}

// challenge returns the WWW-Authenticate of a refusal (RFC 6750 section 3): the bare
// scheme for a caller without a credential, and what is wrong with the credential
// otherwise. For a protected resource it names the URL of its metadata (RFC 9728 section
// 5.1) and the scopes to request.
func challenge(err *Error, r *http.Request, p *policy) string {
	c := respond.Challenge{Scopes: p.challengeScopes()}
	switch {
	case err.Reason == ErrScope:
		c.Error, c.Description, c.Scopes = "insufficient_scope", err.Reason.info().text, err.by.scopes
	case err.Reason != ErrTokenMissing && err.Reason != ErrUnauthenticated:
		c.Error, c.Description = "invalid_token", err.Reason.info().text
	}
	if of := resource.PlaceOf(r.Context()).Resource(); of != nil {
		c.Metadata = of.Metadata
	}
	return c.String()
}
