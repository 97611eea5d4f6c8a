package clerkfiber_test

import (
	"fmt"
	"io"
	"net/http/httptest"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/clerkauth/clerkauth"
	clerkfiber "github.com/clerkauth/clerkauth/adapters/fiberv2"
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

	app := fiber.New()
	app.Use(clerkfiber.Identify(auth))
	app.Get("/", func(c *fiber.Ctx) error {
		if !clerkauth.FromContext(c.UserContext()).SignedIn() {
			return c.SendString("hello, stranger")
		}
		return nil
	})
	app.Get("/dashboard", clerkfiber.Require(auth), func(c *fiber.Ctx) error {
		who := clerkauth.FromContext(c.UserContext())
		return c.SendString(who.OrgRole + " of " + who.OrgSlug)
	})
	orgs := app.Group("/orgs/:slug", clerkfiber.Require(auth, clerkauth.Role("org:admin"), clerkauth.OrganizationParam("slug")))
	orgs.Delete("", func(c *fiber.Ctx) error { return c.SendString("deleted") })

	jane := clerk.CreateUser("jane@example.com")
	session := clerk.SignIn(jane, clerkauthtest.InOrganization("acme", "org:admin"))
	for _, request := range []string{"GET /", "GET /dashboard", "DELETE /orgs/acme", "DELETE /orgs/other"} {
		method, path, _ := strings.Cut(request, " ")
		req := httptest.NewRequest(method, path, nil)
		if path != "/" {
			session.Authorize(req)
		}
		resp, err := app.Test(req)
		if err != nil {
			panic(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 200 {
			body = nil // problem details
		}
		fmt.Println(strings.TrimSpace(fmt.Sprintf("%s: %d %s", request, resp.StatusCode, body)))
	}
	// Output:
	// GET /: 200 hello, stranger
	// GET /dashboard: 200 org:admin of acme
	// DELETE /orgs/acme: 200 deleted
	// DELETE /orgs/other: 403
}
