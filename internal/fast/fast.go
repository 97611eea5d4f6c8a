// Package fast holds what the adapters of frameworks on fasthttp have in common. It does
// not import fasthttp, of which they need different versions.
package fast

import (
	"bytes"
	"cmp"
	"net/http"
	"net/url"
	"strings"
)

// RequestHeader is what is read of a *fasthttp.RequestHeader.
type RequestHeader interface {
	Method() []byte
	RequestURI() []byte
	Protocol() []byte
	Host() []byte
	RawHeaders() []byte
	VisitAll(func(name, value []byte))
}

// NewRequest returns the request as net/http would present it, without its body, or nil
// where net/http would reject it with 400. It is a copy, because fasthttp reuses the
// memory of a request.
func NewRequest(in RequestHeader) *http.Request {
	target, err := url.ParseRequestURI(string(in.RequestURI()))
	if err != nil {
		return nil
	}
	header, spaces := http.Header{}, false
	in.VisitAll(func(name, value []byte) {
		spaces = spaces || bytes.ContainsRune(name, ' ') // servers disagree on which header it is
		header.Add(string(name), string(value))          // every line, whatever the case of its name
	})
	header.Del("Host")
	if spaces || manyHosts(in.RawHeaders()) || len(in.Host()) == 0 && target.Host == "" {
		return nil
	}
	r := &http.Request{
		Method: string(in.Method()), URL: target, RequestURI: string(in.RequestURI()), Proto: string(in.Protocol()),
		Host: cmp.Or(target.Host, string(in.Host())), Header: header, Body: http.NoBody,
	}
	var ok bool
	if r.ProtoMajor, r.ProtoMinor, ok = http.ParseHTTPVersion(r.Proto); !ok || r.ProtoMajor != 1 {
		return nil
	}
	return r
}

// SetPathValues makes the parameters of a route path values of r. They are copied, too.
func SetPathValues(r *http.Request, names []string, value func(name string, defaultValue ...string) string) {
	for _, name := range names {
		r.SetPathValue(name, strings.Clone(value(name)))
	}
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
