package plain_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/clerkauth/clerkauth/internal/plain"
)

type sqlError struct{ code string }

func (e sqlError) Error() string    { return "value user_secret: " + e.code }
func (e sqlError) SQLState() string { return e.code }

type redisError string

func (e redisError) Error() string { return string(e) }
func (redisError) RedisError()     {}

func TestDescribe(t *testing.T) {
	const secret = "user_secret"
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"nothing":       {nil, ""},
		"another error": {errors.New(secret), "*errors.errorString"},
		"wrapped":       {fmt.Errorf("%s: %w", secret, errors.New(secret)), "*fmt.wrapError: *errors.errorString"},
		"ours":          {plain.New(errors.New("the text")), "the text"},
		"ours wraps":    {plain.Wrap("the text", sqlError{"42P01"}), "the text: plain_test.sqlError (SQLSTATE 42P01)"},
		"ours, wrapped": {fmt.Errorf("%s: %w", secret, plain.New(errors.New("the text"))), "*fmt.wrapError: *plain.Error: *errors.errorString (the text)"},
		"SQL":           {fmt.Errorf("%s: %w", secret, sqlError{"23505"}), "*fmt.wrapError: plain_test.sqlError (SQLSTATE 23505)"},
		"no SQLSTATE":   {sqlError{secret}, "plain_test.sqlError"},
		"Redis":         {redisError("OOM " + secret), "plain_test.redisError (Redis error OOM)"},
		"no code":       {redisError(secret), "plain_test.redisError"},
		"joined":        {errors.Join(errors.New(secret), sqlError{"42501"}, redisError("NOPERM x")), "*errors.joinError (SQLSTATE 42501, Redis error NOPERM)"},
		"the network": {&net.OpError{Op: secret, Err: os.NewSyscallError(secret, syscall.ECONNREFUSED)},
			"*net.OpError: *os.SyscallError: syscall.Errno (connection refused)"},
		"the end": {fmt.Errorf("%s: %w", secret, context.DeadlineExceeded), "*fmt.wrapError: context.deadlineExceededError (context deadline exceeded)"},
	} {
		if got := plain.Describe(test.err); got != test.want || strings.Contains(got, secret) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	if err := plain.Wrap("the text", sqlError{"42P01"}); err.Error() != "the text: value user_secret: 42P01" || !errors.Is(err, sqlError{"42P01"}) {
		t.Error(err)
	}
}
