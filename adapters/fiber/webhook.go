package clerkfiber

import (
	"bytes"
	"io"
	"net/http"

	"github.com/gofiber/fiber/v3"

	"github.com/clerkauth/clerkauth"
)

// Webhook serves hooks at a route:
//
//	app.Post("/webhooks/clerk", clerkfiber.Webhook(hooks))
//
// What handlers get is a copy: they may outlive the request, whose memory fasthttp uses
// for the next one. No middleware before it may change the body.
func Webhook(hooks *clerkauth.Webhook) fiber.Handler {
	return func(c fiber.Ctx) error {
		r, err := newRequest(c)
		if err != nil {
			return err
		}
		if body := c.Request().BodyStream(); body != nil {
			r.Body, r.ContentLength = io.NopCloser(body), int64(c.Request().Header.ContentLength())
		} else {
			body := c.Request().Body() // as it was signed: c.Body would decompress it
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		}
		w := &response{c: c, header: http.Header{}}
		hooks.ServeHTTP(w, r)
		w.send()
		return nil
	}
}
