package main

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/gorilla/mux"
	"github.com/uptrace/bunrouter"
)

// setup is a router with its options, in any shape.
type setup struct {
	name string
	// build returns the application with outer around all of it, or where the setup puts
	// the guard.
	build func(s shape, h handlers, outer middle) http.Handler
	// app is build for fiber, which does not use net/http.
	app func(s shape, h handlers, g *guard) fastApp
	// mount is a prefix that is removed from paths behind the guard.
	mount string
	// prefix is prepended to all targets. They are sent without it, too.
	prefix string
	// inside reports whether the guard is not around all of the application.
	inside bool
	// greedy reports whether the last parameter of a route matches the rest of the path,
	// slashes included, so that the route /admin/:id is the pattern /admin/:id(.*).
	greedy bool
}

// scene returns the scene of s in a shape.
func (s setup) scene(sh shape) scene {
	guards := s.guards(sh)
	for _, g := range clerkGuards(s.mount, sh) {
		if (g.only == "" || g.only == s.name) && (s.app == nil || !g.netHTTP) {
			guards = append(guards, g)
		}
	}
	return scene{part: pathPart, setup: s.name, layout: string(sh), targets: s.targets(), guards: guards,
		start: func(g *guard) (http.Handler, fastApp) {
			h := g.handlers()
			switch {
			case g != nil && g.build != nil:
				return g.build(h), nil
			case s.app == nil:
				return s.build(sh, h, g.middleware()), nil
			case g != nil && g.decide == nil:
				g = nil // it guards handlers
			}
			return nil, s.app(sh, h, g)
		}}
}

// targets returns the targets to send to s: with its prefix and without.
func (s setup) targets() []target {
	list := targets()
	if s.prefix == "" {
		return list
	}
	for _, t := range targets() {
		scheme, rest, ok := strings.Cut(t.path, "://")
		switch i := strings.IndexByte(rest, '/'); {
		case ok && i >= 0:
			t.path = scheme + "://" + rest[:i] + s.prefix + rest[i:]
		case strings.HasPrefix(t.path, "/"):
			t.path = s.prefix + t.path
		default:
			continue
		}
		list = append(list, t)
	}
	for _, path := range []string{"/appadmin/users", "/app../admin/users", "/x/../app/admin/users", "//app/admin/users", "/APP/admin/users", "/%61pp/admin/users", "/app%2fadmin%2fusers"} {
		list = append(list, target{method: "GET", path: path, host: appHost})
	}
	return list
}

// oneParameter returns the pattern of the route /admin/:id.
func (s setup) oneParameter() string {
	if s.greedy {
		return "/admin/:id(.*)"
	}
	return "/admin/:id"
}

// middle is middleware.
type middle = func(http.Handler) http.Handler

func init() { gin.SetMode(gin.ReleaseMode) } // the default logs every route

