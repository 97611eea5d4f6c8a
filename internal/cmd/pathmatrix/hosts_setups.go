package main

import (
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/gofiber/fiber/v3"
	"github.com/gorilla/mux"
	"github.com/labstack/echo/v4"
	echo5 "github.com/labstack/echo/v5"
	"golang.org/x/net/idna"
)

// hostSetups returns all routers that route by host, in all their ways to compare hosts.
func hostSetups() []hostSetup {
	list := []hostSetup{
		{name: "ServeMux", build: hostServeMux},
		{name: "ServeMux behind StripPrefix", mount: "/app", build: func(l hostLayout, h handlers) http.Handler {
			return http.StripPrefix("/app", hostServeMux(l, h))
		}},
		{name: "gorilla", ports: true, build: hostGorilla(func(host string) string { return host })},
		{name: "gorilla, any case", names: true, own: true, build: hostGorilla(func(host string) string {
			return "{host:(?i)" + regexp.QuoteMeta(muxHost(host)) + "}"
		})},
		{name: "echo v4", ports: true, build: func(l hostLayout, h handlers) http.Handler {
			e := echo.New()
			for host, what := range l.routes {
				e.Host(host).Any("/*", echo.WrapHandler(h.answer(what)))
			}
			e.Any("/*", echo.WrapHandler(h.answer(l.rest)))
			return e
		}},
		{name: "echo v5", ports: true, build: func(l hostLayout, h handlers) http.Handler {
			hosts := map[string]*echo5.Echo{}
			for host, what := range l.routes {
				hosts[host] = echo5.New()
				hosts[host].Any("/*", echo5.WrapHandler(h.answer(what)))
			}
			e := echo5.NewVirtualHostHandler(hosts)
			e.Any("/*", echo5.WrapHandler(h.answer(l.rest)))
			return e
		}},
	}
	for name, read := range hostReaders {
		list = append(list, hostSetup{name: "chi, " + name, ports: read.ports, names: read.names, own: read.own, build: read.chi})
	}
	for name, read := range map[string]struct {
		ports bool
		host  func(fiber.Ctx) string
	}{
		"Hostname": {false, func(c fiber.Ctx) string { return c.Hostname() }},
		"Host":     {true, func(c fiber.Ctx) string { return c.Host() }},
		"header":   {true, func(c fiber.Ctx) string { return string(c.Request().Header.Host()) }},
	} {
		list = append(list, hostSetup{name: "fiber, " + name, ports: read.ports, app: func(l hostLayout, h handlers, g *guard) fastApp {
			app := fiber.New()
			guardFiber(app, g)
			known := l.known(read.ports)
			app.All("/*", func(c fiber.Ctx) error {
				what, ok := known[strings.Trim(read.host(c), "[]")]
				if !ok {
					if what, ok = known[read.host(c)]; !ok {
						what = l.rest
					}
				}
				switch {
				case isOpen(what, c.Method(), c.Path()):
					return fiberSay(public)(c)
				case h.protect != nil:
					return c.SendStatus(fiber.StatusUnauthorized)
				}
				return fiberSay(secret)(c)
			})
			return fiberApp{app}
		}})
	}
	return append(list, fiber2HostSetups()...)
}

// known returns the routes by the router's spelling of their hosts.
func (l hostLayout) known(ports bool) map[string]string {
	if ports {
		return l.routes
	}
	list := map[string]string{}
	for host, what := range l.routes {
		list[muxHost(host)] = what
	}
	return list
}

func hostServeMux(l hostLayout, h handlers) http.Handler {
	m := http.NewServeMux()
	for host, what := range l.known(false) {
		m.Handle(host+"/", h.answer(what))
	}
	m.Handle("/", h.answer(l.rest))
	return m
}

func hostGorilla(template func(host string) string) func(hostLayout, handlers) http.Handler {
	return func(l hostLayout, h handlers) http.Handler {
		r := mux.NewRouter()
		for host, what := range l.routes {
			r.Host(template(host)).Handler(h.answer(what))
		}
		r.PathPrefix("/").Handler(h.answer(l.rest))
		return r
	}
}

