package ports

import (
	"context"
	"net/http"

	"github.com/clerkauth/clerkauth"
)

// subscribers is a table of a database.
type subscribers interface {
	Has(ctx context.Context, userID string) (bool, error)
}

// newDatabaseServer returns a server for users whom a database knows as subscribers. While
// the database cannot be asked, the answer is 503.
func newDatabaseServer(c clerkauth.Config, db subscribers) (http.Handler, error) {
	// auth
	auth, err := clerkauth.New(c)
	if err != nil {
		return nil, err
	}
	guard := auth.Require(clerkauth.CheckFunc("subscriber", func(ctx context.Context, who clerkauth.Auth) (bool, error) {
		return db.Has(ctx, who.UserID)
	}))
	// end
	mux := http.NewServeMux()
	mux.Handle("GET /archive", guard.Func(hello))
	return mux, nil
}
