package clerkapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"
	"github.com/clerk/clerk-sdk-go/v2/session"
)

// namePattern matches what stands in a path for itself alone.
var namePattern = regexp.MustCompile(`\A[A-Za-z0-9_-]+\z`)

// ValidName reports whether s can be an id of Clerk's or the name of a JWT template: it
// stands in a path for itself alone.
func ValidName(s string) bool { return namePattern.MatchString(s) }

// ErrNoToken is the error of a call that was answered without a token.
var ErrNoToken = errors.New("backend api responded without a token")

// RejectedError is a response in which the Backend API refuses to create a token. Its text
// quotes nothing of the response, as that of the SDK's error does, which it wraps.
type RejectedError struct{ response *clerk.APIErrorResponse }

func (e *RejectedError) Error() string {
	return fmt.Sprintf("backend api refused to create a token: status %d", e.response.HTTPStatusCode)
}

// Unwrap returns the SDK's error.
func (e *RejectedError) Unwrap() error { return e.response }

// CreateToken requests a token for a session: one of the JWT template with that name, or a
// session token if template is "". A lifetime of 0 is that of the template. The error is a
// [*RejectedError] if the request is at fault, and [ErrNoToken] or an error of the transport
// or the SDK if the Backend API cannot be reached, fails or limits the rate.
func CreateToken(ctx context.Context, config *clerk.ClientConfig, sessionID, template string, lifetime time.Duration) (string, error) {
	params := &session.CreateTokenParams{ID: sessionID, TemplateName: template}
	if lifetime > 0 {
		params.ExpiresInSeconds = clerk.Int64(int64(lifetime / time.Second))
	}
	token, err := session.NewClient(config).CreateToken(ctx, params)
	var response *clerk.APIErrorResponse
	switch {
	case errors.As(err, &response) && response.HTTPStatusCode < http.StatusInternalServerError && response.HTTPStatusCode != http.StatusTooManyRequests:
		return "", &RejectedError{response}
	case err != nil:
		return "", err
	case token.JWT == "":
		return "", ErrNoToken
	default:
		return token.JWT, nil
	}
}
