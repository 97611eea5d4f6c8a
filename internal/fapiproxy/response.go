package fapiproxy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// ownHeaders are what the Frontend API says of its own origin and of its connections, which
// would be wrong of the application's.
var ownHeaders = []string{
	"Alt-Svc", "Strict-Transport-Security", "Clear-Site-Data", "Service-Worker-Allowed", "Nel", "Report-To",
}

// receive makes the response that the client gets of that of the Frontend API.
func (p *proxy) receive(resp *http.Response) error {
	if resp.StatusCode < 200 {
		return fmt.Errorf("response has status %d", resp.StatusCode) // 101, for which nobody asked
	}
	for name, values := range resp.Header {
		if strings.Contains(name+"\n"+strings.Join(values, "\n"), p.Secret) {
			return ErrReflected
		}
	}
	for _, name := range ownHeaders {
		resp.Header.Del(name)
	}
	if location := resp.Header.Get("Location"); location != "" {
		resp.Header.Set("Location", p.location(resp.Request.URL, location))
	}
	resp.Body = p.guard(resp.Body)
	return nil
}

// guardedBody is a body that ends with ErrReflected before the secret. A body that is
// compressed in spite of what was accepted is not looked into.
type guardedBody struct {
	io.ReadCloser
	secret    []byte
	public    []byte // the beginning of secret that is no secret
	held      []byte // was read and not returned: it may be the beginning of the secret
	err       error
	reflected func()
}

func (p *proxy) guard(body io.ReadCloser) *guardedBody {
	return &guardedBody{
		ReadCloser: body, secret: []byte(p.Secret), public: []byte(keyPrefix.FindString(p.Secret)),
		reflected: func() { p.Failed(ErrReflected) },
	}
}

// keyPrefix matches what secret keys have in common.
var keyPrefix = regexp.MustCompile(`\A(sk_)?(live|test)_`)

func (g *guardedBody) Read(p []byte) (int, error) {
	if len(p) <= len(g.secret) {
		return 0, io.ErrShortBuffer
	}
	for {
		n := copy(p, g.held)
		if g.err != nil {
			g.held = nil
			return n, g.err
		}
		m, err := g.ReadCloser.Read(p[n:])
		b := p[:n+m]
		if bytes.Contains(b, g.secret) {
			g.held, g.err = nil, ErrReflected
			g.reflected()
			return 0, ErrReflected
		}
		hold := 0
		if err == nil {
			hold = g.pending(b)
		}
		g.held, g.err = append(g.held[:0], b[len(b)-hold:]...), err
		if len(b) > hold || err != nil {
			return len(b) - hold, err
		}
	}
}

// pending returns how many bytes at the end of b may be the beginning of the secret. They are
// compared with its public part alone: a client that can put text of its own into a response,
// and sees which part of it comes later, must not learn how much of a guess is right.
func (g *guardedBody) pending(b []byte) int {
	tail := b[max(0, len(b)-len(g.secret)+1):]
	if i := bytes.Index(tail, g.public); i >= 0 {
		return len(tail) - i
	}
	for n := min(len(tail), len(g.public)-1); n > 0; n-- {
		if bytes.HasSuffix(tail, g.public[:n]) {
			return n
		}
	}
	return 0
}

// finalWriter leaves out informational responses (1xx), which are not checked, and for which
// [httputil.ReverseProxy] clears the header: it may hold what was set in front of the proxy.
type finalWriter struct {
	http.ResponseWriter
	header http.Header // until the response is final
	final  bool
}

func (w *finalWriter) Header() http.Header {
	if w.final {
		return w.ResponseWriter.Header()
	}
	return w.header
}

func (w *finalWriter) WriteHeader(status int) {
	if status < 200 || w.final {
		return
	}
	w.final = true
	h := w.ResponseWriter.Header()
	for name, values := range w.header {
		h[name] = slices.Concat(h[name], values) // middleware may share its slice among responses
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap gives [http.ResponseController] the rest.
func (w *finalWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// refusal is the body of an error in the form of the Frontend API's.
type refusal struct {
	Errors []refusalError `json:"errors"`
}

type refusalError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// refuse writes an error.
func refuse(w http.ResponseWriter, status int, code, message string) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(refusal{[]refusalError{{code, message}}})
}
