package main

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/clerkauth/clerkauth"
	clerkgin "github.com/clerkauth/clerkauth/adapters/gin"
)

// newServer returns the API.
func newServer(auth *clerkauth.Authenticator) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.Use(gin.Recovery(), clerkgin.Identify(auth))
	r.GET("/", home)
	r.GET("/dashboard", clerkgin.Require(auth), dashboard)
	r.POST("/invoices", clerkgin.Require(auth, clerkauth.Permission("org:invoices:create")), createInvoice)
	org := r.Group("/orgs/:slug", clerkgin.Require(auth, clerkauth.Role("org:admin"), clerkauth.OrganizationParam("slug")))
	org.DELETE("", deleteOrg)
	r.POST("/sign-out", func(c *gin.Context) { // for browsers, which are signed in by their cookies
		if auth.SignOut(c.Writer, c.Request) {
			c.Redirect(http.StatusSeeOther, "/")
		}
	})
	return r
}

func home(c *gin.Context) {
	if who := clerkauth.FromContext(c.Request.Context()); who.SignedIn() {
		c.String(http.StatusOK, "hello, %s\n", who.UserID)
		return
	}
	c.String(http.StatusOK, "hello, stranger\n")
}

func dashboard(c *gin.Context) {
	who := clerkauth.FromContext(c.Request.Context())
	c.JSON(http.StatusOK, gin.H{"user": who.UserID, "organization": who.OrgSlug, "role": who.OrgRole, "permissions": who.Permissions()})
}

func deleteOrg(c *gin.Context) {
	c.JSON(http.StatusOK, gin.H{"deleted": c.Param("slug")})
}

func createInvoice(c *gin.Context) {
	c.JSON(http.StatusOK, gin.H{"invoice of": clerkauth.FromContext(c.Request.Context()).OrgSlug})
}
