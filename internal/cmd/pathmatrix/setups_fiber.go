package main

import (
	"cmp"
	"net"
	"net/url"

	"github.com/gofiber/fiber/v3"
	fiberstatic "github.com/gofiber/fiber/v3/middleware/static"

	"github.com/valyala/fasthttp"

	clerkfiber "github.com/clerkauth/clerkauth/adapters/fiber"
)

// fastApp is an app of fiber's, v2 or v3.
type fastApp interface {
	Handler() fasthttp.RequestHandler
	// serve serves until the listener is closed.
	serve(net.Listener) error
}

type fiberApp struct{ *fiber.App }

func (a fiberApp) serve(listener net.Listener) error {
	return a.Listener(listener, fiber.ListenConfig{DisableStartupMessage: true})
}

func fiberSetups() []setup {
	var list []setup
	for name, config := range map[string]fiber.Config{
		"fiber":                             {},
		"fiber+StrictRouting+CaseSensitive": {StrictRouting: true, CaseSensitive: true},
		"fiber+UnescapePath":                {UnescapePath: true},
	} {
		list = append(list, setup{name: name, app: func(s shape, h handlers, g *guard) fastApp {
			app := fiber.New(config)
			guardFiber(app, g)
			// The guard at the handler is the adapter.
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
			return fiberApp{app}
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

// fastStatus calls the guard with fasthttp's reading of the request line and with
// net/http's. fasthttp decodes and cleans the path, and reads some targets as absolute. host is
// fiber's reading.
func fastStatus(c *fasthttp.RequestCtx, host string, g *guard) int {
	// The header's, because Request.RequestURI returns a cleaned one.
	u, err := url.ParseRequestURI(string(c.Request.Header.RequestURI()))
	if err != nil {
		return fasthttp.StatusBadRequest
	}
	method, header := string(c.Method()), string(c.Request.Header.Host())
	if status := g.decide(method, cmp.Or(u.Host, header), u); status != 0 {
		return status
	}
	if u.Host != "" { // fasthttp keeps the Host header readable
		named := *u
		named.Scheme, named.Host = "", ""
		if status := g.decide(method, header, &named); status != 0 {
			return status
		}
	}
	uri := c.URI()
	return g.decide(method, host, &url.URL{Path: string(uri.Path()), RawPath: string(uri.PathOriginal())})
}

// guardFiber puts g in front of all of app.
func guardFiber(app *fiber.App, g *guard) {
	if g == nil {
		return
	}
	// Use without a path skips targets that do not begin with a slash, which the route /*
	// matches nevertheless.
	app.Use("/*", func(c fiber.Ctx) error {
		if status := fastStatus(c.RequestCtx(), c.Host(), g); status != 0 {
			return c.SendStatus(status)
		}
		return c.Next()
	})
}
