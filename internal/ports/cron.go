package ports

import (
	"crypto/subtle"
	"net/http"

	"github.com/clerkauth/clerkauth"
)

// newCronServer returns a server of users, with a route for a cron job that has a secret of
// its own.
func newCronServer(c clerkauth.Config, secret string) (http.Handler, error) {
	// auth
	auth, err := clerkauth.New(c)
	if err != nil {
		return nil, err
	}
	mux := auth.NewServeMux()
	mux.HandleFunc("GET /notes", clerkauth.SignedIn, hello)
	mux.HandleFunc("POST /cron/digest", clerkauth.Unchecked, func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+secret)) != 1 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		hello(w, r)
	})
	// end
	return mux, nil
}
