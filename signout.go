package clerkauth

import (
	"context"
	"errors"
	"net/http"

	"github.com/clerkauth/clerkauth/internal/browser"
	"github.com/clerkauth/clerkauth/internal/clerkapi"
	"github.com/clerkauth/clerkauth/internal/response"
)

// SignOut signs the sender of r out: it revokes their session at the Backend API, and
// removes Clerk's cookies from the browser. It reports whether it did, so that the handler
// has to respond:
//
//	mux.HandleFunc("POST /sign-out", clerkauth.Public, func(w http.ResponseWriter, r *http.Request) {
//		if auth.SignOut(w, r) {
//			http.Redirect(w, r, "/", http.StatusSeeOther)
//		}
//	})
//
// Otherwise it has responded: with 405 to methods other than POST and DELETE, which links
// and images cannot send, and with 403 to a request that a page of another site may have
// caused (see [Authenticator.Require]). Cookies are removed even if there is no session.
// If the session cannot be revoked, because Clerk cannot be reached or there is no secret
// key, that is logged; the cookies are removed all the same, and the session ends by
// itself. A token that was copied before stays valid until it expires, for a minute.
//
// Browsers are told to forget cached responses (Clear-Site-Data), so that going back shows
// no page of the user who has left.
func (a *Authenticator) SignOut(w http.ResponseWriter, r *http.Request) bool {
	c := a.core
	state := State{vary: c.vary}
	switch {
	case r.Method != http.MethodPost && r.Method != http.MethodDelete:
		w.Header().Set("Allow", "POST, DELETE")
		c.head(w, &state)
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		return false
	case c.csrf.CrossSite(r):
		c.refuse(w, r, &state, newError(ErrCrossSite, nil), Public.policy())
		return false
	}
	if id := c.sessionToEnd(r); id != "" {
		c.revoke(r.Context(), id)
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Clear-Site-Data", `"cache"`)
	if c.browsers == nil {
		return true
	}
	lines := c.browsers.ExpireCookies(r, c.pages.publicOrigin(r))
	if out := response.Of(w); out != nil {
		out.ReplaceCookies(lines)
	} else {
		h["Set-Cookie"] = append(h["Set-Cookie"], lines...)
	}
	return true
}

// sessionToEnd returns the id of the session that r is of, "" if there is none. A token
// that has expired says that, too.
func (a *core) sessionToEnd(r *http.Request) string {
	of := a.present(r)
	if id := a.identityOf(r.Context(), &of); id != nil && id.state.who.SignedIn() {
		return id.state.who.session().SessionID
	}
	if a.browsers == nil {
		return ""
	}
	f := browser.Read(r, &a.browsers.Settings, "", a.now())
	token, from := f.Session, fromCookie
	if bearer, err := bearerToken(r.Header["Authorization"]); err == nil && bearer != "" {
		token, from = bearer, fromHeader
	}
	if token == "" {
		return ""
	}
	_, v, _ := a.verdict(r.Context(), token, from, false)
	if v.Away || v.Reason != "" && v.Reason != browser.ReasonExpired || !browser.SessionID(v.Session) {
		return ""
	}
	return v.Session
}

// revoke ends a session, and logs why that failed. A session that has ended already is not
// worth a line.
func (a *core) revoke(ctx context.Context, id string) {
	if a.browsers == nil || a.browsers.backend == nil {
		a.log.WarnContext(ctx, "clerkauth: a session was not revoked when its user signed out, because there is no secret key: set CLERK_SECRET_KEY")
		return
	}
	err := a.browsers.backend.RevokeSession(ctx, id)
	var answer *clerkapi.Error
	if err == nil || errors.As(err, &answer) && answer.Status >= 400 && answer.Status < 500 &&
		answer.Status != http.StatusUnauthorized && answer.Status != http.StatusTooManyRequests {
		return
	}
	a.log.WarnContext(ctx, "clerkauth: a session was not revoked when its user signed out", "session", id, "error", err)
}
