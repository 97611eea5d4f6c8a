package browser

import (
	"net/http"
	"net/url"
	"time"
)

// ReturnURL returns the URL to send the sender of r back to: back, the URL of r itself, or
// that of the page which a request of htmx's is for, if that is on this server. What a
// handshake has added to it is left out, or it would be resolved again. On the way back
// from another domain, a satellite has to ask for the session.
func (s *Settings) ReturnURL(r *http.Request, public, page, back string) string {
	if current := header(r, "Hx-Current-Url"); HTMX(r) && public != "" && origin(current) == public && len(current) <= maxReturn {
		back = current
	}
	u, err := url.Parse(back)
	if err != nil || back == "" {
		return back
	}
	u.RawQuery = strip(u.RawQuery, paramDevBrowser, paramHandshake, paramNonce, paramHelp)
	u.Fragment = ""
	if s.Satellite && crossOrigin(page, public) {
		u.RawQuery = encode(set(parse(u.RawQuery), paramSynced, "false"))
	}
	return u.String()
}

// maxReturn is the length of the longest URL of htmx's that is returned to.
const maxReturn = 2048

// SignInPage returns page with what a page of another domain needs in development to find
// the browser's session.
func (s *Settings) SignInPage(r *http.Request, public, page string, now time.Time) string {
	if s.Production || !crossOrigin(page, public) {
		return page
	}
	f := Read(r, s, public, now)
	if f.DevBrowser == "" {
		return page
	}
	return withQuery(page, func(pairs []pair) []pair { return set(pairs, paramDevBrowser, f.DevBrowser) })
}

// crossOrigin reports whether page is a URL of another origin. The scheme is not compared:
// proxies may end TLS.
func crossOrigin(page, public string) bool {
	there, err1 := url.Parse(page)
	here, err2 := url.Parse(public)
	return err1 == nil && err2 == nil && there.Host != "" && there.Host != here.Host
}
