package clerkecho_test

import (
	"fmt"
	"net/http/httptest"
	"strings"

	"github.com/labstack/echo/v5"

	"github.com/clerkauth/clerkauth"
	clerkecho "github.com/clerkauth/clerkauth/adapters/echo"
	"github.com/clerkauth/clerkauth/clerkauthtest"
)

func Example() {
	clerk, err := clerkauthtest.Start() // a Clerk instance of its own
	if err != nil {
		panic(err)
	}
	defer clerk.Close()
	auth, err := clerkauth.New(clerk.Config()) // in a program, clerkauth.FromEnv()
	if err != nil {
		panic(err)
	}

	e := echo.New()
	e.Use(clerkecho.Identify(auth))
	e.GET("/", func(c *echo.Context) error {
		if !clerkauth.FromContext(c.Request().Context()).SignedIn() {
			return c.String(200, "hello, stranger")
		}
		return c.NoContent(200)
	})
	e.GET("/dashboard", func(c *echo.Context) error {
		who := clerkauth.FromContext(c.Request().Context())
		return c.String(200, who.OrgRole+" of "+who.OrgSlug)
	}, clerkecho.Require(auth))
	orgs := e.Group("/orgs/:slug", clerkecho.Require(auth, clerkauth.Role("org:admin"), clerkauth.OrganizationParam("slug")))
	orgs.DELETE("", func(c *echo.Context) error { return c.String(200, "deleted") })

	jane := clerk.CreateUser("jane@example.com")
	session := clerk.SignIn(jane, clerkauthtest.InOrganization("acme", "org:admin"))
	for _, request := range []string{"GET /", "GET /dashboard", "DELETE /orgs/acme", "DELETE /orgs/other"} {
		method, path, _ := strings.Cut(request, " ")
		req := httptest.NewRequest(method, path, nil)
		if path != "/" {
			session.Authorize(req)
		}
		rec := httptest.NewRecorder()
		e.ServeHTTP(rec, req)
		body := rec.Body.String()
		if rec.Code != 200 {
			body = "" // problem details
		}
		fmt.Println(strings.TrimSpace(fmt.Sprintf("%s: %d %s", request, rec.Code, body)))
	}
	// Output:
	// GET /: 200 hello, stranger
	// GET /dashboard: 200 org:admin of acme
	// DELETE /orgs/acme: 200 deleted
	// DELETE /orgs/other: 403
}
