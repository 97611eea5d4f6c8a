package fapiproxy

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// TestGuardedBody: everything passes but the secret, however it is cut into pieces.
func TestGuardedBody(t *testing.T) {
	for _, text := range []string{
		"", "x", "s", secret[:len(secret)-1], "x" + secret[:5], secret[:5] + secret[:5] + "x", strings.Repeat(secret[:4], 50), strings.Repeat("sk_test_", 50), "sk_test_" + strings.Repeat("y", 200), strings.ToUpper(secret),
		secret, "before " + secret, secret + " after", secret[:3] + secret, strings.Repeat("x", 5000) + secret[:10] + secret,
	} {
		for name, cut := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader, "halves": iotest.HalfReader, "with the error": iotest.DataErrReader,
		} {
			told := 0
			p := &proxy{Config: Config{Secret: secret, Failed: func(error) { told++ }}}
			g := p.guard(io.NopCloser(cut(strings.NewReader(text))))
			var got strings.Builder
			_, err := io.CopyBuffer(struct{ io.Writer }{&got}, g, make([]byte, 100))
			before, _, found := strings.Cut(text, secret)
			if found {
				if !errors.Is(err, ErrReflected) || told != 1 || !strings.HasPrefix(before, got.String()) {
					t.Errorf("%.60q, %s: %.60q, %v, told %d", text, name, got.String(), err, told)
				}
			} else if err != nil || got.String() != text || told != 0 {
				t.Errorf("%.60q, %s: %.60q, %v, told %d", text, name, got.String(), err, told)
			}
		}
	}
}

// TestGuardedBodyDelay: no more is held back than what may be the beginning of the secret, and
// how much that is says nothing about the secret.
func TestGuardedBodyDelay(t *testing.T) {
	in, out := io.Pipe()
	defer func() { _ = out.Close() }()
	g := (&proxy{Config: Config{Secret: secret}}).guard(in)
	sent := []string{"data: 1\n\n", "xs", "ky", secret[:9], "!", "data: 2\n\n", strings.Repeat("x", 40), "sk_test_x", strings.Repeat("x", 40)}
	go func() {
		for _, part := range sent {
			_, _ = io.WriteString(out, part)
		}
	}()
	b := make([]byte, 100)
	for _, want := range []string{"data: 1\n\n", "x", "sky", secret[:9] + "!data: 2\n\n" + sent[6], "sk_test_x" + sent[8]} {
		if n, err := g.Read(b); string(b[:n]) != want || err != nil {
			t.Errorf("%q, %v, want %q", b[:n], err, want)
		}
	}
}
