// Package clerkecho identifies the callers of an echo v5 server and guards its
// routes.
//
//	e := echo.New()
//	e.Use(clerkecho.Identify(auth))
//	e.GET("/dashboard", dashboard, clerkecho.Require(auth))
//	admin := e.Group("/admin", clerkecho.Require(auth, clerkauth.Role("org:admin")))
//
// Handlers ask who is calling with clerkauth.FromContext(c.Request().Context()).
package clerkecho

import (
	"net/http"

	"github.com/labstack/echo/v5"

	"github.com/clerkauth/clerkauth"
)

// Identify is [clerkauth.Authenticator.Handler]: handlers behind it know who is
// calling, callers without a credential pass as signed out, and a bad session
// token is refused.
func Identify(auth *clerkauth.Authenticator) echo.MiddlewareFunc { return adapt(auth.Handler) }

// Require is [clerkauth.Authenticator.Require] for a route or a group: handlers
// behind it are reached by callers who meet every one of the demands, by anyone
// signed in if there are none. It works with and without [Identify] before it,
// and panics on an Access that is nil or that nobody could ever meet.
//
// The route's parameters are the path values of the request, so that
// [clerkauth.OrganizationParam] knows them; in e.Pre there are none yet.
func Require(auth *clerkauth.Authenticator, demands ...clerkauth.Access) echo.MiddlewareFunc {
	return adapt(auth.Require(demands...))
}

// adapt lets m decide whether the chain goes on. What m refuses it answers by
// itself.
func adapt(m clerkauth.Middleware) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			r, passed := c.Request(), false
			for _, p := range c.PathValues() {
				r.SetPathValue(p.Name, c.Param(p.Name)) // of two with one name, the one that handlers see
			}
			w := &writer{ResponseWriter: c.Response()}
			m.Func(func(_ http.ResponseWriter, r *http.Request) {
				c.SetRequest(r)
				passed = true
			}).ServeHTTP(w, r)
			switch {
			case w.hidden:
				return echo.ErrNotFound
			case !passed:
				return nil
			default:
				return next(c)
			}
		}
	}
}

// writer is echo's. The library calls NotFound instead of writing a refusal that
// [clerkauth.Config.HideUnauthorized] hides.
type writer struct {
	http.ResponseWriter
	hidden bool
}

// NotFound leaves the answer to echo's error handler.
func (w *writer) NotFound() { w.hidden = true }

// Unwrap gives [http.ResponseController] what echo's can do.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
