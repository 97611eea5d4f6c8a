package clerkauthtest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// frontendRoutes adds the endpoints of the Frontend API, which browsers call.
func (s *Server) frontendRoutes() {
	handle := func(pattern string, endpoint Endpoint, h http.HandlerFunc) {
		s.mux.Handle(pattern, route{endpoint, s.ours(s.frontend(h))})
	}
	s.mux.Handle("GET /v1/client/handshake", route{Handshake, s.ours(s.handshake)}) // a page, not a call
	s.syncRoutes()
	handle("POST /v1/dev_browser", DevBrowser, s.createDevBrowser)
	handle("GET /v1/client", Client, s.serveClient)
	handle("DELETE /v1/client/sessions", Client, s.endSessions)
	handle("GET /v1/client/sessions/{id}", Client, s.ofBrowser(s.serveSessionOfBrowser))
	handle("POST /v1/client/sessions/{id}/touch", Client, s.ofBrowser(s.touch))
	handle("POST /v1/client/sessions/{id}/end", Client, s.ofBrowser(s.endSession))
	handle("POST /v1/client/sessions/{id}/remove", Client, s.ofBrowser(s.endSession))
	handle("POST /v1/client/sessions/{id}/tokens", ClientTokens, s.ofBrowser(s.serveTokenOfBrowser))
	handle("/v1/client/", Client, notFound)
}

// ours refuses requests that name a host that is not the instance's, which is how a name
// that was rebound to loopback looks.
func (s *Server) ours(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if host := requestedHost(r); !loopback(host) && !slices.Contains(s.hosts(), host) {
			writeError(w, http.StatusMisdirectedRequest)
			return
		}
		next(w, r)
	}
}

// requestedHost returns the host that r names, without a port.
func requestedHost(r *http.Request) string {
	if r.Host == "" {
		return r.URL.Hostname() // of a request to a transport
	}
	return hostname(r.Host)
}

// frontend wraps an endpoint that pages call, from the application's origin or from
// loopback. In production the instance writes __client_uat with every answer.
func (s *Server) frontend(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Add("Vary", "Origin")
		if origin := r.Header.Get("Origin"); origin != "" {
			if !s.knownOrigin(origin) {
				writeCode(w, http.StatusBadRequest, "origin_invalid", "The Origin header names an origin that the instance does not know.")
				return
			}
			w.Header().Set("Access-Control-Allow-Origin", origin)
			w.Header().Set("Access-Control-Allow-Credentials", "true")
			w.Header().Set("Access-Control-Expose-Headers", "Retry-After")
		}
		next(w, r)
		if s.production {
			s.writeUAT(w, r)
		}
	}
}

// knownOrigin reports whether pages of origin may call the Frontend API.
func (s *Server) knownOrigin(origin string) bool {
	u, ok := s.redirectURL(origin)
	return ok && origin == originOf(u)
}

// party returns the origin of the page that sent r, which is the azp of tokens, or "".
// Browsers send no Origin with a GET to the page's own origin, as that of a proxy is.
func (s *Server) party(r *http.Request) string {
	if origin := r.Header.Get("Origin"); origin != "" {
		return origin // frontend has checked it
	}
	if u, err := url.Parse(r.Referer()); err == nil && s.knownOrigin(originOf(u)) {
		return originOf(u)
	}
	return ""
}

// methodOf returns the method of r. ClerkJS sends POST with the method in the query instead
// of methods that are not safelisted by CORS.
func methodOf(r *http.Request) string {
	method := r.URL.Query().Get("_method")
	if r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/v1/client") && slices.Contains([]string{"PATCH", "PUT", "DELETE"}, method) {
		return method
	}
	return r.Method
}

func (s *Server) createDevBrowser(w http.ResponseWriter, r *http.Request) {
	if s.production {
		notFound(w, r)
		return
	}
	s.mu.Lock()
	c := s.newClient()
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]string{"object": "dev_browser", "id": c.devBrowser})
}

