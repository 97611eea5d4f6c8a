// Package clerkfiber authenticates requests to a fiber v3 app and authorizes access
// to its routes.
//
//	app.Use("*", clerkfiber.Identify(auth))
//	app.Get("/dashboard", clerkfiber.Require(auth), dashboard)
//	admin := app.Group("/admin", clerkfiber.Require(auth, clerkauth.Role("org:admin")))
//
// Handlers find the caller with clerkauth.FromContext(c.Context()), which, unlike c,
// may be used after the handler has returned. With c itself, FromContext returns the
// zero Auth. Use "*" as the path of app.Use: for some requests fiber skips middleware
// registered without a path; see the README.
package clerkfiber

import (
	"net/http"

	"github.com/gofiber/fiber/v3"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/internal/fast"
)

// Identify is [clerkauth.Authenticator.Handler] for fiber: handlers behind it find
// the caller with [clerkauth.FromContext]. Requests without credentials are
// anonymous; an invalid session token of the instance is rejected with 401. The cookies
// of browsers are read and renewed.
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
	return func(c fiber.Ctx) error {
		r, err := newRequest(c)
		if err != nil {
			return err
		}
		added, outermost := headers(c)
		if outermost {
			// fiber writes them later. Deferred, because a middleware may recover from a
			// panic of the handler's.
			defer added.Apply(&c.Response().Header)
		}
		w := fast.NewResponse(c.Response(), added)
		next := func() error { return nil }
		m.Func(func(_ http.ResponseWriter, r *http.Request) {
			c.SetContext(r.Context())
			next = c.Next
		}).ServeHTTP(w, r)
		if w.Hidden {
			return fiber.ErrNotFound
		}
		w.Send(&c.Response().Header)
		return next()
	}
}

// SignOut is [clerkauth.Authenticator.SignOut] for fiber: it signs the sender of the
// request out, or responds and returns false.
//
//	app.Post("/sign-out", func(c fiber.Ctx) error {
//		if !clerkfiber.SignOut(auth, c) {
//			return nil
//		}
//		return c.Redirect().Status(fiber.StatusSeeOther).To("/")
//	})
func SignOut(auth *clerkauth.Authenticator, c fiber.Ctx) bool {
	r, err := newRequest(c)
	if err != nil {
		c.Status(fiber.StatusBadRequest)
		return false
	}
	added, outermost := headers(c)
	if outermost {
		defer added.Apply(&c.Response().Header)
	}
	w := fast.NewResponse(c.Response(), added)
	done := auth.SignOut(w, r)
	w.Send(&c.Response().Header)
	return done
}

// headersKey is the key of the request's headers in fiber's locals.
type headersKey struct{}

// local keeps headers behind one pointer more, because fmt follows the first.
type local struct{ *fast.Headers }

// headers returns what adds the library's headers to the response, and whether there was
// none, so that the caller is the outermost guard.
func headers(c fiber.Ctx) (added *fast.Headers, outermost bool) {
	if kept, ok := c.Locals(headersKey{}).(local); ok {
		return kept.Headers, false
	}
	added = fast.NewHeaders()
	c.Locals(headersKey{}, local{added})
	return added, true
}

// newRequest returns the request as net/http would present it, without its body, or
// fiber's error for status 400 where net/http would reject it. It is a copy, because
// fasthttp reuses the memory of a request.
func newRequest(c fiber.Ctx) (*http.Request, error) {
	r := fast.NewRequest(&c.Request().Header)
	if r == nil {
		return nil, fiber.ErrBadRequest
	}
	r.RemoteAddr, r.TLS = c.RequestCtx().RemoteAddr().String(), c.RequestCtx().TLSConnectionState()
	fast.SetPathValues(r, c.Route().Params, c.Params)
	return r.WithContext(c.Context()), nil
}
