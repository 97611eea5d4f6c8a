package main

import (
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/clerkauth/clerkauth"
	clerkecho "github.com/clerkauth/clerkauth/adapters/echov4"
)

// newServer returns the API.
func newServer(auth *clerkauth.Authenticator) http.Handler {
	e := echo.New()
	e.Use(middleware.Recover(), clerkecho.Identify(auth))
	e.GET("/", home)
	e.GET("/dashboard", dashboard, clerkecho.Require(auth))
	e.POST("/invoices", createInvoice, clerkecho.Require(auth, clerkauth.Permission("org:invoices:create")))
	org := e.Group("/orgs/:slug", clerkecho.Require(auth, clerkauth.Role("org:admin"), clerkauth.OrganizationParam("slug")))
	org.DELETE("", deleteOrg)
	e.POST("/sign-out", func(c echo.Context) error { // for browsers, which are signed in by their cookies
		if !auth.SignOut(c.Response(), c.Request()) {
			return nil // it has responded
		}
		return c.Redirect(http.StatusSeeOther, "/")
	})
	return e
}

func home(c echo.Context) error {
	if who := clerkauth.FromContext(c.Request().Context()); who.SignedIn() {
		return c.String(http.StatusOK, "hello, "+who.UserID+"\n")
	}
	return c.String(http.StatusOK, "hello, stranger\n")
}

func dashboard(c echo.Context) error {
	who := clerkauth.FromContext(c.Request().Context())
	return c.JSON(http.StatusOK, map[string]any{
		"user": who.UserID, "organization": who.OrgSlug, "role": who.OrgRole, "permissions": who.Permissions(),
	})
}

func deleteOrg(c echo.Context) error {
	return c.JSON(http.StatusOK, map[string]any{"deleted": c.Param("slug")})
}

func createInvoice(c echo.Context) error {
	return c.JSON(http.StatusOK, map[string]any{"invoice of": clerkauth.FromContext(c.Request().Context()).OrgSlug})
}
