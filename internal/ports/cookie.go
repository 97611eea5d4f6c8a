package ports

import (
	"net/http"

	"github.com/clerkauth/clerkauth"
)

// newCookieServer returns a server for pages, which have the token in a cookie, and for
// programs, which send it in a header.
func newCookieServer(c clerkauth.Config) (http.Handler, error) {
	// auth
	c.Credential = func(r *http.Request) string {
		if cookie, err := r.Cookie("__session"); err == nil {
			return cookie.Value
		}
		return ""
	}
	c.MissingParty = clerkauth.AllowMissingFromCookie // Clerk's, after a navigation
	auth, err := clerkauth.New(c)
	if err != nil {
		return nil, err
	}
	guard := auth.Require()
	// end
	mux := http.NewServeMux()
	mux.Handle("/notes", guard.Func(hello))
	return mux, nil
}
