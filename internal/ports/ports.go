// Package ports holds servers like those of applications that use Clerk, each reduced to
// the part that says who may do what. Their tests hold a caller who is served and one who
// is not.
//
// The lines that are about authentication stand between the comments "auth" and "end".
// This prints how many they are, comments and empty lines aside:
//
//	go test -run TestLines -v
package ports

import (
	"fmt"
	"net/http"

	"github.com/clerkauth/clerkauth"
)

// hello responds with the caller's id, for callers that a guard has let through.
func hello(w http.ResponseWriter, r *http.Request) {
	fmt.Fprint(w, "hello ", clerkauth.FromContext(r.Context()).Subject)
}
