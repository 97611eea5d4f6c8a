package clerkapi

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// maxKeySet is the size of the largest key set that is read, after decompression.
const maxKeySet = 512 << 10

// BackendKeySet returns a function that fetches the body of the key set of the Backend
// API at base (a JSON Web Key Set, RFC 7517 section 5). Its error is an [*Error] if Clerk
// responded with a status other than 200.
func BackendKeySet(transport http.RoundTripper, base *url.URL, secretKey string) func(context.Context) ([]byte, error) {
	return keySet(HTTPClient(transport, base), base.JoinPath("v1/jwks").String(), http.Header{
		"Authorization":     {"Bearer " + secretKey},
		"Clerk-Api-Version": {version},
	})
}

// PublicKeySet is like [BackendKeySet] for the key set of the Frontend API at base, which
// needs no secret key.
func PublicKeySet(transport http.RoundTripper, base *url.URL) func(context.Context) ([]byte, error) {
	return keySet(HTTPClient(transport, base), base.JoinPath(".well-known/jwks.json").String(), http.Header{})
}

func keySet(client *http.Client, address string, header http.Header) func(context.Context) ([]byte, error) {
	header.Set("User-Agent", userAgent)
	header.Set("Accept", "application/json")
	// A refresh is for what is new: no cache on the way may answer it.
	header.Set("Cache-Control", "no-cache")
	return func(ctx context.Context) ([]byte, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return nil, err
		}
		req.Header = header.Clone()
		resp, err := client.Do(req)
		if err != nil {
			return nil, fmt.Errorf("key set cannot be reached: %w", err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySet+1))
		if err != nil {
			return nil, fmt.Errorf("key set cannot be read: %w", err)
		}
		if len(body) > maxKeySet {
			return nil, fmt.Errorf("key set is longer than %d bytes", maxKeySet)
		}
		if resp.StatusCode != http.StatusOK {
			return nil, newError(resp.StatusCode, retryAfter(resp.Header), string(body))
		}
		return body, nil
	}
}
