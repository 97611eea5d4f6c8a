package main

import (
	"net"
	"net/http"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/filesystem"

	clerkfiber "github.com/clerkauth/clerkauth/adapters/fiberv2"
)

// fiber2App is an app of fiber v2.
type fiber2App struct{ *fiber.App }

func (a fiber2App) serve(listener net.Listener) error { return a.Listener(listener) }

// newFiber2 returns an app with g in front of all of it.
func newFiber2(config fiber.Config, g *guard) *fiber.App {
	config.DisableStartupMessage = true
	app := fiber.New(config)
	if g != nil {
		app.Use(func(c *fiber.Ctx) error {
			if status := fastStatus(c.Context(), c.Hostname(), g); status != 0 {
				return c.SendStatus(status)
			}
			return c.Next()
		})
	}
	return app
}

func fiber2Setups() []setup {
	var list []setup
	for name, config := range map[string]fiber.Config{
		"fiber v2":                             {},
		"fiber v2+StrictRouting+CaseSensitive": {StrictRouting: true, CaseSensitive: true},
		"fiber v2+UnescapePath":                {UnescapePath: true},
	} {
		list = append(list, setup{name: name, app: func(s shape, h handlers, g *guard) fastApp {
			app := newFiber2(config, g)
			secrets := func(path string, next fiber.Handler) {
				if h.protect != nil { // the guard at the handler is the adapter
					app.All(path, clerkfiber.Require(authenticator()), next)
					return
				}
				app.All(path, next)
			}
			switch s {
			case static:
				secrets("/admin/users", fiber2Say(secret))
				app.All("/public/index", fiber2Say(public))
			case subtree:
				secrets("/admin/*", fiber2Say(secret))
				app.All("/public/*", fiber2Say(public))
			case detail:
				secrets("/admin/:id", fiber2Say(secret))
				app.All("/public/:id", fiber2Say(public))
			case params:
				secrets("/:a/:b", func(c *fiber.Ctx) error { return fiber2Say(who(c.Params("a"), c.Params("b")))(c) })
			case files:
				secrets("/*", filesystem.New(filesystem.Config{Root: http.FS(tree)}))
			}
			return fiber2App{app}
		}})
	}
	return list
}

func fiber2Say(what string) fiber.Handler {
	return func(c *fiber.Ctx) error {
		c.Set(marker, what)
		return c.SendString(contents[what])
	}
}

func fiber2HostSetups() []hostSetup {
	var list []hostSetup
	for name, host := range map[string]func(*fiber.Ctx) string{
		"Hostname": func(c *fiber.Ctx) string { return c.Hostname() },
		"header":   func(c *fiber.Ctx) string { return string(c.Request().Header.Host()) },
	} {
		list = append(list, hostSetup{name: "fiber v2, " + name, ports: true, app: func(l hostLayout, h handlers, g *guard) fastApp {
			app := newFiber2(fiber.Config{}, g)
			app.All("/*", func(c *fiber.Ctx) error {
				what, ok := l.routes[host(c)]
				if !ok {
					what = l.rest
				}
				switch {
				case isOpen(what, c.Method(), c.Path()):
					return fiber2Say(public)(c)
				case h.protect != nil:
					return c.SendStatus(fiber.StatusUnauthorized)
				}
				return fiber2Say(secret)(c)
			})
			return fiber2App{app}
		}})
	}
	return list
}

// fiber2Classes returns apps whose routes have the expressions of classes.
func fiber2Classes() map[string]func(g *guard) fastApp {
	apps := map[string]func(g *guard) fastApp{}
	for name, config := range map[string]fiber.Config{"fiber v2, classes": {UnescapePath: true}, "fiber v2, classes+CaseSensitive": {CaseSensitive: true}} {
		apps[name] = func(g *guard) fastApp {
			app := newFiber2(config, g)
			for _, c := range classes {
				if !config.CaseSensitive && strings.ContainsAny(c.expression, "DW") {
					continue // fiber lowers \W to \w, which changes the route
				}
				app.All(c.prefix+":x<regex(^"+c.expression+"$)>", fiber2Say(secret))
			}
			app.All("/*", fiber2Say(public))
			return fiber2App{app}
		}
	}
	return apps
}
