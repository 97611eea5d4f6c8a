package clerkauth

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// refuse answers a request that is refused. It is the one place that does. p is the
// policy that was not satisfied. An ErrorHandler may do with err what it likes.
func (a *core) refuse(w http.ResponseWriter, r *http.Request, state *State, err *Error, p *policy) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if err.Status == http.StatusUnauthorized && !state.bearer && a.pages.signIn != "" && isPage(r) && p.takes(a.accept).has(kindSession) {
		http.Redirect(w, r, a.signInURL(r, err.Reason), http.StatusTemporaryRedirect) //nolint:gosec // the target is ours; r is in its query alone
		return
	}
	switch {
	case challenges(err):
		h.Set("WWW-Authenticate", challenge(err, resourceOf(r), p.challengeScopes()))
	case err.Status == http.StatusServiceUnavailable:
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(max(err.RetryAfter, time.Second).Seconds()))))
	}
	if a.errorHandler != nil {
		own := &refusalWriter{ResponseWriter: w, status: err.Status}
		a.errorHandler(own, r, err.describe())
		own.begin()
		return
	}
	if err.Reason == ErrReverification {
		writeJSON(w, err.Status, "application/json", reverificationBody(err.by.fresh))
	} else {
		writeJSON(w, err.Status, "application/problem+json", problem{
			Type: "about:blank", Title: http.StatusText(err.Status), Status: err.Status,
			Detail: reasons[err.Reason].text, Reason: string(err.Reason),
		})
	}
}

// hides reports whether the refusal of r by a route with that policy must look like a path
// where nothing is.
func (a *core) hides(r *http.Request, err *Error, p *policy) bool {
	if err.Status == http.StatusUnauthorized && placeOf(r.Context()).discovery {
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
	a.choose(r.Context(), s, kindSession.set()) // as on a public route
	varyBy(w.Header(), a.vary)
	own := &refusalWriter{ResponseWriter: w, status: http.StatusNotFound}
	a.notFound.ServeHTTP(own, a.with(r, s, of))
	own.begin()
}

// hide answers r as hideFrom does.
func (a *Authenticator) hide(w http.ResponseWriter, r *http.Request) {
	of := a.core.present(r)
	state := a.core.stateOf(r, &of)
	a.core.hideFrom(w, r, &state, &of)
}

// refusalWriter is what an ErrorHandler writes to. Without a status of the handler's, a
// refusal must not become a 200.
type refusalWriter struct {
	http.ResponseWriter
	status int
	begun  bool
}

func (w *refusalWriter) begin() {
	if !w.begun {
		w.WriteHeader(w.status)
	}
}

func (w *refusalWriter) WriteHeader(status int) {
	w.begun = w.begun || status >= 200 || status == http.StatusSwitchingProtocols
	w.ResponseWriter.WriteHeader(status)
}

func (w *refusalWriter) Write(b []byte) (int, error) {
	w.begin()
	return w.ResponseWriter.Write(b)
}

// FlushError is what [http.ResponseController] calls.
func (w *refusalWriter) FlushError() error {
	w.begin()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap gives [http.ResponseController] everything else.
func (w *refusalWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// problem is a refusal's body (RFC 9457), reason being an extension member.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Reason string `json:"reason"`
}

// reverificationBody is what Clerk's browser SDKs answer with a dialog.
func reverificationBody(required *reverification) any {
	return map[string]any{"clerk_error": map[string]any{
		"type":     "forbidden",
		"reason":   "reverification-error",
		"metadata": map[string]any{"reverification": required.metadata()},
	}}
}

func writeJSON(w http.ResponseWriter, status int, mediaType string, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		// Every body above is made of strings and numbers.
		text = []byte("{}")
	}
	w.Header().Set("Content-Type", mediaType)
	w.Header().Del("Content-Length")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n'))
}

// challenges reports whether a refusal has a WWW-Authenticate.
func challenges(err *Error) bool {
	return err.Status == http.StatusUnauthorized || err.Reason == ErrScope && err.Status == http.StatusForbidden
}

// challenge returns the WWW-Authenticate of a refusal (RFC 6750 section 3): the bare
// scheme for a caller without a credential, and what is wrong with the credential
// otherwise. For a protected resource it names the URL of its metadata (RFC 9728 section
// 5.1) and the scopes to request.
func challenge(err *Error, of *resource, scopes []string) string {
	var parameters []string
	add := func(name, value string) { parameters = append(parameters, name+`="`+value+`"`) }
	switch {
	case err.Reason == ErrScope:
		add("error", "insufficient_scope")
		add("error_description", reasons[err.Reason].text)
		scopes = err.by.scopes
	case err.Reason != ErrTokenMissing && err.Reason != ErrUnauthenticated:
		add("error", "invalid_token")
		add("error_description", reasons[err.Reason].text)
	}
	if len(scopes) > 0 {
		add("scope", strings.Join(scopes, " "))
	}
	if of != nil {
		add("resource_metadata", of.metadata)
	}
	if len(parameters) == 0 {
		return "Bearer"
	}
	return "Bearer " + strings.Join(parameters, ", ")
}
