// Package clerkfiber identifies callers of fiber v3 apps and guards their routes.
//
//	app.Use("*", clerkfiber.Identify(auth))
//	app.Get("/dashboard", clerkfiber.Require(auth), dashboard)
//	admin := app.Group("/admin", clerkfiber.Require(auth, clerkauth.Role("org:admin")))
//
// Handlers ask who is calling with clerkauth.FromContext(c.Context()), which is
// good for longer than c is. Asked c itself, it says signed out. See the README
// for why "*": fiber skips what Use has at no path for some requests.
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

// Identify is [clerkauth.Authenticator.Handler]: callers without a credential
// pass as signed out, and a bad session token is refused.
func Identify(auth *clerkauth.Authenticator) fiber.Handler { return adapt(auth.Handler) }

// Require is [clerkauth.Authenticator.Require] for a route or a group, whose
// parameters [clerkauth.OrganizationParam] finds. It works with and without
// [Identify] before it; asked for nothing, it demands [clerkauth.SignedIn]. It
// panics on an Access that is nil or that nobody could ever meet.
func Require(auth *clerkauth.Authenticator, demands ...clerkauth.Access) fiber.Handler {
	return adapt(auth.Require(demands...))
}

// adapt lets m decide whether the chain goes on; what m refuses it answers.
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

// newRequest returns the request as net/http would have it, without its body, or
// 400 where that would. It is a copy: fasthttp uses its memory for the next one.
func newRequest(c fiber.Ctx) (*http.Request, error) {
	in, header := &c.Request().Header, http.Header{}
	target, err := url.ParseRequestURI(string(in.RequestURI()))
	if err != nil {
		return nil, fiber.ErrBadRequest
	}
	for name, value := range in.All() {
		if strings.Contains(string(name), " ") {
			return nil, fiber.ErrBadRequest // servers disagree on what header it is
		}
		header.Add(string(name), string(value)) // every line, whatever case its name is in
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

// manyHosts reports whether there is more than one Host line, of which fasthttp shows one.
func manyHosts(headers []byte) bool {
	n := 0
	for line := range bytes.SplitSeq(headers, []byte("\n")) {
		if name, _, ok := bytes.Cut(line, []byte(":")); ok && bytes.EqualFold(bytes.TrimSpace(name), []byte("Host")) {
			n++
		}
	}
	return n > 1
}

// response is fasthttp's, to write a refusal into; adapt sends the header. The library
// calls NotFound instead of writing a refusal that [clerkauth.Config.HideUnauthorized]
// hides.
type response struct {
	c      fiber.Ctx
	header http.Header
	hidden bool
}

func (w *response) Header() http.Header         { return w.header }
func (w *response) WriteHeader(status int)      { w.c.Status(status) }
func (w *response) Write(p []byte) (int, error) { return w.c.Write(p) }

// send adds the header to the response: Vary and cookies to what is there, others instead
// of it.
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

// NotFound leaves the answer to fiber's error handler.
func (w *response) NotFound() { w.hidden = true }
