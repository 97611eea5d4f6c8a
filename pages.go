package clerkauth

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// isPage tells whether a browser asks for a document that a person will look at,
// who is better served by the sign-in page than by a 401.
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

// pages knows where people sign in and how they get back.
type pages struct {
	signIn, signUp string
	origin         string   // PublicOrigin
	origins        []string // authorized parties that are web origins
	anyHost        bool     // InsecureAnyParty: the request's host is as good as any
}

func newPages(c Config, of *instance, p parties, wrong *mistakes) pages {
	pg := pages{signIn: c.Browser.SignInURL, signUp: c.Browser.SignUpURL, origin: c.Browser.PublicOrigin, anyHost: p.any}
	for field, target := range map[string]string{"Browser.SignInURL": c.Browser.SignInURL, "Browser.SignUpURL": c.Browser.SignUpURL} {
		if target != "" {
			wrong.add(field, checkTarget(target))
		}
	}
	if c.Browser.PublicOrigin != "" {
		wrong.add("Browser.PublicOrigin", checkOrigin(c.Browser.PublicOrigin))
	}
	for _, party := range p.list {
		if strings.HasPrefix(party, "https://") || strings.HasPrefix(party, "http://") {
			pg.origins = append(pg.origins, party)
		}
	}
	if of != nil && pg.signIn == "" {
		pg.signIn = of.accountsURL() + "/sign-in"
	}
	if of != nil && pg.signUp == "" {
		pg.signUp = of.accountsURL() + "/sign-up"
	}
	return pg
}

// checkTarget tells what keeps s from being a page to send people to: an
// absolute http(s) URL, or a path on this server that no browser takes for
// another host.
func checkTarget(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c == '\\' || c == 0x7f }):
		return errors.New("it is not a URL")
	case u.Scheme == "" && u.Host == "" && strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "//"):
		return nil
	case (u.Scheme == "https" || u.Scheme == "http") && validHost(strings.ToLower(u.Host)) && u.User == nil:
		return nil
	}
	return errors.New("it must be an absolute http or https URL, or a path that begins with one slash")
}

// SignInURL returns where the sender of r signs in, with the way back to r in
// redirect_url. The way back is left out where the host that r names is none of
// ours, because whoever sent r may have chosen it. It is "" if there is neither a
// [BrowserConfig.SignInURL] nor a publishable key to tell the account portal's.
func (a *Authenticator) SignInURL(r *http.Request) string {
	return a.core.signInURL(r, "")
}

// SignUpURL returns where the sender of r signs up, with the way back as in
// SignInURL.
func (a *Authenticator) SignUpURL(r *http.Request) string {
	return a.core.pages.target(a.core.pages.signUp, "", r)
}

// signInURL is SignInURL, for a session whose tasks are not done the page where
// that is made up for.
func (a *core) signInURL(r *http.Request, reason Reason) string {
	tasks := ""
	if reason == ErrSessionPending {
		tasks = "/tasks"
	}
	return a.pages.target(a.pages.signIn, tasks, r)
}

// target returns page, extended by a path, with the way back to r.
func (p pages) target(page, path string, r *http.Request) string {
	u, err := url.Parse(page)
	if err != nil || page == "" {
		return page // New has parsed it
	}
	u.Path += path
	if back := p.wayBack(r); back != "" {
		q := u.Query()
		q.Set("redirect_url", back)
		u.RawQuery = q.Encode()
	}
	return u.String()
}

// maxWayBack is the length in bytes of the longest address to come back to.
const maxWayBack = 2048

// wayBack returns the public URL of r, "" if it is not known. The origin is set
// field by field, never resolved, so that no path can bring a host of its own.
func (p pages) wayBack(r *http.Request) string {
	origin := p.publicOrigin(r)
	if origin == "" || r.URL.Opaque != "" || !strings.HasPrefix(r.URL.Path, "/") {
		return ""
	}
	scheme, host, _ := strings.Cut(origin, "://")
	u := url.URL{Scheme: scheme, Host: host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	if back := u.String(); len(back) <= maxWayBack {
		return back
	}
	return "" // no browser goes to so long an address
}

// publicOrigin returns this server's origin as r's sender knows it, "" if the
// host in r is not one of ours.
func (p pages) publicOrigin(r *http.Request) string {
	if p.origin != "" {
		return p.origin
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	host := strings.ToLower(r.Host)
	own := scheme + "://" + host
	if slices.Contains(p.origins, own) {
		return own
	}
	// Behind something that terminates TLS, the scheme is not ours to see.
	if secure := "https://" + host; slices.Contains(p.origins, secure) {
		return secure
	}
	if p.anyHost && validHost(host) {
		return own
	}
	return ""
}
