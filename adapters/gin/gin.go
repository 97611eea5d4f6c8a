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
		m.Func(func(_ http.ResponseWriter, r *http.Request) {
			c.Request, passed = r, true
		}).ServeHTTP(c.Writer, c.Request)
	}
}
