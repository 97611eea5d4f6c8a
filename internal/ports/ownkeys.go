package ports

import (
	"net/http"

	"github.com/clerkauth/clerkauth"
)

// newKeysServer returns a server for users, for programs with one of Clerk's API keys, and
// for older programs with a key of the application's own. owner returns whose key that is.
func newKeysServer(c clerkauth.Config, owner func(key string) (id string, ok bool)) (http.Handler, error) {
	// auth
	c.Accept = []clerkauth.TokenType{clerkauth.SessionToken, clerkauth.APIKey}
	auth, err := clerkauth.New(c)
	if err != nil {
		return nil, err
	}
	read := clerkauth.AnyOf(clerkauth.SignedIn, clerkauth.Token(clerkauth.APIKey, clerkauth.Scope("reports:read")))
	either := func(access clerkauth.Access, h func(w http.ResponseWriter, r *http.Request, caller string)) http.Handler {
		clerk := auth.Require(access).Func(func(w http.ResponseWriter, r *http.Request) {
			h(w, r, clerkauth.FromContext(r.Context()).Subject)
		})
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if id, ok := owner(r.Header.Get("X-API-Key")); ok {
				h(w, r, id)
				return
			}
			clerk.ServeHTTP(w, r)
		})
	}
	// end
	mux := http.NewServeMux()
	mux.Handle("GET /reports", either(read, func(w http.ResponseWriter, _ *http.Request, caller string) {
		_, _ = w.Write([]byte("hello " + caller))
	}))
	return mux, nil
}
