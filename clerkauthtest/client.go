package clerkauthtest

import (
	"net/http"
	"time"
)

// client is a browser as the Frontend API knows it, with at most one session: that of
// Clerk's single-session mode.
type client struct {
	id         string // client_…
	secret     string // the value of its __client cookie
	devBrowser string // dvb_…, which stands for the cookie where that is a third party's; development only
	session    *Session
	createdAt  time.Time
	updatedAt  time.Time // when its user last signed in or out
}

// newClient adds a client in which nobody is signed in. The caller of it and of the
// functions below holds mu.
func (s *Server) newClient() *client {
	now := s.Now()
	c := &client{id: "client_" + randomText(), secret: randomText() + randomText(), createdAt: now, updatedAt: now}
	if !s.production {
		c.devBrowser = "dvb_" + randomText()
		s.devBrowsers[c.devBrowser] = c
	}
	s.clients[c.secret] = c
	return c
}

// forget removes a client: what names it in cookies and URLs names nothing from now on.
func (s *Server) forget(c *client) {
	delete(s.clients, c.secret)
	delete(s.devBrowsers, c.devBrowser)
}

// browser returns the client that sent r: that of its __client cookie or else, in
// development, that of the dev browser in its query. It is nil if there is none. A dev
// browser that is not known is not adopted: whoever chose it would share the session.
func (s *Server) browser(r *http.Request) *client {
	if c := s.browserOfCookie(r); c != nil {
		return c
	}
	return s.devBrowsers[r.URL.Query().Get(cookieDevBrowser)]
}

// browserOfCookie is browser by the cookie alone. There may be several: cookies of another
// instance on another port of the host are sent, too.
func (s *Server) browserOfCookie(r *http.Request) *client {
	for _, cookie := range r.CookiesNamed(cookieClient) {
		if c := s.clients[cookie.Value]; c != nil {
			return c
		}
	}
	return nil
}

// live returns the client's session, or nil if there is none or it has ended.
func (c *client) live() *Session {
	if c == nil || c.session == nil || c.session.ended != "" {
		return nil
	}
	return c.session
}

// uat is the value of the client's __client_uat cookie: when it last changed, in seconds,
// or 0 if nobody is signed in.
func (c *client) uat() int64 {
	if c.live() == nil {
		return 0
	}
	return c.updatedAt.Unix()
}

// activate makes an organization that the user is a member of the active one, by its id or
// slug, or none if that is "". It returns false and changes nothing for any other.
func (s *Session) activate(idOrSlug string) bool {
	if idOrSlug == "" {
		s.Organization, s.role, s.permissions = nil, "", nil
		return true
	}
	o := s.srv.findOrganization(idOrSlug)
	if o == nil {
		return false
	}
	m := o.member(s.User)
	if m == nil {
		return false
	}
	s.Organization, s.role, s.permissions = o, m.role, m.permissions
	return true
}
