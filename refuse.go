package clerkauth

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// refuse answers a request that is not let through. It is the one place that
// does. access is what was not met; nil if nothing was asked for yet.
func (a *core) refuse(w http.ResponseWriter, r *http.Request, state *State, why *Error, access Access) {
	refusal := *why // an ErrorHandler may do with it what it likes
	err := &refusal
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if err.Status == http.StatusUnauthorized && !state.bearer && a.pages.signIn != "" && isPage(r) && a.takesSessions(access) {
		http.Redirect(w, r, a.signInURL(r, err.Reason), http.StatusTemporaryRedirect) //nolint:gosec // the target is ours; r is in its query alone
		return
	}
	switch {
	case challenges(err):
		h.Set("WWW-Authenticate", challenge(err, resourceOf(r), asked(access)))
	case err.Status == http.StatusServiceUnavailable:
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(max(err.RetryAfter, time.Second).Seconds()))))
	}
	if a.errorHandler != nil {
		own := &refusalWriter{ResponseWriter: w, status: err.Status}
		a.errorHandler(own, r, err)
		own.begin()
		return
	}
	if err.Reason == ErrReverification {
		writeJSON(w, err.Status, "application/json", reverificationBody(err.reverify))
	} else {
		writeJSON(w, err.Status, "application/problem+json", problem{
			Type: "about:blank", Title: http.StatusText(err.Status), Status: err.Status,
			Detail: details[err.Reason], Reason: string(err.Reason),
		})
	}
}

// hides reports whether a refusal by a guard for access must not be told from a path
// where nothing is.
func (a *core) hides(err *Error, access Access) bool {
	if !a.hide || open(access) {
		return false
	}
	switch err.Reason.kind() {
	case ErrUnauthenticated, ErrRequestTarget:
		return true
	default:
		return err.Reason == ErrForbidden || err.Reason == ErrScope
	}
}

// notFounder is a ResponseWriter whose framework has a not-found answer of its own.
// Hidden refusals are left to it, before anything of ours is written.
type notFounder interface{ NotFound() }

// hideFrom answers as if nothing were there. Nothing is written that a path where
// nothing is would not get from a public route.
func (a *core) hideFrom(w http.ResponseWriter, r *http.Request, s *State) {
	if framework, ok := w.(notFounder); ok {
		framework.NotFound()
		return
	}
	a.choose(r.Context(), s, kindSession.set()) // as on a public route
	s.write(w.Header())
	own := &refusalWriter{ResponseWriter: w, status: http.StatusNotFound}
	a.notFound.ServeHTTP(own, a.with(r, s))
	own.begin()
}

