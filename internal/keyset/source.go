package keyset

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// MaxBody is how much of an answer is read, after decompression.
const MaxBody = 512 << 10

// StatusError says that a key endpoint answered with another status than 200.
type StatusError struct {
	Status     int
	Code       string        // the first error code in the answer, if there is one
	RetryAfter time.Duration // as the endpoint asked for; 0 if it did not
}

func (e *StatusError) Error() string {
	if e.Code != "" {
		return fmt.Sprintf("key endpoint answered %d (%s)", e.Status, e.Code)
	}
	return fmt.Sprintf("key endpoint answered %d", e.Status)
}

// HTTP returns a source that gets url with the given request headers.
func HTTP(client *http.Client, url string, header http.Header) Source {
	return func(ctx context.Context) ([]byte, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, err
		}
		for name, values := range header {
			req.Header[name] = values
		}
		req.Header.Set("Accept", "application/json")
		// A refresh is for news: no cache on the way may answer it.
		req.Header.Set("Cache-Control", "no-cache")
		resp, err := client.Do(req)
		if err != nil {
			return nil, fmt.Errorf("key endpoint cannot be reached: %w", err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, MaxBody+1))
		if err != nil {
			return nil, fmt.Errorf("key endpoint's answer cannot be read: %w", err)
		}
		if len(body) > MaxBody {
			return nil, fmt.Errorf("key endpoint's answer is longer than %d bytes", MaxBody)
		}
		if resp.StatusCode != http.StatusOK {
			return nil, &StatusError{resp.StatusCode, errorCode(body), retryAfter(resp.Header)}
		}
		return body, nil
	}
}

// errorCode returns the first code of Clerk's error body, if it is one that can
// be shown.
func errorCode(body []byte) string {
	var answer struct {
		Errors []struct{ Code string }
	}
	if json.Unmarshal(body, &answer) != nil || len(answer.Errors) == 0 {
		return ""
	}
	code := answer.Errors[0].Code
	if strings.Trim(code, "abcdefghijklmnopqrstuvwxyz_") != "" || len(code) > 64 {
		return ""
	}
	return code
}

func retryAfter(h http.Header) time.Duration {
	n, err := strconv.ParseUint(h.Get("Retry-After"), 10, 16)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}

// ErrRedirect is what a client for Clerk's endpoints answers to a redirect: the
// request may carry the secret key, and nobody but Clerk is to get it.
var ErrRedirect = errors.New("redirects are not followed")

// NoRedirect is for http.Client.CheckRedirect.
func NoRedirect(*http.Request, []*http.Request) error { return ErrRedirect }
