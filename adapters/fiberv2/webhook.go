package clerkfiber

import (
	"bytes"
	"io"

	"github.com/gofiber/fiber/v2"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/internal/fast"
)

// Webhook returns a handler that serves hooks:
//
//	app.Post("/webhooks/clerk", clerkfiber.Webhook(hooks))
//
// Webhook handlers receive a copy of the request, because they may outlive it and
// fasthttp reuses its memory. Middleware before Webhook must not change the body.
func Webhook(hooks *clerkauth.Webhook) fiber.Handler {
	return func(c *fiber.Ctx) error {
		r, err := newRequest(c)
		if err != nil {
			return err
		}
		if body := c.Request().BodyStream(); body != nil {
			r.Body, r.ContentLength = io.NopCloser(body), int64(c.Request().Header.ContentLength())
		} else {
			body := c.Request().Body() // the bytes that were signed; c.Body would decompress them
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		}
		w := fast.NewResponse(c.Response(), nil)
		hooks.ServeHTTP(w, r)
		w.Send(&c.Response().Header)
		return nil
	}
}