// refusalWriter is what an ErrorHandler writes to. One that does not say which
// status it wants, or writes nothing, must not make a 200 of a refusal.
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
func reverificationBody(asked *reverification) any {
	return map[string]any{"clerk_error": map[string]any{
		"type":     "forbidden",
		"reason":   "reverification-error",
		"metadata": map[string]any{"reverification": asked.metadata()},
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

// challenge is the WWW-Authenticate of a refusal (RFC 6750 section 3): the bare
// scheme for who sent nothing, and what is wrong with what was sent. Where the
// request was for a protected resource, it says where that is described (RFC 9728
// section 5.1), and which scopes to ask for.
func challenge(err *Error, of *resource, scopes []string) string {
	var parameters []string
	add := func(name, value string) { parameters = append(parameters, name+`="`+value+`"`) }
	switch {
	case err.Reason == ErrScope:
		add("error", "insufficient_scope")
		add("error_description", details[err.Reason])
		scopes = err.scopes
	case err.Reason != ErrTokenMissing && err.Reason != ErrUnauthenticated:
		add("error", "invalid_token")
		add("error_description", details[err.Reason])
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

// asked returns the scopes that access asks of an OAuth token: of the first way to
// meet it, if there are several.
func asked(access Access) (scopes []string) {
	if access == nil {
		return nil
	}
	found := false
	walk(access, func(part Access) {
		if t, ok := part.(token); ok && t.kind == kindOAuth && !found {
			scopes, found = t.scopes, true
		}
	})
	return scopes
}

// takesSessions tells whether a session would help to meet access.
func (a *core) takesSessions(access Access) bool {
	return access == nil || a.takes(access).has(kindSession)
}

// isPage tells whether a browser asks for a document that a person will look at,
// who is better served by the sign-in page than by a 401.
func isPage(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	switch r.Header.Get("Sec-Fetch-Dest") {
	case "document", "iframe":
		return true
	case "":
		return strings.Contains(r.Header.Get("Accept"), "text/html")
	default:
		return false
	}
}

// pages knows where people sign in and how they get back.
type pages struct {
	signIn, signUp string
	origin         string   // PublicOrigin
	origins        []string // authorized parties that are web origins
	anyHost        bool     // InsecureAnyParty: the request's host is as good as any
}

func newPages(c Config, of *instance, p parties, wrong *mistakes) pages {
	pg := pages{signIn: c.Browser.SignInURL, signUp: c.Browser.SignUpURL, origin: c.Browser.PublicOrigin, anyHost: p.any}
	for field, target := range map[string]string{"Browser.SignInURL": c.Browser.SignInURL, "Browser.SignUpURL": c.Browser.SignUpURL} {
		if target != "" {
			wrong.add(field, checkTarget(target))
		}
	}
	if c.Browser.PublicOrigin != "" {
		wrong.add("Browser.PublicOrigin", checkOrigin(c.Browser.PublicOrigin))
	}
	for _, party := range p.list {
		if strings.HasPrefix(party, "https://") || strings.HasPrefix(party, "http://") {
			pg.origins = append(pg.origins, party)
		}
	}
	if of != nil && pg.signIn == "" {
		pg.signIn = of.accountsURL() + "/sign-in"
	}
	if of != nil && pg.signUp == "" {
		pg.signUp = of.accountsURL() + "/sign-up"
	}
	return pg
}

// checkTarget tells what keeps s from being a page to send people to: an
// absolute http(s) URL, or a path on this server that no browser takes for
// another host.
func checkTarget(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c == '\\' || c == 0x7f }):
		return errors.New("it is not a URL")
	case u.Scheme == "" && u.Host == "" && strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "//"):
		return nil
	case (u.Scheme == "https" || u.Scheme == "http") && validHost(strings.ToLower(u.Host)) && u.User == nil:
		return nil
	}
	return errors.New("it must be an absolute http or https URL, or a path that begins with one slash")
}

// SignInURL returns where the sender of r signs in, with the way back to r in
// redirect_url. The way back is left out where the host that r names is none of
// ours, because whoever sent r may have chosen it. It is "" if there is neither a
// [BrowserConfig.SignInURL] nor a publishable key to tell the account portal's.
func (a *Authenticator) SignInURL(r *http.Request) string {
	return a.core.signInURL(r, "")
}

// SignUpURL returns where the sender of r signs up, with the way back as in
// SignInURL.
func (a *Authenticator) SignUpURL(r *http.Request) string {
	return a.core.pages.target(a.core.pages.signUp, "", r)
}

// signInURL is SignInURL, for a session whose tasks are not done the page where
// that is made up for.
func (a *core) signInURL(r *http.Request, reason Reason) string {
	tasks := ""
	if reason == ErrSessionPending {
		tasks = "/tasks"
	}
	return a.pages.target(a.pages.signIn, tasks, r)
}

// target returns page, extended by a path, with the way back to r.
func (p pages) target(page, path string, r *http.Request) string {
	u, err := url.Parse(page)
	if err != nil || page == "" {
		return page // New has parsed it
	}
	u.Path += path
	if back := p.wayBack(r); back != "" {
		q := u.Query()
		q.Set("redirect_url", back)
		u.RawQuery = q.Encode()
	}
	return u.String()
}

// maxWayBack is the length in bytes of the longest address to come back to.
const maxWayBack = 2048

// wayBack returns the public URL of r, "" if it is not known. The origin is set
// field by field, never resolved, so that no path can bring a host of its own.
func (p pages) wayBack(r *http.Request) string {
	origin := p.publicOrigin(r)
	if origin == "" || r.URL.Opaque != "" || !strings.HasPrefix(r.URL.Path, "/") {
		return ""
	}
	scheme, host, _ := strings.Cut(origin, "://")
	u := url.URL{Scheme: scheme, Host: host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	if back := u.String(); len(back) <= maxWayBack {
		return back
	}
	return "" // no browser goes to so long an address
}

// publicOrigin returns this server's origin as r's sender knows it, "" if the
// host in r is not one of ours.
func (p pages) publicOrigin(r *http.Request) string {
	if p.origin != "" {
		return p.origin
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	host := strings.ToLower(r.Host)
	own := scheme + "://" + host
	if slices.Contains(p.origins, own) {
		return own
	}
	// Behind something that terminates TLS, the scheme is not ours to see.
	if secure := "https://" + host; slices.Contains(p.origins, secure) {
		return secure
	}
	if p.anyHost && validHost(host) {
		return own
	}
	return ""
}
