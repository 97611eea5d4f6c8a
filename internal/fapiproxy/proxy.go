// Package fapiproxy is a reverse proxy of Clerk's Frontend API. It adds the secret key to
// each request, so that it decides by itself which requests it sends, and where: nothing of a
// request determines the host.
package fapiproxy

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/clerkauth/clerkauth/internal/clerkapi"
)

// Config configures a proxy. All fields are required.
type Config struct {
	Target    *url.URL // the Frontend API, with a path if it has one
	URL       *url.URL // the proxy, as browsers know it; its path is not empty
	Secret    string   // the instance's secret key
	Transport http.RoundTripper
	// Client returns the address of the client that sent a request, or the zero Addr.
	Client func(*http.Request) netip.Addr
	// Check returns an error while the secret key must not be sent.
	Check func(context.Context) error
	// Failed is told of failures of the Frontend API, and of ErrReflected.
	Failed func(error)
}

// ErrReflected is the error of a response that contains the secret key.
var ErrReflected = errors.New("response contains the secret key")

// proxy answers the requests for its path.
type proxy struct {
	Config
	mount   string // path of URL, as it is sent
	base    string // Target without a slash at its end
	reverse *httputil.ReverseProxy
}

// New returns middleware that answers requests for the path of the proxy and those below
// it, and passes on all others.
func New(c Config) func(http.Handler) http.Handler {
	p := &proxy{
		Config: c,
		mount:  strings.TrimRight(c.URL.EscapedPath(), "/"),
		base:   strings.TrimRight(c.Target.String(), "/"),
	}
	p.reverse = &httputil.ReverseProxy{
		Rewrite:        p.rewrite,
		Transport:      clerkapi.Stream(c.Transport, c.Target),
		FlushInterval:  -1, // nothing waits for more
		ErrorLog:       log.New(io.Discard, "", 0),
		ModifyResponse: p.receive,
		ErrorHandler:   p.fail,
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			path := r.URL.EscapedPath()
			if rest, ok := strings.CutPrefix(path, p.mount); ok && (rest == "" || rest[0] == '/') {
				p.serve(w, r, rest)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// methods are those of the Frontend API. Any other may be one that a server answers with
// the request itself, as it does TRACE (RFC 9110 section 9.3.8).
var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
}

// serve answers a request for what follows the path of the proxy.
func (p *proxy) serve(w http.ResponseWriter, r *http.Request, rest string) {
	if !slices.Contains(methods, r.Method) {
		w.Header().Set("Allow", strings.Join(methods, ", "))
		refuse(w, http.StatusMethodNotAllowed, "proxy_method_not_allowed", "the method is not one of the Frontend API")
		return
	}
	if _, ok := r.Header["Upgrade"]; ok {
		// What follows on such a connection is in no request, and could not be checked.
		refuse(w, http.StatusBadRequest, "proxy_upgrade_not_allowed", "the Frontend API has no other protocol")
		return
	}
	target, err := p.target(rest, r.URL.RawQuery)
	if err != nil {
		refuse(w, http.StatusBadRequest, "proxy_path_mismatch", "the path is not one of the Frontend API")
		return
	}
	if p.Check(r.Context()) != nil {
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusServiceUnavailable, "proxy_configuration_error", "the server's configuration has to be corrected")
		return
	}
	in := *r
	in.URL = target
	p.reverse.ServeHTTP(&finalWriter{ResponseWriter: w, header: http.Header{}}, &in)
}

// rewrite makes the request that is sent, whose hop-by-hop headers are removed already: the
// client's Connection header cannot name one that is set here.
func (p *proxy) rewrite(r *httputil.ProxyRequest) {
	out := r.Out
	out.URL.RawQuery = r.In.URL.RawQuery // as it was sent: nothing here reads it
	out.Host = p.Target.Host
	out.Trailer = nil
	filter(out.Header)
	if client := p.Client(r.In); client.IsValid() {
		out.Header.Set("X-Forwarded-For", client.String())
	}
	out.Header.Set("X-Forwarded-Host", p.URL.Host)
	out.Header.Set("X-Forwarded-Proto", p.URL.Scheme)
	out.Header.Set("Clerk-Proxy-Url", p.at(""))
	out.Header.Set("Clerk-Secret-Key", p.Secret)
	// The secret is looked for in responses.
	out.Header.Set("Accept-Encoding", "identity")
}

// at returns the URL of the proxy, with rest behind its path.
func (p *proxy) at(rest string) string {
	return p.URL.Scheme + "://" + p.URL.Host + p.mount + rest
}

// fail answers a request that cannot be forwarded, or whose response cannot be.
func (p *proxy) fail(w http.ResponseWriter, r *http.Request, err error) {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		refuse(w, http.StatusRequestEntityTooLarge, "proxy_request_failed", "the request is too large")
		return
	case r.Context().Err() == nil: // the client is there
		p.Failed(err)
	}
	refuse(w, http.StatusBadGateway, "proxy_request_failed", "the Frontend API cannot be reached")
}