// setups returns all routers, with all options that change how they read paths.
func setups() []setup {
	list := []setup{
		{name: "ServeMux", build: outermost(serveMux)},
		{name: "ServeMux+StripPrefix", mount: "/app", prefix: "/app", build: outermost(func(s shape, h handlers) http.Handler {
			m := http.NewServeMux()
			m.Handle("/app/", http.StripPrefix("/app", serveMux(s, h)))
			return m
		})},
		{name: "StripPrefix alone", mount: "/app", prefix: "/app", build: outermost(func(s shape, h handlers) http.Handler {
			return http.StripPrefix("/app", serveMux(s, h))
		})},
		{name: "StripPrefix before the guard", prefix: "/app", inside: true, build: func(s shape, h handlers, outer middle) http.Handler {
			m := http.NewServeMux()
			m.Handle("/app/", http.StripPrefix("/app", outer(serveMux(s, h))))
			m.Handle("/", outer(serveMux(s, h)))
			return m
		}},
		{name: "chi", build: outermost(chiWith())},
		{name: "chi+CleanPath", build: outermost(chiWith(middleware.CleanPath))},
		{name: "chi+StripSlashes", build: outermost(chiWith(middleware.StripSlashes))},
		{name: "chi+RedirectSlashes", build: outermost(chiWith(middleware.RedirectSlashes))},
		{name: "chi+CleanPath+StripSlashes", build: outermost(chiWith(middleware.CleanPath, middleware.StripSlashes))},
		{name: "chi, guard in Use after CleanPath", inside: true, build: func(s shape, h handlers, outer middle) http.Handler {
			return chiWith(middleware.CleanPath, outer)(s, h)
		}},
		{name: "chi, guard in Use before CleanPath", inside: true, build: func(s shape, h handlers, outer middle) http.Handler {
			return chiWith(outer, middleware.CleanPath)(s, h)
		}},
		{name: "chi.Mount", build: outermost(chiMount)},
		{name: "bunrouter", build: outermost(bun)},
		{name: "bunrouter behind StripPrefix", mount: "/app", prefix: "/app", build: outermost(func(s shape, h handlers) http.Handler {
			return http.StripPrefix("/app", bun(s, h))
		})},
		{name: "ServeMux, extension cut at its last dot", build: outermost(withoutExtension(strings.LastIndexByte))},
		{name: "ServeMux, extension cut at its first dot", build: outermost(withoutExtension(strings.IndexByte))},
	}
	for name, set := range map[string]func(*gin.Engine){
		"gin":                         func(*gin.Engine) {},
		"gin+UseRawPath":              func(e *gin.Engine) { e.UseRawPath = true },
		"gin+UseRawPath, not decoded": func(e *gin.Engine) { e.UseRawPath, e.UnescapePathValues = true, false },
		"gin+UseEscapedPath":          func(e *gin.Engine) { e.UseEscapedPath = true },
		"gin+RemoveExtraSlash":        func(e *gin.Engine) { e.RemoveExtraSlash = true },
		"gin+RemoveExtraSlash+UseRawPath": func(e *gin.Engine) {
			e.RemoveExtraSlash, e.UseRawPath = true, true
		},
		"gin+RedirectFixedPath":      func(e *gin.Engine) { e.RedirectFixedPath = true },
		"gin-RedirectTrailingSlash":  func(e *gin.Engine) { e.RedirectTrailingSlash = false },
		"gin+HandleMethodNotAllowed": func(e *gin.Engine) { e.HandleMethodNotAllowed = true },
	} {
		list = append(list, setup{name: name, build: outermost(ginWith(set))})
	}
	for name, set := range map[string]func(*mux.Router){
		"gorilla":                          func(*mux.Router) {},
		"gorilla+UseEncodedPath":           func(r *mux.Router) { r.UseEncodedPath() },
		"gorilla+SkipClean":                func(r *mux.Router) { r.SkipClean(true) },
		"gorilla+SkipClean+UseEncodedPath": func(r *mux.Router) { r.SkipClean(true).UseEncodedPath() },
		"gorilla+StrictSlash":              func(r *mux.Router) { r.StrictSlash(true) },
	} {
		list = append(list, setup{name: name, build: outermost(gorillaWith(set))})
	}
	list = append(list, echo4Setups()...)
	list = append(list, echo5Setups()...)
	list = append(list, fiberSetups()...)
	list = append(list, fiber2Setups()...)
	slices.SortFunc(list, func(a, b setup) int { return cmp.Compare(a.name, b.name) })
	return list
}

// outermost puts the guard around the whole application.
func outermost(build func(shape, handlers) http.Handler) func(shape, handlers, middle) http.Handler {
	return func(s shape, h handlers, outer middle) http.Handler {
		return outer(build(s, h))
	}
}

func serveMux(s shape, h handlers) http.Handler {
	m := http.NewServeMux()
	switch s {
	case static:
		m.Handle("/admin/users", h.secret())
		m.Handle("/public/index", h.public())
	case subtree:
		m.Handle("/admin/", h.secret())
		m.Handle("/public/", h.public())
	case detail:
		m.Handle("/admin/{id}", h.secret())
		m.Handle("/public/{id}", h.public())
	case params:
		m.Handle("/{a}/{b}", h.params(func(r *http.Request, name string) string { return r.PathValue(name) }))
	case files:
		m.Handle("/", h.files())
	}
	return m
}

func chiWith(use ...middle) func(shape, handlers) http.Handler {
	return func(s shape, h handlers) http.Handler {
		r := chi.NewRouter()
		r.Use(use...)
		switch s {
		case static:
			r.Handle("/admin/users", h.secret())
			r.Handle("/public/index", h.public())
		case subtree:
			r.Handle("/admin/*", h.secret())
			r.Handle("/public/*", h.public())
		case detail:
			r.Handle("/admin/{id}", h.secret())
			r.Handle("/public/{id}", h.public())
		case params:
			r.Handle("/{a}/{b}", h.params(chi.URLParam))
		case files:
			r.Handle("/*", h.files())
		}
		return r
	}
}