// hostReader is a way to read a request's host, for a program with a router for each host.
type hostReader struct {
	ports bool
	names bool
	host  func(r *http.Request) string
	// fold reports whether hosts are compared without regard to case.
	fold bool
	own  bool // see hostSetup
}

var hostReaders = map[string]hostReader{
	"r.Host":                 {ports: true, host: rawHost},
	"r.Host in lower case":   {ports: true, own: true, host: func(r *http.Request) string { return strings.ToLower(r.Host) }},
	"r.Host in any case":     {ports: true, own: true, fold: true, host: rawHost},
	"r.Host without its dot": {ports: true, own: true, host: func(r *http.Request) string { return dotless(strings.ToLower(r.Host), strings.TrimSuffix) }},
	"r.Host without dots":    {ports: true, own: true, host: func(r *http.Request) string { return dotless(strings.ToLower(r.Host), strings.TrimRight) }},
	"URL.Host or r.Host": {ports: true, host: func(r *http.Request) string {
		if r.URL.Host != "" {
			return r.URL.Host
		}
		return r.Host
	}},
	"URL.Host if there is a scheme": {ports: true, host: func(r *http.Request) string {
		if r.URL.Scheme != "" {
			return r.URL.Host
		}
		return r.Host
	}},
	"cut at the first colon": {names: true, host: func(r *http.Request) string { host, _, _ := strings.Cut(r.Host, ":"); return host }},
	"cut at the last colon": {host: func(r *http.Request) string {
		if i := strings.LastIndexByte(r.Host, ':'); i >= 0 && !strings.HasSuffix(r.Host, "]") {
			return strings.Trim(r.Host[:i], "[]")
		}
		return r.Host
	}},
	"SplitHostPort": {host: func(r *http.Request) string { return splitHost(r.Host) }},
	"SplitHostPort, any case": {own: true, fold: true, host: func(r *http.Request) string {
		return strings.TrimSuffix(splitHost(r.Host), ".")
	}},
	"Hostname": {host: func(r *http.Request) string { return (&url.URL{Host: r.Host}).Hostname() }},
	"Hostname of what is parsed": {own: true, host: func(r *http.Request) string {
		if u, err := url.Parse("http://" + r.Host); err == nil {
			return strings.ToLower(u.Hostname())
		}
		return r.Host
	}},
	"port as a number": {ports: true, host: func(r *http.Request) string {
		name, port, _ := net.SplitHostPort(r.Host)
		if n, err := strconv.Atoi(port); err == nil {
			return net.JoinHostPort(name, strconv.Itoa(n))
		}
		return r.Host
	}},
	"IDNA": {own: true, host: func(r *http.Request) string {
		host := splitHost(r.Host)
		if ascii, err := idna.Lookup.ToASCII(host); err == nil {
			return strings.TrimSuffix(ascii, ".")
		}
		return host
	}},
}

func rawHost(r *http.Request) string { return r.Host }

// dotless trims final dots of a host's name.
func dotless(host string, trim func(s, dot string) string) string {
	if name, port, ok := strings.Cut(host, ":"); ok && !strings.HasPrefix(host, "[") {
		return trim(name, ".") + ":" + port
	}
	return trim(host, ".")
}

func splitHost(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}

func (read hostReader) chi(l hostLayout, h handlers) http.Handler {
	routers := map[string]http.Handler{}
	for host, what := range l.known(read.ports) {
		r := chi.NewRouter()
		r.Handle("/*", h.answer(what))
		routers[host] = r
	}
	rest := chi.NewRouter()
	rest.Handle("/*", h.answer(l.rest))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := read.host(r)
		if router, ok := routers[host]; ok {
			router.ServeHTTP(w, r)
			return
		}
		for known, router := range routers {
			if read.fold && strings.EqualFold(known, host) {
				router.ServeHTTP(w, r)
				return
			}
		}
		rest.ServeHTTP(w, r)
	})
}
