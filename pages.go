package clerkauth

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/clerkauth/clerkauth/internal/clerkkey"
	"github.com/clerkauth/clerkauth/internal/route"
	"github.com/clerkauth/clerkauth/internal/weburl"
)

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

// checkRules returns an error if rules guard the sign-in page of this server. Callers who are
// redirected there would be redirected again.
func (p *pages) checkRules(rules *route.Table[*policy]) error {
	page := weburl.OwnPage(p.signIn)
	if page == nil {
		return nil
	}
	if found, err := rules.Lookup(http.MethodGet, weburl.Host(p.site.Public), page); err != nil || !route.Open(found) {
		return errors.New("the rules guard it: make it Public")
	}
	return nil
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
	return a.core.pageURL(r, a.core.pages.signUp, "")
}

// signInURL returns SignInURL for a caller who is refused for reason. The tasks of a
// pending session have a page of their own.
func (a *core) signInURL(r *http.Request, reason Reason) string {
	tasks := ""
	if reason == ErrSessionPending {
		tasks = "/tasks"
	}
	return a.pageURL(r, a.pages.signIn, tasks)
}

// pageURL returns the URL of a page where people sign in, with path appended to its own.
func (a *core) pageURL(r *http.Request, page, path string) string {
	public := a.pages.publicOrigin(r)
	back := weburl.Return(public, r.URL)
	if b := a.browsers; b != nil {
		back = b.ReturnURL(r, public, page, back)
		page = b.SignInPage(r, public, page, a.now())
	}
	return weburl.Page(page, path, back)
}

// origins returns the origins of the pages, unless they are this server's.
func (p *pages) origins() []string {
	return weburl.Origins(slices.DeleteFunc([]string{p.signIn, p.signUp}, func(page string) bool { return !strings.Contains(page, "://") }))
}

// publicOrigin returns the origin under which the sender of r knows this server, or "" if
// it is not known.
func (p *pages) publicOrigin(r *http.Request) string {
	return p.site.Origin(p.proxies.Requested(r))
}
