package clerkapi

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"
)

// Kind is a kind of opaque credential.
type Kind int

// Kinds of opaque credentials.
const (
	APIKey Kind = iota
	M2MToken
	OAuthToken
)

// endpoints are the paths at which the Backend API verifies credentials of each kind,
// and the objects that it responds with. These paths have no version.
var endpoints = [...]struct {
	path, object string
	params       func(credential string) *verifyParams
}{
	APIKey: {
		"/api_keys/verify", "api_key",
		func(c string) *verifyParams { return &verifyParams{Secret: c} },
	},
	M2MToken: {
		"/m2m_tokens/verify", "machine_to_machine_token",
		func(c string) *verifyParams { return &verifyParams{Token: c} },
	},
	OAuthToken: {
		"/oauth_applications/access_tokens/verify", "clerk_idp_oauth_access_token",
		func(c string) *verifyParams { return &verifyParams{AccessToken: c} },
	},
}

// verifyParams is the body of a request to verify a credential.
type verifyParams struct {
	clerk.APIParams
	Secret      string `json:"secret,omitempty"`
	Token       string `json:"token,omitempty"`
	AccessToken string `json:"access_token,omitempty"`
}

// maxCredential is the size of the largest response about a credential that is read,
// after decompression.
const maxCredential = 64 << 10

// Verifier verifies opaque credentials of one kind with one secret key. It is safe for
// concurrent use.
type Verifier struct {
	kind    Kind
	backend clerk.Backend
}

// NewVerifier returns a Verifier that calls the Backend API at base.
func NewVerifier(k Kind, transport http.RoundTripper, base *url.URL, secretKey string) *Verifier {
	client := HTTPClient(transport, base)
	client.Transport = recorder{client.Transport, maxCredential}
	return &Verifier{k, clerk.NewBackend(&clerk.BackendConfig{
		HTTPClient: client,
		URL:        clerk.String(base.String()),
		Key:        clerk.String(secretKey),
	})}
}

// Verify returns what Clerk says about a credential. The error is an [*Error] if Clerk
// responded with anything but an object in the form that [Credential] describes; any
// other error means that there was no response, or not all of it. No error quotes the
// response, as those of clerk-sdk-go may.
func (v *Verifier) Verify(ctx context.Context, credential string) (*Credential, error) {
	endpoint := &endpoints[v.kind]
	request := clerk.NewAPIRequest(http.MethodPost, endpoint.path)
	request.SetParams(endpoint.params(credential))
	status, body, err := call(ctx, v.backend, request)
	if err != nil {
		return nil, err
	}
	c, ok := readCredential(v.kind, body)
	if !ok {
		return nil, &Error{Status: status}
	}
	return c, nil
}

// call makes a request through a client with a recorder, and returns the status and the body
// of a successful response.
func call(ctx context.Context, backend clerk.Backend, request *clerk.APIRequest) (status int, body string, err error) {
	seen := &exchange{}
	var answer clerk.APIResource
	err = backend.Call(context.WithValue(ctx, exchangeKey{}, seen), request, &answer)
	switch {
	case seen.status == 0:
		return 0, "", errUnreachable
	case seen.status/100 != 2:
		var theirs *clerk.APIErrorResponse
		if errors.As(err, &theirs) {
			body = string(theirs.Response.RawJSON)
		}
		return 0, "", newError(seen.status, seen.retryAfter, body)
	case answer.Response == nil:
		return 0, "", errors.New("backend api did not finish its response")
	}
	return seen.status, string(answer.Response.RawJSON), nil
}

var errUnreachable = errors.New("backend api cannot be reached")

// exchange is what clerk-sdk-go does not return of a call.
type exchange struct {
	status     int // 0 if there was no response
	retryAfter time.Duration
}

type exchangeKey struct{}

// recorder is a transport that fills in the exchange of a call, and cuts off a response
// that is too long.
type recorder struct {
	next http.RoundTripper
	most int64 // bytes of a response
}

func (t recorder) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if seen, ok := r.Context().Value(exchangeKey{}).(*exchange); ok {
		seen.status, seen.retryAfter = resp.StatusCode, retryAfter(resp.Header)
	}
	resp.Body = http.MaxBytesReader(nil, resp.Body, t.most)
	return resp, nil
}
