package clerkauth

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/clerkauth/clerkauth/internal/clerkkey"
	"github.com/clerkauth/clerkauth/internal/csp"
	"github.com/clerkauth/clerkauth/internal/hint"
	"github.com/clerkauth/clerkauth/internal/response"
	"github.com/clerkauth/clerkauth/internal/weburl"
)

// CSP configures a Content-Security-Policy. The zero value is what Clerk's browser SDK
// needs, on pages with inline scripts. See [Authenticator.ContentSecurityPolicy].
type CSP struct {
	// Strict allows only scripts that have the response's [Nonce] and the scripts that
	// these load. Defaults to false: scripts of this server and of Clerk are allowed, and
	// inline scripts, which does not stop injected ones.
	Strict bool

	// Directives are added, by name. Each value is one source or token; keywords such as
	// self may be written without their quotation marks. 'none', alone, replaces the
	// values that the directive would have by itself. Defaults to none.
	Directives map[string][]string

	// ReportOnly sets Content-Security-Policy-Report-Only instead, with which browsers
	// report violations and forbid nothing. Defaults to false.
	ReportOnly bool

	// ReportTo is the URL that violations are reported to: an absolute https URL, or a
	// path on this server. A policy that has a report-to directive already keeps it.
	// Defaults to none.
	ReportTo string
}

// ContentSecurityPolicy returns middleware that allows pages to use Clerk's browser SDK
// under a Content-Security-Policy: its scripts, frames, images, styles and workers, and
// calls to the Frontend API at the host in [Config.PublishableKey], [Config.FrontendURL]
// and [BrowserConfig.ProxyURL]. Forms may be sent to this server, whose responses may
// redirect to the Frontend API and to the pages where people sign in.
//
//	policy, err := auth.ContentSecurityPolicy(clerkauth.CSP{Strict: true})
//	…
//	http.ListenAndServe(":8080", policy(auth.Handler(mux)))
//
// With [CSP.Strict], every response has a random nonce, which [Nonce] returns. It belongs
// in the nonce attribute of the page's script elements. The Cache-Control of such a
// response is no-store, unless the handler sets private and not public.
//
// If outer middleware has set a policy, that is added to, because browsers enforce each of
// several policies. Every directive keeps what it allows and gets what the SDK needs and
// CSP.Directives contain; a directive that nothing restricts is added as a whole. What
// another one decides, such as default-src, is written out. Inline scripts stay
// forbidden where that policy forbids them. With Strict, browsers ignore the hosts and
// 'unsafe-inline' in its script-src. Handlers that set the header themselves replace the
// policy.
//
// The error joins everything that is wrong with c, such as unknown directives, and values
// that contain a semicolon, a comma or a line break.
func (a *Authenticator) ContentSecurityPolicy(c CSP) (Middleware, error) {
	var wrong mistakes
	for _, name := range slices.Sorted(maps.Keys(c.Directives)) {
		for _, err := range csp.Check(name, c.Directives[name]) {
			wrong.add("Directives "+hint.Quote(name), err)
		}
	}
	if c.Strict && (csp.None(c.Directives["script-src"]) || csp.None(c.Directives["script-src-elem"])) {
		wrong.add("Strict", errors.New("a directive for scripts is 'none', which allows no script with a nonce either"))
	}
	if c.ReportTo != "" {
		wrong.add("ReportTo", csp.CheckReportTo(c.ReportTo))
	}
	if len(a.core.frontends) == 0 {
		wrong.add("Frontend API", errors.New("its host is not known: set the publishable key"))
	}
	for _, frontend := range a.core.frontends {
		wrong.add("Frontend API "+hint.Quote(frontend), csp.CheckValue(frontend))
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("clerkauth: content security policy: %w", err)
	}
	policy := csp.New(csp.Options{Frontends: a.core.frontends, Pages: a.core.pages.origins(), Strict: c.Strict, Directives: c.Directives, Report: c.ReportTo != ""})
	name := "Content-Security-Policy"
	if c.ReportOnly {
		name = "Content-Security-Policy-Report-Only"
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			nonce, h := "", w.Header()
			var out *response.Writer
			if c.Strict {
				if nonce = Nonce(r.Context()); nonce == "" {
					nonce = csp.NewNonce()
					r = r.WithContext(context.WithValue(r.Context(), nonceKey{}, nonce))
				}
				out = new(response.Writer)
				out.Init(w)
				out.NoStoreUnlessPrivate()
				out.Apply() // so that private is the handler's word, not Authenticator.Handler's
				w = out.ResponseWriter()
			}
			lines, reports := policy.Add(h[name], nonce)
			h[name] = lines
			if reports {
				h.Add("Reporting-Endpoints", csp.Endpoint(c.ReportTo))
			}
			next.ServeHTTP(w, r)
			if out != nil {
				out.Finish()
			}
		})
	}, nil
}

// nonceKey is the context key for the nonce, a string. It is unexported so that other
// packages cannot overwrite it.
type nonceKey struct{}

// Nonce returns the nonce of the response to the request with that context, for the
// nonce attribute of script elements and for Clerk's nonce option, or "" outside a strict
// [Authenticator.ContentSecurityPolicy]. Its 16 bytes are random and in base64; nothing in
// the request determines them.
func Nonce(ctx context.Context) string {
	nonce, _ := ctx.Value(nonceKey{}).(string)
	return nonce
}

// frontendOrigins returns the origins at which browsers call the Frontend API of the
// instance, proxy being one of its URLs if it is not nil. What is invalid is left out: New
// rejects it elsewhere.
func frontendOrigins(c Config, of *clerkkey.Instance, proxy *url.URL) []string {
	var urls []string
	if of != nil {
		urls = append(urls, of.Issuer())
	}
	if of != nil && of.Production && c.Browser.Satellite && c.Browser.Domain != "" {
		urls = append(urls, "https://clerk."+c.Browser.Domain)
	}
	if c.FrontendURL != "" {
		urls = append(urls, c.FrontendURL)
	}
	if proxy != nil {
		urls = append(urls, proxy.String())
	}
	return weburl.Origins(urls)
}
