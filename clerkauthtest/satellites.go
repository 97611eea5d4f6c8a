package clerkauthtest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Satellites makes applications on these domains, such as example.net, satellites of the
// instance in production: people who have signed in on the application's own domain are
// signed in there, too. The Frontend API is then also at clerk.example.net, and hands its
// browsers from one host to the other with /v1/client/sync and /v1/client/link. Defaults to
// none. In development, satellites are applications on other ports and names of loopback,
// and need no option.
func Satellites(domains ...string) Option {
	for _, domain := range domains {
		if !strings.Contains(domain, ".") || strings.HasPrefix(domain, "clerk.") || strings.ContainsAny(domain, "/: ") {
			panic("clerkauthtest: " + domain + " must look like example.net")
		}
	}
	return func(s *Server) { s.satellites = append(s.satellites, domains...) }
}

// link hands a client from one host of the Frontend API to another.
type link struct {
	client  *client
	host    string
	expires time.Time
}

const synced = "__clerk_synced"

// hosts returns the hosts of the Frontend API.
func (s *Server) hosts() []string {
	hosts := []string{s.host}
	for _, domain := range s.satellites {
		hosts = append(hosts, "clerk."+domain)
	}
	return hosts
}

// satelliteHost returns the host of the Frontend API that r names, if it is a satellite's,
// or "".
func (s *Server) satelliteHost(r *http.Request) string {
	if host := requestedHost(r); s.production && slices.Contains(s.hosts()[1:], host) {
		return host
	}
	return ""
}

// cookieDomain returns the domain of the cookies that the host that r names shares with
// applications.
func (s *Server) cookieDomain(r *http.Request) string {
	if host := s.satelliteHost(r); host != "" {
		return domainOf(host)
	}
	return domainOf(s.host)
}

// syncRoutes adds the endpoints that connect the hosts of the Frontend API.
func (s *Server) syncRoutes() {
	s.mux.Handle("GET /v1/client/sync", route{Handshake, s.ours(s.sync)})
	s.mux.Handle("GET /v1/client/link", route{Handshake, s.ours(s.link)})
}

// needsSync reports whether the host that r names is a satellite's and does not know the
// browser, which another host may know.
func (s *Server) needsSync(r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.satelliteHost(r) != "" && s.browserOfCookie(r) == nil
}

// startSync sends a browser from a satellite's host to the primary one, from where it
// comes back to redirectURL.
func (s *Server) startSync(w http.ResponseWriter, host, redirectURL string) {
	redirect(w, http.StatusTemporaryRedirect, endpointAt(s.host, "/v1/client/sync", url.Values{
		"link_domain": {host}, "redirect_url": {redirectURL},
	}))
}

// endpointAt returns the URL of an endpoint at a host of the Frontend API in production.
func endpointAt(host, path string, query url.Values) *url.URL {
	return &url.URL{Scheme: "https", Host: host, Path: path, RawQuery: query.Encode()}
}

// sync finds the browser's client at the primary host and sends it to the satellite's. A
// browser without a client gets one, so that the satellite does not ask again.
func (s *Server) sync(w http.ResponseWriter, r *http.Request) {
	if !s.production {
		notFound(w, r)
		return
	}
	q := r.URL.Query()
	if host := s.satelliteHost(r); host != "" { // ClerkJS begins here
		if _, ok := s.satelliteURL(host, q.Get("redirect_url")); !ok {
			writeError(w, http.StatusBadRequest)
			return
		}
		s.startSync(w, host, q.Get("redirect_url"))
		return
	}
	host := q.Get("link_domain")
	if _, ok := s.satelliteURL(host, q.Get("redirect_url")); !ok {
		writeError(w, http.StatusBadRequest)
		return
	}
	now, token := s.Now(), randomText()
	s.mu.Lock()
	c := s.browserOfCookie(r)
	if c == nil {
		c = s.newClient()
	}
	s.links[token] = link{c, host, now.Add(handshakeLifetime)}
	s.mu.Unlock()
	s.writeClient(w, r, c)
	redirect(w, http.StatusTemporaryRedirect, endpointAt(host, "/v1/client/link", url.Values{
		"__clerk_token": {token}, "redirect_url": {q.Get("redirect_url")},
	}))
}

// satelliteURL parses a URL to which a browser returns that is sent to a satellite's host.
// It is on https below the domain of that satellite.
func (s *Server) satelliteURL(host, raw string) (*url.URL, bool) {
	u, ok := s.redirectURL(raw)
	if !ok || !slices.Contains(s.hosts()[1:], host) || u.Scheme != "https" || !within(strings.ToLower(u.Hostname()), domainOf(host)) {
		return nil, false
	}
	return u, true
}

// link makes the browser's client known at a satellite's host. Its token is valid once.
func (s *Server) link(w http.ResponseWriter, r *http.Request) {
	host := s.satelliteHost(r)
	to, ok := s.satelliteURL(host, r.URL.Query().Get("redirect_url"))
	if !ok {
		writeError(w, http.StatusBadRequest)
		return
	}
	token := r.URL.Query().Get("__clerk_token")
	s.mu.Lock()
	l := s.links[token]
	delete(s.links, token)
	s.mu.Unlock()
	if l.client == nil || l.host != host || !s.Now().Before(l.expires) {
		writeError(w, http.StatusBadRequest)
		return
	}
	s.writeClient(w, r, l.client)
	if to.Hostname() != host { // the application itself, without a handshake
		to = withParam(to, synced, "true")
	}
	redirect(w, http.StatusTemporaryRedirect, to)
}

// syncDevelopment sends the browser of a satellite in development back, with its dev
// browser, by which the handshake that follows finds the client. It is what a primary
// application does; the sign-in page does it where it is the satellite's sign-in URL.
func (s *Server) syncDevelopment(w http.ResponseWriter, r *http.Request, to *url.URL) {
	s.mu.Lock()
	c := s.browserOfCookie(r)
	if c == nil {
		c = s.newClient()
	}
	s.mu.Unlock()
	s.writeClient(w, r, c)
	redirect(w, http.StatusTemporaryRedirect, s.returnURL(c, withParam(to, synced, "true")))
}
