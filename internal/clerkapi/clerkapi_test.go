package clerkapi

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// transport is a RoundTripper that counts its requests and responds with header.
type transport struct {
	sent   int
	header http.Header
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	t.sent++
	return &http.Response{StatusCode: http.StatusNoContent, Header: t.header, Body: http.NoBody, Request: r}, nil
}

// body is the body of a request that records whether it was closed.
type body struct {
	strings.Reader
	closed bool
}

func (b *body) Close() error {
	b.closed = true
	return nil
}

func post(t *testing.T, client *http.Client, address string, b *body) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, b)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err == nil {
		_ = resp.Body.Close()
	}
	return err
}

func TestOtherHostsAreNotReached(t *testing.T) {
	next := &transport{}
	client := HTTPClient(next, &url.URL{Scheme: "https", Host: "api.clerk.com"})
	for _, address := range []string{
		"http://api.clerk.com/v1/jwks", "https://api.clerk.com:443/v1/jwks", "https://api.clerk.com.evil.example/", "https://evil.example/",
	} {
		b := &body{}
		if err := post(t, client, address, b); err == nil || !b.closed {
			t.Errorf("%s: error %v, body closed: %v", address, err, b.closed)
		}
	}
	if next.sent != 0 {
		t.Errorf("%d requests were sent", next.sent)
	}
	if err := post(t, client, "https://api.clerk.com/v1/jwks", &body{}); err != nil || next.sent != 1 {
		t.Errorf("%v, %d requests were sent", err, next.sent)
	}
}

func TestChecked(t *testing.T) {
	next, failure := &transport{}, errors.New("another instance")
	client := &http.Client{Transport: Checked(next, func(context.Context) error { return failure })}
	b := &body{}
	if err := post(t, client, "https://api.clerk.com/", b); !errors.Is(err, failure) || !b.closed || next.sent != 0 {
		t.Errorf("error %v, body closed: %v, %d requests were sent", err, b.closed, next.sent)
	}
	failure = nil
	if err := post(t, client, "https://api.clerk.com/", &body{}); err != nil || next.sent != 1 {
		t.Errorf("%v, %d requests were sent", err, next.sent)
	}
}

func TestDated(t *testing.T) {
	date := time.Date(2026, 5, 12, 8, 0, 0, 0, time.UTC)
	text := date.Format(http.TimeFormat)
	for name, c := range map[string]struct {
		header http.Header
		want   bool
	}{
		"a date":       {http.Header{"Date": {text}}, true},
		"from a cache": {http.Header{"Date": {text}, "Age": {"60"}}, false},
		"no date":      {http.Header{}, false},
		"malformed":    {http.Header{"Date": {"today"}}, false},
	} {
		now, observed := date, false
		clock := func() time.Time { now = now.Add(time.Second); return now }
		client := &http.Client{Transport: Dated(&transport{header: c.header}, clock, func(d, before, after time.Time) {
			observed = true
			if !d.Equal(date) || after.Sub(before) != time.Second {
				t.Errorf("%s: %v from %v to %v", name, d, before, after)
			}
		})}
		if err := post(t, client, "https://api.clerk.com/", &body{}); err != nil || observed != c.want {
			t.Errorf("%s: %v, observed: %v", name, err, observed)
		}
	}
}
