package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/event"
)

// webhookCase is a case of verifyWebhook.
type webhookCase struct {
	Secret  *string `json:"signingSecret"` // null: it is not configured
	Now     int64   `json:"now"`           // milliseconds since 1970
	Request struct {
		Method  string              `json:"method"`
		Headers map[string][]string `json:"headers"`
		Body    []byte              `json:"bodyBase64"`
	} `json:"request"`
}

// received is our answer to such a case.
type received struct {
	File string   `json:"file"`
	ID   string   `json:"id"`
	OK   bool     `json:"ok"`
	Type nullable `json:"type"`

	rule string // why we may refuse what the SDK accepts
}

// The rules by which we refuse more. Each names a property of the input.
const (
	ruleWebhookSecret  = "webhook-secret-form" // a secret is whsec_ and strict base64 of 24 bytes or more (Standard Webhooks)
	ruleWebhookHeaders = "webhook-header-form" // id, timestamp and signatures have one spelling, and there are 32 signatures at most
	ruleWebhookBytes   = "webhook-raw-bytes"   // what is signed is what came, not the text that it decodes to
	ruleWebhookEvent   = "webhook-event-form"  // an event is a JSON object of unique member names with a type
	ruleWebhookSize    = "webhook-size"        // a body is no larger than 1 MiB
	ruleWebhookMethod  = "webhook-method"      // Svix sends POST
)

func openWebhook(f corpusFile) func(json.RawMessage) (decision, error) {
	return func(raw json.RawMessage) (decision, error) {
		var head caseHead
		var c webhookCase
		if err := json.Unmarshal(raw, &head); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(raw, &c); err != nil {
			return nil, err
		}
		return c.decide(&received{File: f.Name, ID: head.ID}), nil
	}
}

// decide has a Webhook with a handler of every event answer the request.
func (c *webhookCase) decide(d *received) *received {
	config := clerkauth.WebhookConfig{
		Logger: slog.New(slog.DiscardHandler),
		Now:    func() time.Time { return time.UnixMilli(c.Now) },
	}
	if c.Secret != nil {
		config.Secrets = []string{*c.Secret}
	}
	hooks, err := clerkauth.NewWebhook(config)
	if err != nil {
		d.rule = ruleWebhookSecret
		return d
	}
	hooks.OnAny(func(_ context.Context, e *event.Raw) error {
		d.Type = nullable(e.Type)
		return nil
	})
	r, err := c.request()
	if err != nil {
		d.rule = ruleWebhookHeaders
		return d
	}
	w := httptest.NewRecorder()
	hooks.ServeHTTP(w, r)
	d.OK = w.Code == http.StatusNoContent
	if !d.OK {
		d.rule = c.rule(r.Header)
	}
	return d
}

// request returns the request as net/http's server hands it to a handler.
func (c *webhookCase) request() (*http.Request, error) {
	var raw bytes.Buffer
	raw.WriteString(c.Request.Method + " /webhooks HTTP/1.1\r\nHost: app.example.com\r\n")
	for _, name := range slices.Sorted(maps.Keys(c.Request.Headers)) {
		for _, value := range c.Request.Headers[name] {
			line := latin1(name + ": " + value)
			if bytes.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
				return nil, errBadRequest
			}
			raw.Write(append(line, "\r\n"...))
		}
	}
	raw.WriteString("\r\n")
	r, err := http.ReadRequest(bufio.NewReader(&raw))
	if err != nil {
		return nil, errBadRequest
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(c.Request.Body)), int64(len(c.Request.Body))
	return r, nil
}

// What Svix writes.
var (
	svixID         = regexp.MustCompile(`\A[A-Za-z0-9_-]{1,128}\z`)
	svixTime       = regexp.MustCompile(`\A[1-9][0-9]*\z`)
	svixSignatures = regexp.MustCompile(`\A[a-z0-9]+,[A-Za-z0-9+/]+=*( [a-z0-9]+,[A-Za-z0-9+/]+=*){0,31}\z`)
)

// rule names the property for which we may refuse a case, "" if it has none.
func (c *webhookCase) rule(h http.Header) string {
	one := func(name string, form *regexp.Regexp) bool {
		return len(h[name]) == 1 && form.MatchString(h[name][0])
	}
	_, err := event.Parse(c.Request.Body)
	switch {
	case c.Request.Method != http.MethodPost:
		return ruleWebhookMethod
	case !one("Svix-Id", svixID) || !one("Svix-Timestamp", svixTime) || !one("Svix-Signature", svixSignatures):
		return ruleWebhookHeaders
	case len(c.Request.Body) > 1<<20:
		return ruleWebhookSize
	case !utf8.Valid(c.Request.Body) || strings.HasPrefix(string(c.Request.Body), "\ufeff"):
		return ruleWebhookBytes
	case err != nil:
		return ruleWebhookEvent
	default:
		return ""
	}
}

// compare judges whether the delivery is accepted, and as what. Why one is refused
// is not compared.
func (d *received) compare(expect json.RawMessage) (verdict, error) {
	var sdk struct {
		Clerk struct {
			OK    bool `json:"ok"`
			Event struct {
				Type any `json:"type"`
			} `json:"event"`
		} `json:"clerk"`
	}
	if err := json.Unmarshal(expect, &sdk); err != nil {
		return verdict{}, err
	}
	theirs := sdk.Clerk
	v := verdict{rule: d.rule, detail: "sdk " + string(expect)}
	switch {
	case d.OK && !theirs.OK:
		v.class = laxer
	case !d.OK && theirs.OK && d.rule != "":
		v.class = stricter
	case d.OK != theirs.OK || d.OK && theirs.Event.Type != string(d.Type):
		v.class = unexplained
	default:
		return verdict{class: agree}, nil
	}
	return v, nil
}
