// Package plain holds errors whose text may be logged. Of other errors it returns what may
// be logged: their types and codes, but not their text, which may quote a payload.
package plain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

// Error is an error with a text that contains no values.
type Error struct {
	text string
	err  error
}

// New returns err as an Error whose whole text may be logged.
func New(err error) *Error { return &Error{err: err} }

// Wrap returns an Error with a text in front of that of err. The text may be logged; of err
// only what Describe returns.
func Wrap(text string, err error) *Error { return &Error{text, err} }

func (e *Error) Error() string {
	if e.text == "" {
		return e.err.Error()
	}
	return e.text + ": " + e.err.Error()
}

func (e *Error) Unwrap() error { return e.err }

// logged returns the part of the text that may be logged.
func (e *Error) logged() string {
	if e.text == "" {
		return e.err.Error()
	}
	return e.text + ": " + Describe(e.err)
}

// Describe returns what may be logged of err: the text of an Error, and of others their
// types, an SQLSTATE or Redis error code, and the texts of errors that have a fixed one.
func Describe(err error) string {
	if e, ok := err.(*Error); ok { //nolint:errorlint // the text around a wrapped one must not be logged
		return e.logged()
	}
	var types, known []string
	for e := err; e != nil; e = errors.Unwrap(e) {
		types = append(types, fmt.Sprintf("%T", e))
	}
	for _, e := range tree(err) {
		if text := fixed(e); text != "" && !slices.Contains(known, text) {
			known = append(known, text)
		}
	}
	text := strings.Join(types, ": ")
	if len(known) > 0 {
		text += " (" + strings.Join(known, ", ") + ")"
	}
	return text
}

// tree returns err and all errors that it wraps.
func tree(err error) []error {
	if err == nil {
		return nil
	}
	all := []error{err}
	switch e := err.(type) { //nolint:errorlint // each level is looked at
	case interface{ Unwrap() error }:
		all = append(all, tree(e.Unwrap())...)
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			all = append(all, tree(inner)...)
		}
	}
	return all
}

// fixed returns the part of err's own text that depends on no value, or "".
func fixed(err error) string {
	switch e := err.(type) { //nolint:errorlint // each level is looked at
	case *Error:
		return e.logged()
	case interface{ SQLState() string }:
		if code := e.SQLState(); sqlState.MatchString(code) {
			return "SQLSTATE " + code
		}
	case interface {
		error
		RedisError()
	}:
		if code := RedisCode(e); code != "" {
			return "Redis error " + code
		}
	case syscall.Errno:
		return e.Error()
	}
	switch err { //nolint:errorlint // the errors themselves
	case context.Canceled, context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF:
		return err.Error()
	}
	return ""
}

var (
	sqlState  = regexp.MustCompile(`\A[0-9A-Z]{5}\z`)
	redisCode = regexp.MustCompile(`\A[A-Z]{2,20}\z`)
)

// RedisCode returns the code at the beginning of a Redis error's text, or "".
func RedisCode(err error) string {
	code, _, _ := strings.Cut(err.Error(), " ")
	if redisCode.MatchString(code) {
		return code
	}
	return ""
}
