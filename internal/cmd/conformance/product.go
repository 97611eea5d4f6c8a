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

// product is the library under test, or, in tests of the judges, a broken one.
type product struct {
	// newAuth returns an Authenticator.
	newAuth func(clerkauth.Config) (*clerkauth.Authenticator, error)
	// authenticate returns the caller of a route that accepts these kinds of credentials,
	// and the headers of the response.
	authenticate func(*clerkauth.Authenticator, *http.Request, []clerkauth.TokenType) (clerkauth.Auth, http.Header, error)
	// verify returns the identity in a session token.
	verify func(*clerkauth.Authenticator, string) (clerkauth.Auth, error)
	// has reports whether a caller satisfies all requirements.
	has func(clerkauth.Auth, []clerkauth.Access) bool
	// newMatcher returns the two methods of a Matcher.
	newMatcher func(patterns []string) (anyOf, allOf func(*http.Request) bool, err error)
	// deliver sends a delivery to a Webhook. It returns the type of the handled event, ""
	// if there is none, and an error if the configuration is invalid.
	deliver func(clerkauth.WebhookConfig, *http.Request) (accepted bool, kind string, err error)
}

// library is clerkauth itself.
var library = product{
	newAuth:      clerkauth.New,
	authenticate: authenticate,
	verify: func(auth *clerkauth.Authenticator, token string) (clerkauth.Auth, error) {
		return auth.VerifyToken(context.Background(), token)
	},
	has: func(who clerkauth.Auth, requirements []clerkauth.Access) bool { return who.Has(requirements...) },
	newMatcher: func(patterns []string) (anyOf, allOf func(*http.Request) bool, err error) {
		m, err := clerkauth.NewMatcher(patterns...)
		if err != nil {
			return nil, nil, err
		}
		return m.Any, m.All, nil
	},
	deliver: deliver,
}

// authenticate returns the caller of r: with Check, as on a route for these kinds, if they
// have one of a machine and the credential may be one; otherwise with Authenticate, which
// knows more of a session. A panic becomes an error, so that
// the run continues.
func authenticate(auth *clerkauth.Authenticator, r *http.Request, kinds []clerkauth.TokenType) (who clerkauth.Auth, header http.Header, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	state := auth.Authenticate(r)
	header = state.Header()
	session, machines := slices.Contains(kinds, clerkauth.SessionToken), len(kinds) > 1
	who, err = state.Auth(), state.Err()
	known := who.TokenType == clerkauth.SessionToken || err != nil && !errors.Is(err, clerkauth.ErrTokenType)
	if session && (header.Get("Location") != "" || !machines || known) {
		return who, header, err
	}
	requirements := make([]clerkauth.Access, len(kinds))
	for i, kind := range kinds {
		requirements[i] = clerkauth.Token(kind)
		if kind == clerkauth.SessionToken {
			requirements[i] = clerkauth.SignedIn
		}
	}
	ctx, err := auth.Check(r, clerkauth.AnyOf(requirements...))
	return clerkauth.FromContext(ctx), header, err
}

// deliver serves r with a Webhook that handles every event.
func deliver(config clerkauth.WebhookConfig, r *http.Request) (accepted bool, kind string, err error) {
	hooks, err := clerkauth.NewWebhook(config)
	if err != nil {
		return false, "", err
	}
	hooks.OnAny(func(_ context.Context, e *event.Raw) error {
		if kind != "" {
			return errors.New("the event was handled already")
		}
		kind = e.Type
		return nil
	})
	w := httptest.NewRecorder()
	hooks.ServeHTTP(w, r)
	return w.Code == http.StatusNoContent, kind, nil
}
