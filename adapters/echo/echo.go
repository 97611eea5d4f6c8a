// Package clerkecho authenticates requests to an echo v5 server and authorizes
// access to its routes.
//
//	e := echo.New()
//	e.Use(clerkecho.Identify(auth))
//	e.GET("/dashboard", dashboard, clerkecho.Require(auth))
//	admin := e.Group("/admin", clerkecho.Require(auth, clerkauth.Role("org:admin")))
//
// Handlers find the caller with clerkauth.FromContext(c.Request().Context()).
package clerkecho

import (
	"net/http"

	"github.com/labstack/echo/v5"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/internal/response"
)

// Identify is [clerkauth.Authenticator.Handler] for echo: handlers behind it find
// the caller with [clerkauth.FromContext]. Requests without credentials are
// anonymous; an invalid session token of the instance is rejected with 401. The cookies
// of browsers are read and renewed.
func Identify(auth *clerkauth.Authenticator) echo.MiddlewareFunc { return adapt(auth.Handler) }

// Require is [clerkauth.Authenticator.Require] for a route or a group of echo's.
// The caller must satisfy all requirements, or be a signed-in user if there are
// none. It works with and without [Identify] before it, and panics if a
// requirement is nil or can never be satisfied.
//
// The route's parameters become path values of the request, for
// [clerkauth.OrganizationParam]; in e.Pre there are none yet.
func Require(auth *clerkauth.Authenticator, requirements ...clerkauth.Access) echo.MiddlewareFunc {
	return adapt(auth.Require(requirements...))
}

// adapt returns middleware that calls the next handler if m calls its own. The
// responses to rejected requests are m's.
func adapt(m clerkauth.Middleware) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			r, passed := c.Request(), false
			for _, p := range c.PathValues() {
				r.SetPathValue(p.Name, c.Param(p.Name)) // of duplicate names, the value that handlers see
			}
			out := headers(c)
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
			}
			err := next(c)
			if res, _ := echo.UnwrapResponse(c.Response()); res == nil || !res.Committed {
				out.Apply() // nothing may be written
			}
			return err
		}
	}
}

// headers returns what adds the library's headers to the response when they are written.
// It is below echo's own writer, so that all its functions run before, and echo's error
// handler, which runs after the guard, changes nothing about it.
func headers(c *echo.Context) *response.Writer {
	out := response.Of(c.Response())
	if out != nil {
		return out
	}
	out = new(response.Writer)
	if res, err := echo.UnwrapResponse(c.Response()); err == nil {
		out.Init(res.ResponseWriter)
		res.ResponseWriter = out.ResponseWriter()
	} else { // it is the application's own
		out.Init(c.Response())
		c.SetResponse(out.ResponseWriter())
	}
	return out
}

// writer is echo's response with a NotFound method, which the library calls instead
// of writing a refusal that [clerkauth.Config.HideUnauthorized] hides.
type writer struct {
	http.ResponseWriter
	hidden bool
}

// NotFound leaves the response to echo's error handler.
func (w *writer) NotFound() { w.hidden = true }

// Unwrap returns echo's response, for [http.ResponseController].
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
