package clerkapi

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/clerk/clerk-sdk-go/v2"

	"github.com/clerkauth/clerkauth/internal/strictjson"
)

// maxDirectives is the size of the largest response with cookies that is read.
const maxDirectives = 256 << 10

// Browsers makes the calls that browser sessions need. It is safe for concurrent use.
type Browsers struct{ backend clerk.Backend }

// NewBrowsers returns a Browsers that calls the Backend API at base.
func NewBrowsers(transport http.RoundTripper, base *url.URL, secretKey string) *Browsers {
	client := HTTPClient(transport, base)
	client.Transport = recorder{client.Transport, maxDirectives}
	return &Browsers{clerk.NewBackend(&clerk.BackendConfig{
		HTTPClient: client,
		URL:        clerk.String(base.JoinPath("v1").String()),
		Key:        clerk.String(secretKey),
	})}
}

// HandshakePayload returns the directives, lines of Set-Cookie, that a handshake's nonce
// stands for. The error is an [*Error] if Clerk responded with anything else.
func (b *Browsers) HandshakePayload(ctx context.Context, nonce string) ([]string, error) {
	request := clerk.NewAPIRequest(http.MethodGet, "/clients/handshake_payload")
	request.SetParams(nonceParams{nonce: nonce})
	return b.list(ctx, request, "directives")
}

type nonceParams struct{ nonce string }

// ToQuery and ToMultipart implement the SDK's interface of parameters.
func (p nonceParams) ToQuery() url.Values { return url.Values{"nonce": {p.nonce}} }

func (nonceParams) ToMultipart() ([]byte, string, error) { return nil, "", errors.New("not a form") }

// RefreshParams is what the Backend API is told of a session to refresh.
type RefreshParams struct {
	clerk.APIParams
	Format         string              `json:"format"`
	ExpiredToken   string              `json:"expired_token"`
	RefreshToken   string              `json:"refresh_token"`
	RequestOrigin  string              `json:"request_origin"`
	RequestHeaders map[string][]string `json:"request_headers"`
}

// RefreshSession returns cookies, lines of Set-Cookie, with a new token of the session
// with that id. suffixed is whether the browser's cookies have the instance's suffix. The
// error is an [*Error] if Clerk responded with anything else.
func (b *Browsers) RefreshSession(ctx context.Context, id string, suffixed bool, params *RefreshParams) ([]string, error) {
	path := "/sessions/" + url.PathEscape(id) + "/refresh"
	if suffixed {
		path += "?suffixed_cookies=true"
	}
	request := clerk.NewAPIRequest(http.MethodPost, path)
	request.SetParams(params)
	return b.list(ctx, request, "cookies")
}

// RevokeSession ends the session with that id.
func (b *Browsers) RevokeSession(ctx context.Context, id string) error {
	_, _, err := call(ctx, b.backend, clerk.NewAPIRequest(http.MethodPost, "/sessions/"+url.PathEscape(id)+"/revoke"))
	return err
}

// list returns the list of strings in a member of the response to a request.
func (b *Browsers) list(ctx context.Context, request *clerk.APIRequest, name string) ([]string, error) {
	status, body, err := call(ctx, b.backend, request)
	switch {
	case err != nil:
		return nil, err
	case status == http.StatusNoContent:
		return nil, nil
	}
	malformed := &Error{Status: http.StatusOK}
	members, err := strictjson.Object(body, nil)
	if err != nil {
		return nil, malformed
	}
	value := member(members, name)
	if value == "" || strictjson.Null(value) {
		return nil, nil
	}
	elements, err := strictjson.Array(value)
	if err != nil {
		return nil, malformed
	}
	list := make([]string, len(elements))
	for i, element := range elements {
		var ok bool
		if list[i], ok = strictjson.String(element); !ok {
			return nil, malformed
		}
	}
	return list, nil
}
