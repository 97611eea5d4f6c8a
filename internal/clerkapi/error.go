package clerkapi

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/clerkauth/clerkauth/internal/strictjson"
)

// Error is a response of Clerk's that does not hold what was requested. Its text
// quotes nothing of the body but Code.
type Error struct {
	Status int
	// Code is the first error code in the body, "" if there is none or if it is not a
	// short lower-case word.
	Code string
	// NotFound reports whether Status is 404 and Code, or another code in the body, says
	// that an object does not exist. A 404 by another server, or for another path, is
	// none of Clerk's errors.
	NotFound bool

	retryAfter time.Duration
}

func newError(status int, retryAfter time.Duration, body string) *Error {
	e := &Error{Status: status, retryAfter: retryAfter}
	code, notFound := readErrors(body)
	e.Code, e.NotFound = code, notFound && status == http.StatusNotFound
	return e
}

func (e *Error) Error() string {
	if e.Code != "" {
		return fmt.Sprintf("clerk responded with status %d (%s)", e.Status, e.Code)
	}
	return fmt.Sprintf("clerk responded with status %d", e.Status)
}

// RetryAfter returns how long Clerk asks to wait before the next call, 0 if it does
// not.
func (e *Error) RetryAfter() time.Duration { return e.retryAfter }

// maxCode is the length of the longest code that is shown.
const maxCode = 64

// readErrors reads Clerk's error body: an object with a list of errors that each have a
// code. It returns the first code, if that can be shown, and whether any says that
// something was not found. A body of another form has neither.
func readErrors(body string) (first string, notFound bool) {
	var buf [8]strictjson.Member
	members, err := strictjson.Object(body, buf[:0])
	if err != nil {
		return "", false
	}
	elements, err := strictjson.Array(member(members, "errors"))
	if err != nil {
		return "", false
	}
	for i, element := range elements {
		members, err := strictjson.Object(element, buf[:0])
		if err != nil {
			return "", false
		}
		code, ok := strictjson.String(member(members, "code"))
		if !ok {
			return "", false
		}
		if i == 0 && len(code) <= maxCode && strings.Trim(code, "abcdefghijklmnopqrstuvwxyz_") == "" {
			first = code
		}
		notFound = notFound || strings.HasSuffix(code, "not_found")
	}
	return first, notFound
}

// member returns the value of the member with that name, "" if there is none.
func member(members []strictjson.Member, name string) string {
	for _, m := range members {
		if m.Name == name {
			return m.Value
		}
	}
	return ""
}

// retryAfter reads Retry-After (RFC 9110 section 10.2.3) in its form of seconds, the
// one that Clerk sends. A number that is too large for the type is the largest of it;
// any other value is 0.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.ParseUint(h.Get("Retry-After"), 10, 32)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0
	}
	return time.Duration(seconds) * time.Second
}
