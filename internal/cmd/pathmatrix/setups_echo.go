package main

import (
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	echo5 "github.com/labstack/echo/v5"
	middleware5 "github.com/labstack/echo/v5/middleware"
)

// rewrite maps an old path to a public one. A guard cannot see a rewrite, behind it, to a
// protected path. Without the ^, echo would rewrite /x/legacy/../admin to one.
var rewrite = map[string]string{"^/legacy/*": "/public/$1"}

func echo4Setups() []setup {
	var list []setup
	for name, pre := range map[string]echo.MiddlewareFunc{
		"echo v4":                     nil,
		"echo v4+RemoveTrailingSlash": middleware.RemoveTrailingSlash(),
		"echo v4+AddTrailingSlash":    middleware.AddTrailingSlash(),
		"echo v4+Rewrite":             middleware.Rewrite(rewrite),
	} {
		list = append(list, setup{name: name, greedy: true, build: outermost(func(s shape, h handlers) http.Handler {
			e := echo.New()
			if pre != nil {
				e.Pre(pre)
			}
			switch s {
			case static:
				e.Any("/admin/users", echo.WrapHandler(h.secret()))
				e.Any("/public/index", echo.WrapHandler(h.public()))
			case subtree:
				e.Any("/admin/*", echo.WrapHandler(h.secret()))
				e.Any("/public/*", echo.WrapHandler(h.public()))
			case detail:
				e.Any("/admin/:id", echo.WrapHandler(h.secret()))
				e.Any("/public/:id", echo.WrapHandler(h.public()))
			case params:
				e.Any("/:a/:b", func(c echo.Context) error {
					h.params(func(_ *http.Request, name string) string { return c.Param(name) }).ServeHTTP(c.Response(), c.Request())
					return nil
				})
			case files:
				e.GET("/*", echo.WrapHandler(h.files()))
			}
			return e
		})})
	}
	// echo's file server.
	return append(list, setup{name: "echo v4.StaticFS", greedy: true, build: outermost(func(s shape, h handlers) http.Handler {
		e := echo.New()
		if s == files {
			e.StaticFS("/", tree)
		}
		return h.guarded(e)
	})})
}

func echo5Setups() []setup {
	var list []setup
	for name, c := range map[string]struct {
		pre    echo5.MiddlewareFunc
		config echo5.RouterConfig
	}{
		"echo v5":                           {config: echo5.RouterConfig{UnescapePathParamValues: true}},
		"echo v5, not decoded":              {},
		"echo v5+UseEscapedPathForMatching": {config: echo5.RouterConfig{UseEscapedPathForMatching: true}},
		"echo v5+RemoveTrailingSlash":       {pre: middleware5.RemoveTrailingSlash()},
		"echo v5+AddTrailingSlash":          {pre: middleware5.AddTrailingSlash()},
		"echo v5+Rewrite":                   {pre: middleware5.Rewrite(rewrite)},
	} {
		list = append(list, setup{name: name, greedy: true, build: outermost(func(s shape, h handlers) http.Handler {
			e := echo5.NewWithConfig(echo5.Config{Router: echo5.NewRouter(c.config)})
			if c.pre != nil {
				e.Pre(c.pre)
			}
			switch s {
			case static:
				e.Any("/admin/users", echo5.WrapHandler(h.secret()))
				e.Any("/public/index", echo5.WrapHandler(h.public()))
			case subtree:
				e.Any("/admin/*", echo5.WrapHandler(h.secret()))
				e.Any("/public/*", echo5.WrapHandler(h.public()))
			case detail:
				e.Any("/admin/:id", echo5.WrapHandler(h.secret()))
				e.Any("/public/:id", echo5.WrapHandler(h.public()))
			case params:
				e.Any("/:a/:b", func(c *echo5.Context) error {
					h.params(func(_ *http.Request, name string) string { return c.Param(name) }).ServeHTTP(c.Response(), c.Request())
					return nil
				})
			case files:
				e.GET("/*", echo5.WrapHandler(h.files()))
			}
			return e
		})})
	}
	return append(list, setup{name: "echo v5.StaticFS", greedy: true, build: outermost(func(s shape, h handlers) http.Handler {
		e := echo5.New()
		if s == files {
			e.StaticFS("/", tree)
		}
		return h.guarded(e)
	})})
}