// serveClient serves the browser's client, or null if it is not known.
func (s *Server) serveClient(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	c := s.browser(r)
	s.mu.Unlock()
	if query := r.URL.Query(); c == nil && query.Get(cookieDevBrowser) != "" && !s.production {
		writeCode(w, http.StatusUnauthorized, "dev_browser_unauthenticated", "The dev browser is not known.")
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"response": s.clientResource(c, s.party(r)), "client": nil})
}

// ofBrowser calls next with the session in the path, if it is the browser's own.
func (s *Server) ofBrowser(next func(http.ResponseWriter, *http.Request, *Session)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		session := s.browser(r).live()
		s.mu.Unlock()
		switch {
		case session == nil:
			writeCode(w, http.StatusUnauthorized, "authentication_invalid", "Nobody is signed in.")
		case session.ID != r.PathValue("id"):
			notFound(w, r)
		case r.ParseForm() != nil:
			writeError(w, http.StatusBadRequest)
		default:
			next(w, r, session)
		}
	}
}

func (s *Server) serveSessionOfBrowser(w http.ResponseWriter, r *http.Request, session *Session) {
	writeJSON(w, http.StatusOK, map[string]any{"response": s.sessionResource(session, s.party(r)), "client": nil})
}

// serveTokenOfBrowser issues a token to a page, which may name the organization that is
// active in it. ClerkJS takes 401 and 422 for a sign-out, so another organization is 404.
func (s *Server) serveTokenOfBrowser(w http.ResponseWriter, r *http.Request, session *Session) {
	s.mu.Lock()
	scoped := *session // the organization is that of this token alone
	known := !r.PostForm.Has("organization_id") || scoped.activate(r.PostForm.Get("organization_id"))
	s.mu.Unlock()
	token, ok := scoped.mint(forParty(s.party(r)))
	if !known || !ok {
		notFound(w, r)
		return
	}
	writeJSON(w, http.StatusOK, tokenResource(token))
}

// forParty returns a draft of a token for the pages of an origin, or for none if it is "".
func forParty(origin string) *draft {
	d := &draft{lifetime: lifetime}
	if origin == "" {
		WithoutParty()(d)
	} else {
		WithClaim("azp", origin)(d)
	}
	return d
}

// touch makes an organization the active one, or none.
func (s *Server) touch(w http.ResponseWriter, r *http.Request, session *Session) {
	if r.PostForm.Has("active_organization_id") && !s.choose(session, r.PostForm.Get("active_organization_id")) {
		notFound(w, r)
		return
	}
	s.mutated(w, r, session)
}

// choose makes an organization the active one, or none if idOrSlug is "". To choose an
// organization is the task of a pending session.
func (s *Server) choose(session *Session, idOrSlug string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !session.activate(idOrSlug) {
		return false
	}
	if idOrSlug != "" {
		session.pending = false
	}
	return true
}

func (s *Server) endSession(w http.ResponseWriter, r *http.Request, session *Session) {
	session.end()
	s.mutated(w, r, session)
}

// mutated answers a request that changed a session, with the client as it is now.
func (s *Server) mutated(w http.ResponseWriter, r *http.Request, session *Session) {
	party := s.party(r)
	writeJSON(w, http.StatusOK, map[string]any{
		"response": s.sessionResource(session, party), "client": s.clientResource(session.client, party),
	})
}

// endSessions signs the browser out. It never fails: ClerkJS keeps its cookies otherwise.
func (s *Server) endSessions(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	c := s.browser(r)
	session := c.live()
	s.mu.Unlock()
	if session != nil {
		session.end()
	}
	shown := s.clientResource(c, "")
	writeJSON(w, http.StatusOK, map[string]any{"response": shown, "client": shown})
}

// end is SignOut by the browser itself.
func (s *Session) end() {
	s.SignOut()
	s.srv.mu.Lock()
	defer s.srv.mu.Unlock()
	s.client.updatedAt = s.srv.Now()
}
