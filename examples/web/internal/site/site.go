// Package site is a small site whose pages a Go server renders, for people who sign in
// with Clerk. It is the part of the example to copy.
package site

import (
	"embed"
	"fmt"
	"net/http"

	"github.com/clerk/clerk-sdk-go/v2/user"

	"github.com/clerkauth/clerkauth"
)

// Site is the site.
type Site struct {
	auth  *clerkauth.Authenticator
	users *user.Client
	notes notes
	htmx  []byte
}

// Configure changes the configuration as the site needs it.
func Configure(c *clerkauth.Config) {
	// Clerk issues the session tokens of handshakes while a browser goes from page to
	// page. There is no Origin then that could be their azp.
	c.MissingParty = clerkauth.AllowMissingFromCookie
	// These pages belong to the organization that their path names, and it becomes the
	// active one. Who may see them is decided by OrganizationParam below.
	c.Browser.Organizations.Organizations = []string{"/orgs/{slug}", "/orgs/{slug}/{rest...}"}
	c.ErrorHandler = refuse
}

// New returns the site. htmx is the text of htmx.min.js. It may be empty: then every link
// and form works as usual.
func New(auth *clerkauth.Authenticator, htmx []byte) (http.Handler, error) {
	s := &Site{auth: auth, users: user.NewClient(auth.ClerkConfig()), htmx: htmx}
	mux := auth.NewServeMux()
	mux.HandleFunc("GET /{$}", clerkauth.Public, s.home)
	mux.HandleFunc("GET /dashboard", clerkauth.SignedIn, s.dashboard)
	mux.HandleFunc("GET /session", clerkauth.SignedIn, session)
	mux.HandleFunc("POST /sign-out", clerkauth.Public, s.signOut)

	mux.HandleFunc("GET /notes", clerkauth.SignedIn, s.listNotes)
	mux.HandleFunc("POST /notes", clerkauth.SignedIn, s.addNote)

	member := clerkauth.OrganizationParam("slug")
	mux.HandleFunc("GET /orgs/{slug}/{$}", member, s.organization)
	mux.HandleFunc("GET /orgs/{slug}/settings", clerkauth.AllOf(member, clerkauth.Role("org:admin")), s.settings)
	mux.HandleFunc("GET /orgs/{slug}/notes", member, s.listNotes)
	mux.HandleFunc("POST /orgs/{slug}/notes", member, s.addNote)

	mux.Handle("GET /static/{file}", clerkauth.Unchecked, private(http.FileServerFS(static)))
	mux.HandleFunc("GET /static/htmx.js", clerkauth.Unchecked, s.serveHTMX)

	policy, err := auth.ContentSecurityPolicy(clerkauth.CSP{Strict: true})
	if err != nil {
		return nil, fmt.Errorf("site: %w", err)
	}
	return policy(mux), nil
}

//go:embed static
var static embed.FS

// private lets browsers keep files for an hour. Otherwise responses of a strict
// Content-Security-Policy are not kept.
func private(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "private, max-age=3600")
		h.ServeHTTP(w, r)
	})
}

func (s *Site) serveHTMX(w http.ResponseWriter, r *http.Request) {
	if len(s.htmx) == 0 {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
	w.Header().Set("Cache-Control", "private, max-age=3600")
	_, _ = w.Write(s.htmx)
}

// signOut is a form, so that it needs no script and no page of another site can send it.
func (s *Site) signOut(w http.ResponseWriter, r *http.Request) {
	if s.auth.SignOut(w, r) {
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}
}

// session is what pages that stay open request with a script, see static/session.js. The
// response renews the session's cookies; there is nothing to say.
func session(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }
