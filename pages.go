package clerkauth

import (
	"net/http"
	"slices"
	"strings"

	"github.com/clerkauth/clerkauth/internal/clerkkey"
	"github.com/clerkauth/clerkauth/internal/weburl"
)

// isPage reports whether a browser requests a document for a person to look at, so that
// the sign-in page is more useful than a 401.
func isPage(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	switch r.Header.Get("Sec-Fetch-Dest") {
	case "document", "iframe":
		return true
	case "":
		return strings.Contains(r.Header.Get("Accept"), "text/html")
	default:
		return false
	}
}

// pages are where people sign in and sign up, and the origins that they return to.
type pages struct {
	signIn, signUp string
	site           weburl.Site
	proxies        weburl.Proxies
}

func newPages(c Config, of *clerkkey.Instance, p parties, wrong *mistakes) pages {
	pg := pages{
		signIn:  c.Browser.SignInURL,
		signUp:  c.Browser.SignUpURL,
		proxies: slices.Clone(c.Browser.TrustedProxies),
		site:    weburl.Site{Public: c.Browser.PublicOrigin, Origins: weburl.Web(p.list), AnyHost: p.any},
	}
	for field, page := range map[string]string{"Browser.SignInURL": pg.signIn, "Browser.SignUpURL": pg.signUp} {
		if page != "" {
			wrong.add(field, weburl.CheckPage(page))
		}
	}
	if pg.site.Public != "" {
		wrong.add("Browser.PublicOrigin", weburl.CheckOrigin(pg.site.Public))
	}
	for _, proxy := range pg.proxies {
		wrong.add("Browser.TrustedProxies "+proxy.String(), weburl.CheckProxy(proxy))
	}
	if of != nil && pg.signIn == "" {
		pg.signIn = of.AccountsURL() + "/sign-in"
	}
	if of != nil && pg.signUp == "" {
		pg.signUp = of.AccountsURL() + "/sign-up"
	}
	return pg
}

// SignInURL returns the URL where the sender of r signs in, with the URL of r in its
// redirect_url parameter. The parameter is left out if r names a host that is not this
// server's, because the sender of r may have chosen it; see
// [BrowserConfig.PublicOrigin] and [BrowserConfig.TrustedProxies]. SignInURL returns "" if
// there is neither a [BrowserConfig.SignInURL] nor a publishable key.
func (a *Authenticator) SignInURL(r *http.Request) string {
	return a.core.signInURL(r, "")
}

// SignUpURL is like SignInURL for signing up.
func (a *Authenticator) SignUpURL(r *http.Request) string {
	p := &a.core.pages
	return weburl.Page(p.signUp, "", p.returnURL(r))
}

// signInURL returns SignInURL for a caller who is refused for reason. The tasks of a
// pending session have a page of their own.
func (a *core) signInURL(r *http.Request, reason Reason) string {
	tasks := ""
	if reason == ErrSessionPending {
		tasks = "/tasks"
	}
	return weburl.Page(a.pages.signIn, tasks, a.pages.returnURL(r))
}

// returnURL returns the public URL of r, or "" if it is not known.
func (p *pages) returnURL(r *http.Request) string {
	return weburl.Return(p.site.Origin(p.proxies.Requested(r)), r.URL)
}
