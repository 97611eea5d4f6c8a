// Package clerkapi makes every request to Clerk: for the key sets of an instance, to
// verify opaque credentials, and through the clients of clerk-sdk-go.
//
// Each client is bound to one host and follows no redirect, because its requests carry
// a secret key. Error bodies and the Retry-After header are read in one place, by
// [Error].
package clerkapi

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"
)

const (
	// Timeout bounds every call, including the reading of its body.
	Timeout = 5 * time.Second
	// version is the version of the Backend API for the calls that clerk-sdk-go does
	// not make.
	version   = "2026-05-12"
	userAgent = "clerkauth-go"
)

// errRedirect is the error of a call that was answered with a redirect.
var errRedirect = errors.New("redirects are not followed")

// HTTPClient returns a client for the host of base. It reaches no other host and
// follows no redirect, because its requests carry a secret key.
func HTTPClient(transport http.RoundTripper, base *url.URL) *http.Client {
	return &http.Client{
		Transport:     oneHost{transport, base},
		CheckRedirect: func(*http.Request, []*http.Request) error { return errRedirect },
		Timeout:       Timeout,
	}
}

// oneHost is a transport that rejects requests to any host but that of base.
type oneHost struct {
	next http.RoundTripper
	base *url.URL
}

func (t oneHost) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != t.base.Scheme || r.URL.Host != t.base.Host {
		closeBody(r)
		return nil, errors.New("request is for another host than the configured one")
	}
	return t.next.RoundTrip(r)
}

// Checked returns a transport that calls check before each request. If check returns
// an error, the request fails with it and is not sent.
func Checked(next http.RoundTripper, check func(context.Context) error) http.RoundTripper {
	return checked{next, check}
}

type checked struct {
	next  http.RoundTripper
	check func(context.Context) error
}

func (t checked) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := t.check(r.Context()); err != nil {
		closeBody(r)
		return nil, err
	}
	return t.next.RoundTrip(r)
}

// closeBody closes the body of a request that is not sent, as a transport must.
func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
}

// Dated returns a transport that calls observe with the Date of each response, and
// with the times by now just before the request and just after the header arrived.
// Responses from a cache on the way, whose Date is as old as they are, are left out.
func Dated(next http.RoundTripper, now func() time.Time, observe func(date, before, after time.Time)) http.RoundTripper {
	return dated{next, now, observe}
}

type dated struct {
	next    http.RoundTripper
	now     func() time.Time
	observe func(date, before, after time.Time)
}

func (t dated) RoundTrip(r *http.Request) (*http.Response, error) {
	before := t.now()
	resp, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	after := t.now()
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil && resp.Header.Get("Age") == "" {
		t.observe(date, before, after)
	}
	return resp, nil
}
