package clerkgin_test

import (
	"fmt"
	"net/http/httptest"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/clerkauth/clerkauth"
	clerkgin "github.com/clerkauth/clerkauth/adapters/gin"
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

	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.Use(clerkgin.Identify(auth))
	r.GET("/", func(c *gin.Context) {
		if !clerkauth.FromContext(c.Request.Context()).SignedIn() {
			c.String(200, "hello, stranger")
		}
	})
	r.GET("/dashboard", clerkgin.Require(auth), func(c *gin.Context) {
		who := clerkauth.FromContext(c.Request.Context())
		c.String(200, "%s of %s", who.OrgRole, who.OrgSlug)
	})
	orgs := r.Group("/orgs/:slug", clerkgin.Require(auth, clerkauth.Role("org:admin"), clerkauth.OrganizationParam("slug")))
	orgs.DELETE("", func(c *gin.Context) { c.String(200, "deleted") })

	jane := clerk.CreateUser("jane@example.com")
	session := clerk.SignIn(jane, clerkauthtest.InOrganization("acme", "org:admin"))
	for _, request := range []string{"GET /", "GET /dashboard", "DELETE /orgs/acme", "DELETE /orgs/other"} {
		method, path, _ := strings.Cut(request, " ")
		req := httptest.NewRequest(method, path, nil)
		if path != "/" {
			session.Authorize(req)
		}
		rec := httptest.NewRecorder()
		r.ServeHTTP(rec, req)
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
