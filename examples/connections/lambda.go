package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-lambda-go/events"
)

type (
	event    = events.APIGatewayV2HTTPRequest
	response = events.APIGatewayV2HTTPResponse
)

// function returns a handler for lambda.Start, for functions behind an HTTP API of API
// Gateway or a function URL. It translates events into requests, so that h is a server
// like any other: guards, muxes and their responses work unchanged.
func function(h http.Handler) func(context.Context, event) (response, error) {
	return func(ctx context.Context, e event) (response, error) {
		r, err := request(ctx, e)
		if err != nil {
			return response{StatusCode: http.StatusBadRequest}, nil
		}
		w := &recorder{header: make(http.Header)}
		h.ServeHTTP(w, r)
		return w.response(), nil
	}
}

// request returns the request that e describes. Gateways send every header once, with its
// values separated by commas, and cookies apart.
func request(ctx context.Context, e event) (*http.Request, error) {
	body := []byte(e.Body)
	if e.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(e.Body); err != nil {
			return nil, err
		}
	}
	r, err := http.NewRequestWithContext(ctx, e.RequestContext.HTTP.Method, "/", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.RequestURI = e.RawPath
	if e.RawQueryString != "" {
		r.RequestURI += "?" + e.RawQueryString
	}
	if r.URL, err = url.ParseRequestURI(r.RequestURI); err != nil { // as net/http's server does
		return nil, err
	}
	for name, value := range e.Headers {
		r.Header.Set(name, value)
	}
	if len(e.Cookies) > 0 {
		r.Header.Set("Cookie", strings.Join(e.Cookies, "; "))
	}
	r.Host, r.RemoteAddr = e.RequestContext.DomainName, e.RequestContext.HTTP.SourceIP+":0"
	return r, nil
}

// recorder is an http.ResponseWriter that keeps the response.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
}

func (w *recorder) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

func (w *recorder) response() response {
	w.WriteHeader(http.StatusOK)
	out := response{
		StatusCode:      w.status,
		Headers:         make(map[string]string),
		Cookies:         w.header["Set-Cookie"],
		Body:            base64.StdEncoding.EncodeToString(w.body.Bytes()),
		IsBase64Encoded: true,
	}
	for name, values := range w.header {
		if name != "Set-Cookie" {
			out.Headers[name] = strings.Join(values, ", ")
		}
	}
	return out
}
