package main

import (
	"cmp"
	"net/url"

	"github.com/gofiber/fiber/v3"
	fiberstatic "github.com/gofiber/fiber/v3/middleware/static"

	clerkfiber "github.com/clerkauth/clerkauth/adapters/fiber"
)

func fiberSetups() []setup {
	var list []setup
	for name, config := range map[string]fiber.Config{
		"fiber":                             {},
		"fiber+StrictRouting+CaseSensitive": {StrictRouting: true, CaseSensitive: true},
		"fiber+UnescapePath":                {UnescapePath: true},
	} {
		list = append(list, setup{name: name, app: func(s shape, h handlers, g *guard) *fiber.App {
			app := fiber.New(config)
			guardFiber(app, g)
			// What stands at the handler here is the adapter itself.
			guarded := func(next fiber.Handler) (first any, rest []any) {
				if h.protect == nil {
					return next, nil
				}
				return clerkfiber.Require(authenticator()), []any{next}
			}
			secrets := func(path string, next fiber.Handler) {
				first, rest := guarded(next)
				app.All(path, first, rest...)
			}
			switch s {
			case static:
				secrets("/admin/users", fiberSay(secret))
				app.All("/public/index", fiberSay(public))
			case subtree:
				secrets("/admin/*", fiberSay(secret))
				app.All("/public/*", fiberSay(public))
			case detail:
				secrets("/admin/:id", fiberSay(secret))
				app.All("/public/:id", fiberSay(public))
			case params:
				secrets("/:a/:b", func(c fiber.Ctx) error {
					return fiberSay(who(c.Params("a"), c.Params("b")))(c)
				})
			case files:
				first, rest := guarded(fiberstatic.New("", fiberstatic.Config{FS: tree}))
				app.Get("/*", first, rest...)
			}
			return app
		}})
	}
	return list
}

func fiberSay(what string) fiber.Handler {
	return func(c fiber.Ctx) error {
		c.Set(marker, what)
		return c.SendString(contents[what])
	}
}

// fiberStatus asks the guard about what fasthttp makes of the request line, and
// about what net/http would: the former decodes and cleans the path by itself,
// and takes some targets for absolute ones.
func fiberStatus(c fiber.Ctx, g *guard) int {
	// Of the header, since Request.RequestURI makes a clean one.
	u, err := url.ParseRequestURI(string(c.Request().Header.RequestURI()))
	if err != nil {
		return fiber.StatusBadRequest
	}
	header := string(c.Request().Header.Host())
	if status := g.decide(c.Method(), cmp.Or(u.Host, header), u); status != 0 {
		return status
	}
	if u.Host != "" { // fasthttp leaves the header to be looked at
		named := *u
		named.Scheme, named.Host = "", ""
		if status := g.decide(c.Method(), header, &named); status != 0 {
			return status
		}
	}
	uri := c.Request().URI()
	return g.decide(c.Method(), c.Host(), &url.URL{Path: string(uri.Path()), RawPath: string(uri.PathOriginal())})
}

// guardFiber puts g, if it decides by itself, in front of all of app.
func guardFiber(app *fiber.App, g *guard) {
	if g == nil {
		return
	}
	// Use without a path is not asked about a target that does not begin
	// with a slash, which the route /* takes all the same.
	app.Use("/*", func(c fiber.Ctx) error {
		if status := fiberStatus(c, g); status != 0 {
			return c.SendStatus(status)
		}
		return c.Next()
	})
}
