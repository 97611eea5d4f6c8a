package ports

import (
	"net/http"

	"github.com/clerkauth/clerkauth"
)

// newNativeServer returns a server for a native app, whose tokens name no origin.
func newNativeServer(c clerkauth.Config) (http.Handler, error) {
	// auth
	c.AuthorizedParties = nil // tokens of web pages are rejected
	c.MissingParty = clerkauth.AllowMissingFromHeader
	c.Browser.Disabled = true // no page calls it
	auth, err := clerkauth.New(c)
	if err != nil {
		return nil, err
	}
	guard := auth.Require()
	// end
	mux := http.NewServeMux()
	mux.Handle("GET /notes", guard.Func(hello))
	return mux, nil
}
