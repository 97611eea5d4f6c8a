package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/clerkauth/clerkauth"
)

// webhookCase is a case of verifyWebhook.
type webhookCase struct {
	Secret  *string `json:"signingSecret"` // null: not configured
	Now     int64   `json:"now"`           // milliseconds since 1970
	Request struct {
		Method  string              `json:"method"`
		Headers map[string][]string `json:"headers"`
		Body    []byte              `json:"bodyBase64"`
	} `json:"request"`
}

// received is our decision for such a case.
type received struct {
	File string   `json:"file"`
	ID   string   `json:"id"`
	OK   bool     `json:"ok"`
	Type nullable `json:"type"`

	rule string // the rule by which we may reject what the SDK accepts
}

// The rules by which we reject more. Each names a property of the input.
const (
	ruleWebhookSecret  = "webhook-secret-form" // a secret is whsec_ and strict base64 of 24 bytes or more (Standard Webhooks)
	ruleWebhookHeaders = "webhook-header-form" // id, timestamp and signatures are in canonical form, and there are at most 32 signatures
	ruleWebhookBytes   = "webhook-raw-bytes"   // the bytes as received are signed, not the text that they decode to
	ruleWebhookEvent   = "webhook-event-form"  // an event is a JSON object of unique member names with a type
	ruleWebhookSize    = "webhook-size"        // a body is no larger than 1 MiB
	ruleWebhookMethod  = "webhook-method"      // Svix sends POST
)

func openWebhook(p product, f corpusFile) func(json.RawMessage) (decision, error) {
	return func(raw json.RawMessage) (decision, error) {
		var head caseHead
		var c webhookCase
		if err := json.Unmarshal(raw, &head); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(raw, &c); err != nil {
			return nil, err
		}
		return c.decide(p, &received{File: f.Name, ID: head.ID}), nil
	}
}

// decide lets a Webhook with a handler for every event serve the request.
func (c *webhookCase) decide(p product, d *received) *received {
	config := clerkauth.WebhookConfig{
		Logger: slog.New(slog.DiscardHandler),
		Now:    func() time.Time { return time.UnixMilli(c.Now) },
	}
	if c.Secret != nil {
		config.Secrets = []clerkauth.Secret{clerkauth.NewSecret(*c.Secret)}
	}
	r, err := c.request()
	if err != nil {
		d.rule = ruleWebhookHeaders
		return d
	}
	headers := r.Header.Clone()
	ok, kind, err := p.deliver(config, r)
	d.OK, d.Type = err == nil && ok, nullable(kind)
	if !d.OK {
		d.rule = c.rule(headers)
	}
	return d
}

// request returns the request as net/http's server passes it to a handler.
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

// The forms of Svix's headers.
var (
	svixID   = regexp.MustCompile(`\A[A-Za-z0-9_-]{1,128}\z`)
	svixTime = regexp.MustCompile(`\A[1-9][0-9]*\z`)
	// svixSignatures matches a signature of version 1 among at most 32, of any version.
	svixSignatures = regexp.MustCompile(`\A([^ ]* ){0,31}v1,[A-Za-z0-9+/]{43}=( [^ ]*){0,31}\z`)
)

// rule returns the name of the property for which we may reject a case, or "".
func (c *webhookCase) rule(h http.Header) string {
	one := func(name string, form *regexp.Regexp) bool {
		return len(h[name]) == 1 && form.MatchString(h[name][0])
	}
	switch {
	case !isWebhookSecret(c.Secret):
		return ruleWebhookSecret
	case c.Request.Method != http.MethodPost:
		return ruleWebhookMethod
	case !one("Svix-Id", svixID) || !one("Svix-Timestamp", svixTime) || !one("Svix-Signature", svixSignatures) ||
		strings.Count(h.Get("Svix-Signature"), " ") >= 32:
		return ruleWebhookHeaders
	case len(c.Request.Body) > 1<<20:
		return ruleWebhookSize
	case !utf8.Valid(c.Request.Body) || strings.HasPrefix(string(c.Request.Body), "\ufeff"):
		return ruleWebhookBytes
	case !isEvent(c.Request.Body):
		return ruleWebhookEvent
	default:
		return ""
	}
}

// isWebhookSecret reports whether a secret has the form that we accept.
func isWebhookSecret(secret *string) bool {
	if secret == nil {
		return false
	}
	text, ok := strings.CutPrefix(*secret, "whsec_")
	key, err := base64.StdEncoding.Strict().DecodeString(text)
	return ok && err == nil && len(key) >= 24 && !strings.ContainsAny(text, "\r\n")
}

// isEvent reports whether text is a JSON object with unique names and a type.
func isEvent(text []byte) bool {
	var e map[string]any
	if json.Unmarshal(text, &e) != nil || hasDuplicates(text) {
		return false
	}
	kind, _ := e["type"].(string)
	return kind != ""
}

// compare compares whether the delivery is accepted, and the event's type. Reasons of
// refusals are not compared.
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
	v := verdict{rule: d.rule, grants: theirs.OK, asWell: theirs.OK && d.OK, detail: "sdk " + string(expect)}
	switch {
	case d.OK && !theirs.OK:
		v.class = laxer
	case !d.OK && theirs.OK && d.rule != "":
		v.class = stricter
	case d.OK != theirs.OK || d.OK && theirs.Event.Type != string(d.Type):
		v.class = unexplained
	default:
		return verdict{class: agree, grants: v.grants, asWell: v.asWell}, nil
	}
	return v, nil
}
