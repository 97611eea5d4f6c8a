package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/event"
)

// product is what is judged: the library, or, in tests of the judges, one that has
// been broken.
type product struct {
	// newAuth makes an Authenticator.
	newAuth func(clerkauth.Config) (*clerkauth.Authenticator, error)
	// authenticate tells who sent a request to a route for these kinds of credentials.
	authenticate func(*clerkauth.Authenticator, *http.Request, []clerkauth.TokenType) (clerkauth.Auth, error)
	// verify tells whose a session token is.
	verify func(*clerkauth.Authenticator, string) (clerkauth.Auth, error)
	// has tells whether a caller meets all demands.
	has func(clerkauth.Auth, []clerkauth.Access) bool
	// newMatcher makes the two answers of a Matcher.
	newMatcher func(patterns []string) (anyOf, allOf func(*http.Request) bool, err error)
	// deliver gives a delivery to a Webhook. It returns the type of the event that was
	// handled, "" if none was, and an error if there is no such Webhook.
	deliver func(clerkauth.WebhookConfig, *http.Request) (accepted bool, kind string, err error)
}

// library is clerkauth as it is.
var library = product{
	newAuth:      clerkauth.New,
	authenticate: authenticate,
	verify: func(auth *clerkauth.Authenticator, token string) (clerkauth.Auth, error) {
		return auth.VerifyToken(context.Background(), token)
	},
	has: func(who clerkauth.Auth, demands []clerkauth.Access) bool { return who.Has(demands...) },
	newMatcher: func(patterns []string) (anyOf, allOf func(*http.Request) bool, err error) {
		m, err := clerkauth.NewMatcher(patterns...)
		if err != nil {
			return nil, nil, err
		}
		return m.Any, m.All, nil
	},
	deliver: deliver,
}

// authenticate asks the library who sent r: of sessions that is all, of machines
// whether a route for these kinds lets them in. A panic in it is an answer, not the
// end of the run.
func authenticate(auth *clerkauth.Authenticator, r *http.Request, kinds []clerkauth.TokenType) (who clerkauth.Auth, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	if slices.Equal(kinds, []clerkauth.TokenType{clerkauth.SessionToken}) {
		state := auth.Authenticate(r)
		return state.Auth(), state.Err()
	}
	demands := make([]clerkauth.Access, len(kinds))
	for i, kind := range kinds {
		demands[i] = clerkauth.Token(kind)
		if kind == clerkauth.SessionToken {
			demands[i] = clerkauth.SignedIn
		}
	}
	ctx, err := auth.Check(r, clerkauth.AnyOf(demands...))
	return clerkauth.FromContext(ctx), err
}

// deliver serves r with a Webhook that handles every event.
func deliver(config clerkauth.WebhookConfig, r *http.Request) (accepted bool, kind string, err error) {
	hooks, err := clerkauth.NewWebhook(config)
	if err != nil {
		return false, "", err
	}
	hooks.OnAny(func(_ context.Context, e *event.Raw) error {
		if kind != "" {
			return errors.New("it was handled already")
		}
		kind = e.Type
		return nil
	})
	w := httptest.NewRecorder()
	hooks.ServeHTTP(w, r)
	return w.Code == http.StatusNoContent, kind, nil
}
