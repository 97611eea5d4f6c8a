package clerkapi

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// serve returns the key set of a server with that handler.
func serve(t *testing.T, h http.HandlerFunc) func(context.Context) ([]byte, error) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	base, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	return BackendKeySet(srv.Client().Transport, base, "sk_test_1")
}

func TestKeySetIsNotFromACache(t *testing.T) {
	var got http.Header
	source := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		_, _ = io.WriteString(w, "{}")
	})
	if b, err := source(t.Context()); err != nil || string(b) != "{}" {
		t.Fatalf("%q, %v", b, err)
	}
	if got.Get("Authorization") != "Bearer sk_test_1" || got.Get("Cache-Control") != "no-cache" {
		t.Errorf("header = %v", got)
	}
}

func TestBodyIsCappedAfterDecompression(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	zeros := make([]byte, 1<<20)
	for range 64 {
		_, _ = z.Write(zeros)
	}
	_ = z.Close()
	source := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(bomb.Bytes())
	})
	if b, err := source(t.Context()); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	source = serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(make([]byte, maxKeySet)) })
	if b, err := source(t.Context()); err != nil || len(b) != maxKeySet {
		t.Errorf("a body of just the cap: %d bytes, %v", len(b), err)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	reached := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer other.Close()
	for _, code := range []int{301, 302, 303, 307, 308} {
		source := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, code) })
		if _, err := source(t.Context()); !errors.Is(err, errRedirect) {
			t.Errorf("%d: %v", code, err)
		}
	}
	if reached {
		t.Error("another host was reached")
	}
}

func TestErrors(t *testing.T) {
	for name, c := range map[string]struct {
		status     int
		body       string
		code       string
		retryAfter time.Duration
	}{
		"Clerk's error":     {401, `{"errors":[{"code":"clerk_key_invalid","message":"sk_test_leaked"}]}`, "clerk_key_invalid", 0},
		"too many requests": {429, ``, "", 7 * time.Second},
		"malformed code":    {500, `{"errors":[{"code":"x\r\ny"}]}`, "", 0},
		"long code":         {500, `{"errors":[{"code":"` + strings.Repeat("a", 65) + `"}]}`, "", 0},
		"no errors":         {500, `{"errors":[]}`, "", 0},
		"html":              {503, `<html>`, "", 0},
		"no content":        {204, ``, "", 0},
	} {
		source := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if c.retryAfter > 0 {
				w.Header().Set("Retry-After", "7")
			}
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})
		_, err := source(t.Context())
		var status *Error
		if !errors.As(err, &status) || status.Status != c.status || status.Code != c.code || status.RetryAfter() != c.retryAfter {
			t.Errorf("%s: %#v", name, err)
		} else if strings.Contains(err.Error(), "leaked") {
			t.Errorf("%s: the error quotes the answer: %v", name, err)
		}
	}
}
