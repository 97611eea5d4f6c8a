// Package clerkgin identifies the callers of a gin engine and guards its routes.
//
//	r := gin.New()
//	r.Use(clerkgin.Identify(auth))
//	r.GET("/dashboard", clerkgin.Require(auth), dashboard)
//	admin := r.Group("/admin", clerkgin.Require(auth, clerkauth.Role("org:admin")))
//
// Handlers ask who is calling with clerkauth.FromContext(c.Request.Context()).
// Ask the request's context: c itself holds it only in an engine that was made
// with ContextWithFallback, and says signed out otherwise.
package clerkgin

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/clerkauth/clerkauth"
)

// Identify is [clerkauth.Authenticator.Handler]: handlers behind it know who is
// calling, callers without a credential pass as signed out, and a bad session
// token is refused.
func Identify(auth *clerkauth.Authenticator) gin.HandlerFunc { return adapt(auth.Handler) }

// Require is [clerkauth.Authenticator.Require] for a route or a group: handlers
// behind it are reached by callers who meet every one of the demands, by anyone
// signed in if there are none. It works with and without [Identify] before it,
// and panics on an Access that is nil or that nobody could ever meet.
//
// The route's parameters are the path values of the request, so that
// [clerkauth.OrganizationParam] knows them.
func Require(auth *clerkauth.Authenticator, demands ...clerkauth.Access) gin.HandlerFunc {
	return adapt(auth.Require(demands...))
}

// adapt lets m decide whether the chain goes on. What m refuses it answers by
// itself.
func adapt(m clerkauth.Middleware) gin.HandlerFunc {
	return func(c *gin.Context) {
		for _, p := range c.Params {
			c.Request.SetPathValue(p.Key, c.Param(p.Key)) // of two with one name, the one that handlers see
		}
		passed := false
		// Deferred, because after a panic that somebody recovers from gin goes
		// on with the next handler.
		defer func() {
			if !passed {
				c.Abort()
			}
		}()
		w := &writer{ResponseWriter: c.Writer}
		m.Func(func(_ http.ResponseWriter, r *http.Request) {
			c.Request, passed = r, true
		}).ServeHTTP(w, c.Request)
		if w.hidden {
			notFound(c)
		}
	}
}

// writer is gin's. The library calls NotFound instead of writing a refusal that
// [clerkauth.Config.HideUnauthorized] hides.
type writer struct {
	gin.ResponseWriter
	hidden bool
}

// NotFound leaves the answer to the engine.
func (w *writer) NotFound() { w.hidden = true }

const noRouteKey = "clerkauth.NoRoute"

// NoRoute is for engines with a NoRoute handler of their own: what
// [clerkauth.Config.HideUnauthorized] hides is answered by it, too. Without it, hidden
// refusals get gin's own 404, because no middleware can find the engine's handler.
//
//	r.NoRoute(notFound)
//	r.Use(clerkgin.NoRoute(notFound))
func NoRoute(handler gin.HandlerFunc) gin.HandlerFunc {
	return func(c *gin.Context) { c.Set(noRouteKey, handler) }
}

// notFound answers as the engine does where there is no route.
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
