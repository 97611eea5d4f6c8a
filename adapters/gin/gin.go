// Package clerkgin authenticates requests to a gin engine and authorizes access
// to its routes.
//
//	r := gin.New()
//	r.Use(clerkgin.Identify(auth))
//	r.GET("/dashboard", clerkgin.Require(auth), dashboard)
//	admin := r.Group("/admin", clerkgin.Require(auth, clerkauth.Role("org:admin")))
//
// Handlers find the caller with clerkauth.FromContext(c.Request.Context()). With
// c itself, FromContext finds the caller only in an engine whose
// ContextWithFallback is set; in others it returns the zero Auth.
package clerkgin

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/internal/response"
)

// Identify is [clerkauth.Authenticator.Handler] for gin: handlers behind it find
// the caller with [clerkauth.FromContext]. Requests without credentials are
// anonymous; an invalid session token of the instance is rejected with 401. The cookies
// of browsers are read and renewed.
func Identify(auth *clerkauth.Authenticator) gin.HandlerFunc { return adapt(auth.Handler) }

// Require is [clerkauth.Authenticator.Require] for a route or a group of gin's.
// The caller must satisfy all requirements, or be a signed-in user if there are
// none. It works with and without [Identify] before it, and panics if a
// requirement is nil or can never be satisfied.
//
// The route's parameters become path values of the request, for
// [clerkauth.OrganizationParam].
func Require(auth *clerkauth.Authenticator, requirements ...clerkauth.Access) gin.HandlerFunc {
	return adapt(auth.Require(requirements...))
}

// adapt returns a gin handler that continues the chain if m calls its handler, and
// aborts it otherwise. The responses to rejected requests are m's.
func adapt(m clerkauth.Middleware) gin.HandlerFunc {
	return func(c *gin.Context) {
		for _, p := range c.Params {
			c.Request.SetPathValue(p.Key, c.Param(p.Key)) // of duplicate names, the value that handlers see
		}
		out := response.Of(c.Writer)
		if out == nil {
			w := &writer{ResponseWriter: c.Writer}
			w.out.Init(c.Writer)
			c.Writer, out = w, &w.out
		}
		passed := false
		// Deferred, because gin continues with the next handler after a panic that
		// an earlier one recovers from.
		defer func() {
			if !passed {
				c.Abort()
			}
		}()
		w := &guarded{ResponseWriter: c.Writer}
		m.Func(func(_ http.ResponseWriter, r *http.Request) {
			c.Request, passed = r, true
		}).ServeHTTP(w, c.Request)
		switch {
		case w.hidden:
			notFound(c)
		case passed:
			c.Next()
		}
		add(c.Writer, out) // gin writes the headers of an empty response without c.Writer
	}
}

// guarded is gin's writer with a NotFound method, which the library calls instead
// of writing a refusal that [clerkauth.Config.HideUnauthorized] hides.
type guarded struct {
	gin.ResponseWriter
	hidden bool
}

// NotFound leaves the response to the engine.
func (w *guarded) NotFound() { w.hidden = true }

// Unwrap returns the writer in which the library finds what adds its headers.
func (w *guarded) Unwrap() http.ResponseWriter { return w.ResponseWriter }

const noRouteKey = "clerkauth.NoRoute"

// NoRoute returns a handler that has refusals hidden by
// [clerkauth.Config.HideUnauthorized] answered by handler, which should be the
// engine's own NoRoute handler: middleware cannot find it. Without NoRoute, hidden
// refusals get gin's default 404.
//
//	r.NoRoute(notFound)
//	r.Use(clerkgin.NoRoute(notFound))
func NoRoute(handler gin.HandlerFunc) gin.HandlerFunc {
	return func(c *gin.Context) { c.Set(noRouteKey, handler) }
}

// notFound responds as the engine does for a path without a route.
func notFound(c *gin.Context) {
	c.Abort()
	c.Status(http.StatusNotFound)
	if handler, ok := c.Value(noRouteKey).(gin.HandlerFunc); ok {
		handler(c)
	}
	if !c.Writer.Written() && c.Writer.Status() == http.StatusNotFound {
		c.Header("Content-Type", gin.MIMEPlain)
		_, _ = c.Writer.WriteString("404 page not found")
	}
}
