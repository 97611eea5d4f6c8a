package ports

import (
	"net/http"

	"github.com/clerkauth/clerkauth"
)

// newOrganizationServer returns a server of teams. Those that the path names are open to
// their members while that is the active organization.
func newOrganizationServer(c clerkauth.Config) (http.Handler, error) {
	// auth
	auth, err := clerkauth.New(c)
	if err != nil {
		return nil, err
	}
	mux := auth.NewServeMux()
	member := clerkauth.OrganizationParam("slug")
	mux.HandleFunc("GET /team", clerkauth.ActiveOrganization, hello)
	mux.HandleFunc("GET /teams/{slug}", member, hello)
	mux.HandleFunc("DELETE /teams/{slug}", clerkauth.AllOf(member, clerkauth.Role("org:admin")), hello)
	// end
	return mux, nil
}
