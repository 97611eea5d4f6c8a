package clerkauthtest

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// ListenAndServe serves h to developers without an account at Clerk: every request that
// brings no Authorization header gets a new token of the session, so that its user is
// signed in in any browser. After SignOut and for a banned user requests are as they come.
// It returns when serving fails.
//
//	jane := srv.SignIn(srv.CreateUser("jane@example.com"))
//	log.Fatal(jane.ListenAndServe("localhost:8080", auth.Handler(mux)))
//
// Whoever reaches the address is that user. So it listens on loopback alone and returns an
// error for any other address, among them those without a host; requests that do not name
// a loopback host are refused with 421, and those that a page of another host causes get
// no token. Call it in a program for development, beside the one that is deployed.
func (s *Session) ListenAndServe(addr string, h http.Handler) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("clerkauthtest: %w", err)
	}
	if !loopback(host) {
		return fmt.Errorf("clerkauthtest: %q is not a loopback address, such as localhost:8080: everybody who reaches it would be signed in", addr)
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("clerkauthtest: %w", err)
	}
	return s.serve(listener, h)
}

// serve is ListenAndServe with a listener, which it closes.
func (s *Session) serve(listener net.Listener, h http.Handler) error {
	if at, ok := listener.Addr().(*net.TCPAddr); !ok || !at.IP.IsLoopback() { // localhost may be mapped to any address
		_ = listener.Close()
		return fmt.Errorf("clerkauthtest: %v is not a loopback address", listener.Addr())
	}
	server := &http.Server{Handler: s.signedIn(h), ReadHeaderTimeout: 10 * time.Second}
	return server.Serve(listener)
}

// signedIn adds a token of the session to requests without an Authorization header.
func (s *Session) signedIn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !loopback(hostname(r.Host)) { // a name that was rebound to this address
			http.Error(w, http.StatusText(http.StatusMisdirectedRequest), http.StatusMisdirectedRequest)
			return
		}
		if len(r.Header["Authorization"]) == 0 && !crossSite(r) {
			if token, ok := s.mint(&draft{lifetime: lifetime}); ok {
				r = r.Clone(r.Context())
				r.Header.Set("Authorization", "Bearer "+token)
			}
		}
		next.ServeHTTP(w, r)
	})
}

// crossSite reports whether a page that is not on loopback caused r.
func crossSite(r *http.Request) bool {
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		return true
	}
	for _, origin := range r.Header["Origin"] {
		if u, err := url.Parse(origin); err != nil || !loopback(u.Hostname()) {
			return true
		}
	}
	return false
}

// hostname returns a Host header without its port.
func hostname(host string) string { return (&url.URL{Host: host}).Hostname() }

// loopback reports whether host is localhost or a loopback address.
func loopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}
