package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
)

// peer is who sends every request.
var peer = netip.MustParseAddrPort("127.0.0.1:1234")

var errBadRequest = errors.New("net/http responds with 400")

// httpRequest returns a case's request as net/http's server passes it to a handler, or an
// error where that server responds with 400 itself.
func httpRequest(c *authCase) (*http.Request, error) {
	href := c.Request.Href
	if href == "" {
		href = c.Request.URL
	}
	scheme, rest, _ := strings.Cut(href, "://")
	rest, _, _ = strings.Cut(rest, "#") // a fragment never reaches a server
	host, target := rest, ""
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		host, target = rest[:i], rest[i:]
	}
	if !strings.HasPrefix(target, "/") {
		target = "/" + target
	}
	var raw bytes.Buffer
	raw.WriteString(strings.ToUpper(c.Request.Method) + " " + target + " HTTP/1.1\r\n")
	if c.Request.Headers["host"] == nil {
		raw.WriteString("Host: " + host + "\r\n")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Request.Headers)) {
		for _, value := range c.Request.Headers[name] {
			line := latin1(name + ": " + value)
			if bytes.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
				return nil, errBadRequest // ReadRequest accepts some of these
			}
			raw.Write(append(line, "\r\n"...))
		}
	}
	raw.WriteString("\r\n")
	r, err := http.ReadRequest(bufio.NewReader(&raw))
	if err != nil || len(c.Request.Headers["host"]) > 1 {
		return nil, errBadRequest
	}
	r.RemoteAddr = peer.String()
	if scheme == "https" {
		r.TLS = &tls.ConnectionState{HandshakeComplete: true}
	}
	return r, nil
}

// latin1 returns the bytes of a header value: one for each character.
func latin1(s string) []byte {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		if r > 0xff {
			b = append(b, string(r)...)
		} else {
			b = append(b, byte(r&0xff))
		}
	}
	return b
}

// backendOrigin is the origin of the Backend API in cases.
const backendOrigin = "https://bapi.test"

// bapiAnswer is the Backend API's response to one request.
type bapiAnswer struct {
	Method      string          `json:"method"`
	Path        string          `json:"path"`
	Status      int             `json:"status"` // 0: the connection is closed
	ContentType string          `json:"contentType"`
	Body        json.RawMessage `json:"body"`
}

// body returns the bytes to send: a string unchanged, another value as JSON.
func (a bapiAnswer) body() []byte {
	if a.Status == http.StatusNoContent {
		return nil // it has no body
	}
	var s string
	if json.Unmarshal(a.Body, &s) == nil && string(a.Body) != "null" {
		return []byte(s)
	}
	return a.Body
}

// notFound is the response to requests that a case does not list.
var notFound = bapiAnswer{
	Status:      http.StatusNotFound,
	ContentType: "application/json",
	Body:        json.RawMessage(`{"errors":[{"code":"resource_not_found","message":"not found"}]}`),
}

// find returns the response to a request.
func find(answers []bapiAnswer, method, path string) bapiAnswer {
	for _, a := range answers {
		if a.Method == method && a.Path == path {
			return a
		}
	}
	return notFound
}

// fakeBAPI is a transport that returns a case's responses, without a network.
type fakeBAPI struct {
	mu      sync.Mutex
	answers []bapiAnswer
	public  bool // the Frontend API can be reached
}

// play sets the responses for a case. For opaque credentials the SDK requests no keys, so
// such cases list none; we compare the keys of both APIs before we trust the Backend API,
// and get the same set from both. In cases without a secret key the SDK has no keys, so
// we get none either.
func (f *fakeBAPI) play(answers []bapiAnswer, r *reading) {
	if r.flow == flowOpaque {
		answers = slices.Concat([]bapiAnswer{{
			Method: http.MethodGet, Path: jwksPath, Status: http.StatusOK, ContentType: "application/json", Body: r.instanceKeys(),
		}}, answers)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers, f.public = answers, r.text("secretKey") != ""
}

// The paths of the key sets of the Backend API and of the Frontend API.
const (
	jwksPath       = "/v1/jwks"
	publicJWKSPath = "/.well-known/jwks.json"
)

// RoundTrip responds to a request to the Backend API, or for the keys of the Frontend API,
// which are the same.
func (f *fakeBAPI) RoundTrip(r *http.Request) (*http.Response, error) {
	path := r.URL.Path
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.URL.Scheme+"://"+r.URL.Host != backendOrigin {
		if !f.public || path != publicJWKSPath {
			return nil, errors.New("no such host")
		}
		path = jwksPath
	}
	a := find(f.answers, r.Method, path)
	if a.Status == 0 {
		return nil, errors.New("connection closed")
	}
	return &http.Response{
		StatusCode: a.Status,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     http.Header{"Content-Type": {a.ContentType}},
		Body:       io.NopCloser(bytes.NewReader(a.body())),
		Request:    r,
	}, nil
}
