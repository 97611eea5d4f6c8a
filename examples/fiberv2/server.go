package main

import (
	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/recover"

	"github.com/clerkauth/clerkauth"
	clerkfiber "github.com/clerkauth/clerkauth/adapters/fiberv2"
)

// newServer returns the API.
func newServer(auth *clerkauth.Authenticator) *fiber.App {
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Use(recover.New(), clerkfiber.Identify(auth))
	app.Get("/", home)
	app.Get("/dashboard", clerkfiber.Require(auth), dashboard)
	app.Post("/invoices", clerkfiber.Require(auth, clerkauth.Permission("org:invoices:create")), createInvoice)
	org := app.Group("/orgs/:slug", clerkfiber.Require(auth, clerkauth.Role("org:admin"), clerkauth.OrganizationParam("slug")))
	org.Delete("", deleteOrg)
	app.Post("/sign-out", func(c *fiber.Ctx) error { // for browsers, which are signed in by their cookies
		if !clerkfiber.SignOut(auth, c) {
			return nil // it has responded
		}
		return c.Redirect("/", fiber.StatusSeeOther)
	})
	return app
}

func home(c *fiber.Ctx) error {
	if who := clerkauth.FromContext(c.UserContext()); who.SignedIn() {
		return c.SendString("hello, " + who.UserID + "\n")
	}
	return c.SendString("hello, stranger\n")
}

func dashboard(c *fiber.Ctx) error {
	who := clerkauth.FromContext(c.UserContext())
	return c.JSON(fiber.Map{"user": who.UserID, "organization": who.OrgSlug, "role": who.OrgRole, "permissions": who.Permissions()})
}

func deleteOrg(c *fiber.Ctx) error {
	return c.JSON(fiber.Map{"deleted": c.Params("slug")})
}

func createInvoice(c *fiber.Ctx) error {
	return c.JSON(fiber.Map{"invoice of": clerkauth.FromContext(c.UserContext()).OrgSlug})
}
