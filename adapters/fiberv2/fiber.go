// Package clerkfiber authenticates requests to a fiber v2 app and authorizes access
// to its routes.
//
//	app.Use(clerkfiber.Identify(auth))
//	app.Get("/dashboard", clerkfiber.Require(auth), dashboard)
//	admin := app.Group("/admin", clerkfiber.Require(auth, clerkauth.Role("org:admin")))
//
// Handlers find the caller with clerkauth.FromContext(c.UserContext()), which, unlike c,
// may be used after the handler has returned. With c.Context(), FromContext returns the
// zero Auth.
package clerkfiber

import (
	"html"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/internal/fast"
)

// Identify is [clerkauth.Authenticator.Handler] for fiber: handlers behind it find
// the caller with [clerkauth.FromContext]. Requests without credentials are
// anonymous; an invalid session token of the instance is rejected with 401.
func Identify(auth *clerkauth.Authenticator) fiber.Handler { return adapt(auth.Handler) }

// Require is [clerkauth.Authenticator.Require] for a route or a group of fiber's.
// The caller must satisfy all requirements, or be a signed-in user if there are
// none. It works with and without [Identify] before it, and panics if a
// requirement is nil or can never be satisfied.
//
// The route's parameters become path values of the request, for
// [clerkauth.OrganizationParam].
func Require(auth *clerkauth.Authenticator, requirements ...clerkauth.Access) fiber.Handler {
	return adapt(auth.Require(requirements...))
}

// adapt returns a fiber handler that calls the next one if m calls its own. The
// responses to rejected requests are m's.
func adapt(m clerkauth.Middleware) fiber.Handler {
	return func(c *fiber.Ctx) error {
		r, err := newRequest(c)
		if err != nil {
			return err
		}
		w := fast.NewResponse(c.Response())
		next := func() error { return nil }
		m.Func(func(_ http.ResponseWriter, r *http.Request) {
			c.SetUserContext(r.Context())
			next = c.Next
		}).ServeHTTP(w, r)
		if w.Hidden {
			return notFound(c)
		}
		w.Send(&c.Response().Header, c.Vary)
		return next()
	}
}

// newRequest returns the request as net/http would present it, without its body, or
// fiber's error for status 400 where net/http would reject it. It is a copy, because
// fasthttp reuses the memory of a request.
func newRequest(c *fiber.Ctx) (*http.Request, error) {
	r := fast.NewRequest(&c.Request().Header)
	if r == nil {
		return nil, fiber.ErrBadRequest
	}
	r.RemoteAddr, r.TLS = c.Context().RemoteAddr().String(), c.Context().TLSConnectionState()
	fast.SetPathValues(r, c.Route().Params, c.Params)
	return r.WithContext(c.UserContext()), nil
}

// notFound returns fiber's error for an unknown path.
func notFound(c *fiber.Ctx) error {
	path := string(c.Request().URI().PathOriginal())
	return fiber.NewError(fiber.StatusNotFound, "Cannot "+c.Method()+" "+html.EscapeString(path))
}
