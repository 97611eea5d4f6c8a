package ports

import (
	"net/http"

	"github.com/clerkauth/clerkauth"
)

// newMetadataServer returns a server for users who have a role in their public metadata.
// In Clerk's dashboard, the session token is given the claim
// {"metadata": "{{user.public_metadata}}"}.
func newMetadataServer(c clerkauth.Config) (http.Handler, error) {
	// auth
	auth, err := clerkauth.New(c)
	if err != nil {
		return nil, err
	}
	guard := auth.Require(clerkauth.Claim("metadata.role", "admin", "owner"))
	// end
	mux := http.NewServeMux()
	mux.Handle("GET /admin", guard.Func(hello))
	return mux, nil
}
