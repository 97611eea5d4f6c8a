package clerkauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/clerkauth/clerkauth/internal/clerkapi"
	"github.com/clerkauth/clerkauth/internal/clerkkey"
	"github.com/clerkauth/clerkauth/internal/fapiproxy"
	"github.com/clerkauth/clerkauth/internal/route"
	"github.com/clerkauth/clerkauth/internal/weburl"
)

// defaultFrontend is the Frontend API for proxies. It finds the instance by the headers that
// a proxy adds, so that the host in the publishable key needs no DNS record.
const defaultFrontend = "https://frontend-api.clerk.dev"

// frontendProxy is what the configuration says of the proxy of the Frontend API.
type frontendProxy struct {
	url    *url.URL // of the proxy, absolute; nil if there is none
	own    bool     // it is at this server's origin
	target *url.URL // the Frontend API; nil without a publishable key
}

// configureProxy reads ProxyURL. A proxy on https is an accepted issuer beside the host
// in the publishable key.
func (a *core) configureProxy(c Config, of *clerkkey.Instance, wrong *mistakes) {
	if of != nil {
		target := c.FrontendURL
		if target == "" {
			target = defaultFrontend
		}
		a.proxy.target, _ = weburl.ParseBase(target) // configureKeys rejects an invalid one
	}
	if c.Browser.ProxyURL == "" {
		return
	}
	proxy, err := weburl.ParseProxy(c.Browser.ProxyURL, c.Browser.PublicOrigin, c.AuthorizedParties)
	wrong.add("Browser.ProxyURL", err)
	if err != nil {
		return
	}
	if proxy.HTTPS {
		a.issuers = append(a.issuers, proxy.URL)
	}
	a.proxy.url, _ = url.Parse(proxy.URL) // as ParseProxy did
	a.proxy.own = strings.HasPrefix(c.Browser.ProxyURL, "/") || a.proxy.url.Scheme+"://"+a.proxy.url.Host == c.Browser.PublicOrigin
}

// FrontendAPIProxy returns middleware that serves Clerk's Frontend API at the path of
// [BrowserConfig.ProxyURL], such as /__clerk, so that browsers call it at the application's
// own origin. It passes on every other request.
//
//	proxy, err := auth.FrontendAPIProxy()
//	…
//	http.ListenAndServe(":8080", proxy(auth.Handler(mux)))
//
// It must be outside of [Authenticator.Handler] and of guards, which would decide about
// requests of Clerk's browser SDK and answer some of them. Where a router has to be outside,
// the path's access is [Unchecked]: on a [ServeMux] with
//
//	mux.Handle("/__clerk/", clerkauth.Unchecked, proxy(http.NotFoundHandler()))
//
// and with the rule "/__clerk/{rest...}": clerkauth.Unchecked. [Authenticator.Protect]
// rejects rules that guard the path of a ProxyURL on this server: one that is written as a
// path or is on [BrowserConfig.PublicOrigin]. Nothing in front may change the path.
//
// Requests are sent to https://frontend-api.clerk.dev, or to [Config.FrontendURL] if that is
// set, with the secret key, the ProxyURL and the client's address, which is the peer's unless
// that is among [BrowserConfig.TrustedProxies]. No request determines the host. Of the client's
// headers, those that make the same statements, those of gateways in front, and cookies other
// than Clerk's are left out; Authorization is left out if it has a scheme other than Bearer,
// and of Referer the origin is left. Other methods than GET, HEAD, POST, PUT, PATCH, DELETE
// and OPTIONS, upgrades such as websockets, and paths that servers read differently are
// refused.
//
// Requests and responses are streamed and may have any size: [http.MaxBytesHandler] limits
// requests. Each Set-Cookie stays a line of its own. Redirects are not followed; those to the
// Frontend API become redirects to the proxy. A response that contains the secret key is
// interrupted or replaced by an error, unless its body is compressed. Headers that are about
// the Frontend API's own origin, such as Strict-Transport-Security, informational responses
// and trailers are left out.
//
// Errors have the form of the Frontend API's, {"errors":[{"code","message"}]}: 400, 405,
// 502 if it cannot be reached, does not respond within 30 seconds or fails otherwise, and 503
// if the secret key is known to belong to another instance than the publishable key, in which
// case nothing is sent. The middleware is safe for concurrent use.
//
// The error joins everything that is absent from the configuration: a ProxyURL with a path, a
// publishable key and a secret key are required.
func (a *Authenticator) FrontendAPIProxy() (Middleware, error) {
	var wrong mistakes
	p := a.core.proxy
	switch {
	case p.url == nil:
		wrong.add("Browser.ProxyURL", errors.New("it is missing: set it to the path of the proxy, such as /__clerk, or to its URL"))
	case strings.Trim(p.url.Path, "/") == "":
		wrong.add("Browser.ProxyURL", errors.New("it has no path, so that the proxy would answer every request: add one, such as /__clerk"))
	case p.target != nil && p.target.Host == p.url.Host && strings.HasPrefix(p.target.Path+"/", p.url.Path+"/"):
		wrong.add("FrontendURL", errors.New("it is the proxy itself, which would call itself without end: leave it out"))
	}
	if p.target == nil {
		wrong.add("PublishableKey", errors.New("it is missing: it says which instance the proxy is for"))
	}
	if a.core.secret.IsZero() {
		wrong.add("SecretKey", errors.New("it is missing: the Frontend API accepts requests of a proxy with it alone"))
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("clerkauth: frontend api proxy: %w", err)
	}
	return fapiproxy.New(fapiproxy.Config{
		Target:    p.target,
		URL:       p.url,
		Secret:    a.core.secret.reveal(),
		Transport: a.core.transport,
		Client:    a.core.pages.proxies.Client,
		Check:     a.core.checkInstance,
		Failed:    a.core.frontendFailed,
	}), nil
}

// frontendFailed logs why a response of the Frontend API was not passed on. The error of a
// transport is not logged: it may quote the URL, which may hold a credential.
func (a *core) frontendFailed(err error) {
	host := a.proxy.target.Host
	if errors.Is(err, fapiproxy.ErrReflected) {
		a.notices.Tell(noticeReflected, slog.LevelError, "a response of the Frontend API to its proxy contained the secret key and was not passed on: look at what is at that host", "host", host)
		return
	}
	why := "no connection, or an invalid response"
	if errors.Is(err, clerkapi.ErrSilent) || errors.Is(err, context.DeadlineExceeded) {
		why = "no response in time"
	}
	a.notices.Tell(noticeFrontendProxy, slog.LevelWarn, "the Frontend API fails behind its proxy: this host must be reachable", "host", host, "error", why)
}

// checkRules returns an error if rules guard the path of a proxy on this server. Rules for
// what follows mount are not for the rest of the server.
func (p *frontendProxy) checkRules(rules *route.Table[*policy], mount string) error {
	if !p.own || p.url.Path == "" || !strings.HasPrefix(p.url.Path+"/", mount+"/") {
		return nil
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		for _, path := range []string{"/v1/client/handshake", "/npm/@clerk/clerk-js@6/dist/clerk.browser.js"} {
			found, err := rules.Lookup(method, p.url.Host, &url.URL{Path: p.url.Path + path})
			if err != nil || slices.ContainsFunc(found, func(r *route.Rule[*policy]) bool { return r.Value.op != opUnchecked }) {
				return fmt.Errorf("the rules guard its path: add %q: clerkauth.Unchecked", strings.TrimPrefix(p.url.Path, mount)+"/{rest...}")
			}
		}
	}
	return nil
}