// chiMount mounts routers in others: /admin reaches the index of the mounted one.
func chiMount(s shape, h handlers) http.Handler {
	r := chi.NewRouter()
	switch s {
	case static:
		r.Route("/admin", func(r chi.Router) { r.Handle("/users", h.secret()) })
		r.Route("/public", func(r chi.Router) { r.Handle("/index", h.public()) })
	case subtree:
		r.Mount("/admin", h.secret())
		r.Mount("/public", h.public())
	case detail:
		r.Route("/admin", func(r chi.Router) { r.Handle("/{id}", h.secret()) })
		r.Route("/public", func(r chi.Router) { r.Handle("/{id}", h.public()) })
	case params:
		r.Route("/{a}", func(r chi.Router) { r.Handle("/{b}", h.params(chi.URLParam)) })
	case files:
		r.Mount("/", h.files())
	}
	return r
}

func ginWith(set func(*gin.Engine)) func(shape, handlers) http.Handler {
	return func(s shape, h handlers) http.Handler {
		e := gin.New()
		set(e)
		switch s {
		case static:
			e.Any("/admin/users", gin.WrapH(h.secret()))
			e.Any("/public/index", gin.WrapH(h.public()))
		case subtree:
			e.Any("/admin/*rest", gin.WrapH(h.secret()))
			e.Any("/public/*rest", gin.WrapH(h.public()))
		case detail:
			e.Any("/admin/:id", gin.WrapH(h.secret()))
			e.Any("/public/:id", gin.WrapH(h.public()))
		case params:
			e.Any("/:a/:b", func(c *gin.Context) {
				h.params(func(_ *http.Request, name string) string { return c.Param(name) }).ServeHTTP(c.Writer, c.Request)
			})
		case files:
			e.NoRoute(func(c *gin.Context) {
				c.Status(http.StatusOK) // gin's default for NoRoute is 404
				h.files().ServeHTTP(c.Writer, c.Request)
			})
		}
		return e
	}
}

func gorillaWith(set func(*mux.Router)) func(shape, handlers) http.Handler {
	return func(s shape, h handlers) http.Handler {
		r := mux.NewRouter()
		set(r)
		switch s {
		case static:
			r.Handle("/admin/users", h.secret())
			r.Handle("/public/index", h.public())
		case subtree:
			r.PathPrefix("/admin/").Handler(h.secret())
			r.PathPrefix("/public/").Handler(h.public())
		case detail:
			r.Handle("/admin/{id}", h.secret())
			r.Handle("/public/{id}", h.public())
		case params:
			r.Handle("/{a}/{b}", h.params(func(r *http.Request, name string) string { return mux.Vars(r)[name] }))
		case files:
			r.PathPrefix("/").Handler(h.files())
		}
		return r
	}
}

func bun(s shape, h handlers) http.Handler {
	r := bunrouter.New()
	handle := func(path string, next http.Handler) {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
			r.Handle(method, path, bunrouter.HTTPHandler(next))
		}
	}
	switch s {
	case static:
		handle("/admin/users", h.secret())
		handle("/public/index", h.public())
	case subtree:
		handle("/admin/*rest", h.secret())
		handle("/public/*rest", h.public())
	case detail:
		handle("/admin/:id", h.secret())
		handle("/public/:id", h.public())
	case params:
		handle("/:a/:b", h.params(func(r *http.Request, name string) string {
			return bunrouter.ParamsFromContext(r.Context()).ByName(name)
		}))
	case files:
		handle("/*rest", h.files())
	}
	return r
}

// withoutExtension is serveMux behind middleware that removes the extension of the last
// segment of a path, at the dot that find returns.
func withoutExtension(find func(string, byte) int) func(shape, handlers) http.Handler {
	cut := func(path string) string {
		last := strings.LastIndexByte(path, '/') + 1
		if i := find(path[last:], '.'); i >= 0 {
			return path[:last+i]
		}
		return path
	}
	return func(s shape, h handlers) http.Handler {
		next := serveMux(s, h)
		if s == files {
			next = h.files() // the file server cleans paths, where ServeMux would redirect
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			u := *r.URL
			u.Path, u.RawPath = cut(u.Path), cut(u.RawPath)
			if u.RawPath == u.Path {
				u.RawPath = ""
			}
			r2 := *r
			r2.URL = &u
			next.ServeHTTP(w, &r2)
		})
	}
}
