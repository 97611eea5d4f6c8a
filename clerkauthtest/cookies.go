package clerkauthtest

import (
	"crypto/fips140"
	"crypto/sha1" //nolint:gosec // it names cookies, and protects nothing
	"encoding/base64"
	"net/http"
	"strconv"
	"time"
)

// Clerk's cookies. Those of the application also have a form with the suffix of the
// publishable key, so that two instances can be used on one host.
const (
	cookieClient     = "__client" // of the Frontend API's own host
	cookieSession    = "__session"
	cookieUAT        = "__client_uat"
	cookieDevBrowser = "__clerk_db_jwt"
	cookieRefresh    = "__refresh"
)

const year = 365 * 24 * time.Hour // of most of Clerk's cookies

// suffixOf returns the suffix of the names of cookies: the first eight characters of the
// key's SHA-1 in URL-safe base64.
func suffixOf(publishableKey string) string {
	var digest [sha1.Size]byte
	fips140.WithoutEnforcement(func() { digest = sha1.Sum([]byte(publishableKey)) }) //nolint:gosec // see above
	return base64.URLEncoding.EncodeToString(digest[:])[:8]
}

func (s *Server) suffixed(name string) string { return name + "_" + suffixOf(s.PublishableKey()) }

// SetCookies adds the cookies that a browser with the session sends to the application:
// __session with a new token and __client_uat, both also with the suffix of the
// publishable key, __refresh with the suffix alone, and in development __clerk_db_jwt in
// both forms. Options apply to the token; its azp is that of a token that a page fetched,
// unlike those of handshakes (see [WithoutParty]). SetCookies panics after SignOut and for
// a banned user, as Token does: call it before them for a browser that has not noticed yet.
func (s *Session) SetCookies(req *http.Request, opts ...TokenOption) {
	token := s.Token(opts...)
	s.srv.mu.Lock()
	uat, devBrowser := strconv.FormatInt(s.client.uat(), 10), s.client.devBrowser
	s.srv.mu.Unlock()
	add := func(name, value string) {
		req.AddCookie(&http.Cookie{Name: name, Value: value}) //nolint:gosec // of a request, which have no attributes
	}
	both := func(name, value string) {
		add(name, value)
		add(s.srv.suffixed(name), value)
	}
	if devBrowser != "" {
		both(cookieDevBrowser, devBrowser)
	}
	both(cookieUAT, uat)
	if s.refreshToken != "" {
		add(s.srv.suffixed(cookieRefresh), s.refreshToken)
	}
	both(cookieSession, token)
}

// setCookies are Set-Cookie lines for the application's host.
type setCookies struct {
	srv    *Server
	domain string // of __client_uat; "": that host alone
	secure bool
	lines  []string
}

// setCookies returns no lines yet. In production __client_uat is for the whole domain, so
// that the Frontend API can write it, too, and the others are for the application alone.
func (s *Server) setCookies(domain string, secure bool) *setCookies {
	return &setCookies{srv: s, domain: domain, secure: secure}
}

// add adds a cookie, which an empty value removes.
func (l *setCookies) add(c http.Cookie) {
	c.Path, c.Secure = "/", l.secure
	c.Expires = l.srv.Now().Add(year)
	if c.Value == "" {
		c.Expires = time.Unix(0, 0)
	}
	l.lines = append(l.lines, c.String())
}

// both adds a cookie with the suffix and without.
func (l *setCookies) both(c http.Cookie) {
	l.add(c)
	c.Name = l.srv.suffixed(c.Name)
	l.add(c)
}

// uat adds __client_uat. Where ClerkJS writes it in development, it is strict. That of a
// handshake must not be: a browser that comes from the Frontend API's own pages, which are
// of another site, would not send it, and the application would ask again.
func (l *setCookies) uat(at int64) {
	c := http.Cookie{Name: cookieUAT, Value: strconv.FormatInt(at, 10), SameSite: http.SameSiteLaxMode}
	if l.srv.production {
		c.Domain = l.domain
	}
	l.both(c)
}

// session adds the cookies of a session, or removes those of any if token is "".
func (l *setCookies) session(token, refresh string) {
	if token == "" {
		refresh = ""
	}
	if refresh != "" || token == "" {
		l.add(http.Cookie{Name: l.srv.suffixed(cookieRefresh), Value: refresh, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	}
	l.both(http.Cookie{Name: cookieSession, Value: token, SameSite: http.SameSiteLaxMode})
}

// directives returns the cookies that make the application's host agree with what the
// Frontend API knows of a browser. Nobody is signed in if c is nil.
func (s *Server) directives(c *client, domain string, secure bool) *setCookies {
	s.mu.Lock()
	session, uat, devBrowser, refresh := c.live(), c.uat(), "", ""
	if c != nil {
		devBrowser = c.devBrowser
	}
	s.mu.Unlock()
	token := ""
	if session != nil { // a navigation has no Origin header that could be the azp
		d := draft{lifetime: lifetime}
		WithoutParty()(&d)
		token, _ = session.mint(&d)
		refresh = session.refreshToken
	}
	if token == "" { // nobody is signed in, or not any more
		uat = 0
	}
	l := s.setCookies(domain, secure)
	if devBrowser != "" {
		l.both(http.Cookie{Name: cookieDevBrowser, Value: devBrowser, SameSite: http.SameSiteLaxMode})
	}
	l.uat(uat)
	l.session(token, refresh)
	return l
}

// write adds the lines to a response.
func (l *setCookies) write(w http.ResponseWriter) {
	for _, line := range l.lines {
		w.Header().Add("Set-Cookie", line)
	}
}

// writeUAT writes __client_uat from the Frontend API's host, for the client that sent r.
func (s *Server) writeUAT(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	uat := s.browser(r).uat()
	s.mu.Unlock()
	l := s.setCookies(s.cookieDomain(r), true)
	l.uat(uat)
	l.write(w)
}

// writeClient tells a browser which client it is and, in production, whether somebody is
// signed in.
func (s *Server) writeClient(w http.ResponseWriter, r *http.Request, c *client) {
	s.mu.Lock()
	uat := c.uat()
	s.mu.Unlock()
	l := s.setCookies(s.cookieDomain(r), s.production)
	l.add(http.Cookie{Name: cookieClient, Value: c.secret, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	if s.production {
		l.uat(uat)
	}
	l.write(w)
}
