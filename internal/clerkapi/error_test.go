package clerkapi

import (
	"net/http"
	"testing"
	"time"
)

func TestNotFound(t *testing.T) {
	for body, want := range map[string]bool{
		`{"errors":[{"code":"resource_not_found"}]}`:                           true,
		`{"errors":[{"code":"other"},{"code":"api_key_not_found","meta":{}}]}`: true,
		`{"errors":[{"code":"resource_not_found"},{"message":"no code"}]}`:     false,
		`{"errors":[{"code":"resource_not_found"},7]}`:                         false,
		`{"errors":[{"Code":"resource_not_found"}]}`:                           false,
		`{"errors":{"code":"resource_not_found"}}`:                             false,
		`{"errors":[]}`:      false,
		`{"code":"page"}`:    false,
		`404 page not found`: false,
		``:                   false,
	} {
		if e := newError(http.StatusNotFound, 0, body); e.NotFound != want {
			t.Errorf("%s: %v", body, e.NotFound)
		}
		if e := newError(http.StatusInternalServerError, 0, body); e.NotFound {
			t.Errorf("%s: found missing by a status 500", body)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"":                              0,
		"0":                             0,
		"7":                             7 * time.Second,
		"86400":                         24 * time.Hour,
		"99999999999999999999":          (1<<32 - 1) * time.Second,
		"-1":                            0,
		"1.5":                           0,
		"Wed, 21 Oct 2026 07:28:00 GMT": 0,
	} {
		if got := retryAfter(http.Header{"Retry-After": {value}}); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}
