// Package clerkfiber authenticates requests to a fiber v3 app and authorizes access
// to its routes.
//
//	app.Use("*", clerkfiber.Identify(auth))
//	app.Get("/dashboard", clerkfiber.Require(auth), dashboard)
//	admin := app.Group("/admin", clerkfiber.Require(auth, clerkauth.Role("org:admin")))
//
// Handlers find the caller with clerkauth.FromContext(c.Context()), which, unlike c,
// may be used after the handler has returned. With c itself, FromContext returns the
// zero Auth. Use "*" as the path of app.Use: for some requests fiber skips middleware
// registered without a path; see the README.
package clerkfiber

import (
	"bytes"
	"cmp"
	"net/http"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v3"

	"github.com/clerkauth/clerkauth"
)

// Identify is [clerkauth.Authenticator.Handler] for fiber: handlers behind it find
// the caller with [clerkauth.FromContext]. Requests without credentials are
// anonymous; an invalid session token of the instance is rejected with 401.
func Identify(auth *clerkauth.Authenticator) fiber.Handler { return adapt(auth.Handler) }

// Require is [clerkauth.Authenticator.Require] for a route or a group of fiber's.
// The caller must satisfy all requirements, or be a signed-in user if there are
// none. It works with and without [Identify] before it, and panics if a
// requirement is nil or can never be satisfied.
//
// The route's parameters become path values of the request, for
// [clerkauth.OrganizationParam].
func Require(auth *clerkauth.Authenticator, requirements ...clerkauth.Access) fiber.Handler {
	return adapt(auth.Require(requirements...))
}

// adapt returns a fiber handler that calls the next one if m calls its own. The
// responses to rejected requests are m's.
func adapt(m clerkauth.Middleware) fiber.Handler {
	return func(c fiber.Ctx) error {
		r, err := newRequest(c)
		if err != nil {
			return err
		}
		w := &response{c: c, header: http.Header{}}
		next := func() error { return nil }
		m.Func(func(_ http.ResponseWriter, r *http.Request) {
			c.SetContext(r.Context())
			next = c.Next
		}).ServeHTTP(w, r)
		if w.hidden {
			return fiber.ErrNotFound
		}
		w.send()
		return next()
	}
}

// newRequest returns the request as net/http would present it, without its body, or
// fiber's error for status 400 where net/http would reject it. It is a copy, because
// fasthttp reuses the memory of a request.
func newRequest(c fiber.Ctx) (*http.Request, error) {
	in, header := &c.Request().Header, http.Header{}
	target, err := url.ParseRequestURI(string(in.RequestURI()))
	if err != nil {
		return nil, fiber.ErrBadRequest
	}
	for name, value := range in.All() {
		if strings.Contains(string(name), " ") {
			return nil, fiber.ErrBadRequest // servers disagree on which header it is
		}
		header.Add(string(name), string(value)) // every line, whatever the case of its name
	}
	header.Del("Host")
	if manyHosts(in.RawHeaders()) || len(in.Host()) == 0 && target.Host == "" {
		return nil, fiber.ErrBadRequest
	}
	r := &http.Request{
		Method: string(in.Method()), URL: target, RequestURI: string(in.RequestURI()), Proto: string(in.Protocol()),
		Host: cmp.Or(target.Host, string(in.Host())), Header: header, Body: http.NoBody,
		RemoteAddr: c.RequestCtx().RemoteAddr().String(), TLS: c.RequestCtx().TLSConnectionState(),
	}
	var ok bool
	if r.ProtoMajor, r.ProtoMinor, ok = http.ParseHTTPVersion(r.Proto); !ok || r.ProtoMajor != 1 {
		return nil, fiber.ErrBadRequest
	}
	for _, name := range c.Route().Params {
		r.SetPathValue(name, strings.Clone(c.Params(name)))
	}
	return r.WithContext(c.Context()), nil
}

// manyHosts reports whether there is more than one Host line. fasthttp returns only
// one of them.
func manyHosts(headers []byte) bool {
	n := 0
	for line := range bytes.SplitSeq(headers, []byte("\n")) {
		if name, _, ok := bytes.Cut(line, []byte(":")); ok && bytes.EqualFold(bytes.TrimSpace(name), []byte("Host")) {
			n++
		}
	}
	return n > 1
}

// response is an [http.ResponseWriter] that writes to fasthttp's response. Its header
// is written by send. The library calls NotFound instead of writing a refusal that
// [clerkauth.Config.HideUnauthorized] hides.
type response struct {
	c      fiber.Ctx
	header http.Header
	hidden bool
}

func (w *response) Header() http.Header         { return w.header }
func (w *response) WriteHeader(status int)      { w.c.Status(status) }
func (w *response) Write(p []byte) (int, error) { return w.c.Write(p) }

// send writes the header to the response. It appends to Vary and Set-Cookie, and
// replaces every other header.
func (w *response) send() {
	out := &w.c.Response().Header
	w.c.Vary(w.header["Vary"]...)
	delete(w.header, "Vary")
	for name := range w.header {
		if name != "Set-Cookie" {
			out.Del(name)
		}
	}
	for name, lines := range w.header {
		for _, line := range lines {
			out.Add(name, line)
		}
	}
}

// NotFound leaves the response to fiber's error handler.
func (w *response) NotFound() { w.hidden = true }
