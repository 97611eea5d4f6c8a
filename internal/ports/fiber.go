package ports

import (
	"github.com/gofiber/fiber/v2"

	"github.com/clerkauth/clerkauth"
	clerkfiber "github.com/clerkauth/clerkauth/adapters/fiberv2"
)

// newFiberApp returns an app of fiber v2 with a page for everyone, which greets users who
// are signed in. A token that has expired makes an anonymous caller.
func newFiberApp(c clerkauth.Config) (*fiber.App, error) {
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	// auth
	auth, err := clerkauth.New(c)
	if err != nil {
		return nil, err
	}
	app.Use(clerkfiber.Require(auth, clerkauth.Optional))
	user := func(c *fiber.Ctx) string { return clerkauth.FromContext(c.UserContext()).UserID }
	// end
	app.Get("/", func(c *fiber.Ctx) error { return c.SendString("hello " + user(c)) })
	return app, nil
}
