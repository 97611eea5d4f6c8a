package testkit

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
)

// Page is a page in a browser, which fetches from a server of another origin without
// cookies, as the Fetch Standard describes it.
type Page struct {
	Origin string
	Server http.Handler
}

// Fetch sends a request and returns what scripts can read of the response. The error is
// why they can read nothing: the preflight was refused, or the response is not for the
// page.
func (p Page) Fetch(method, target string, header map[string]string) (Reply, error) {
	r := httptest.NewRequest(method, target, nil)
	r.Header.Set("Origin", p.Origin)
	r.Header.Set("Sec-Fetch-Mode", "cors")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	var unsafe []string // names that need a preflight
	for name, value := range header {
		r.Header.Set(name, value)
		if lower := strings.ToLower(name); !slices.Contains([]string{"accept", "accept-language", "content-language"}, lower) {
			unsafe = append(unsafe, lower)
		}
	}
	slices.Sort(unsafe)
	simple := slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodPost}, method)
	if len(unsafe) > 0 || !simple {
		if err := p.preflight(method, target, unsafe, simple); err != nil {
			return Reply{}, err
		}
	}
	w := httptest.NewRecorder()
	p.Server.ServeHTTP(w, r)
	if err := p.readable(w.Header()); err != nil {
		return Reply{}, fmt.Errorf("the response (%d): %w", w.Code, err)
	}
	exposed := list(w.Header(), "Access-Control-Expose-Headers")
	reply := Reply{Status: w.Code, Header: make(http.Header), Body: w.Body.String()}
	for name, values := range w.Header() {
		lower := strings.ToLower(name)
		if slices.Contains([]string{"cache-control", "content-language", "content-length", "content-type", "expires", "last-modified", "pragma"}, lower) ||
			slices.Contains(exposed, lower) || slices.Contains(exposed, "*") {
			reply.Header[name] = values
		}
	}
	return reply, nil
}

// preflight returns why the server does not allow the request with that method and with
// headers of these names.
func (p Page) preflight(method, target string, names []string, simple bool) error {
	r := httptest.NewRequest(http.MethodOptions, target, nil)
	r.Header.Set("Origin", p.Origin)
	r.Header.Set("Sec-Fetch-Mode", "cors")
	r.Header.Set("Access-Control-Request-Method", method)
	if len(names) > 0 {
		r.Header.Set("Access-Control-Request-Headers", strings.Join(names, ","))
	}
	w := httptest.NewRecorder()
	p.Server.ServeHTTP(w, r)
	if err := p.readable(w.Header()); err != nil {
		return fmt.Errorf("the preflight (%d): %w", w.Code, err)
	}
	if w.Code < 200 || w.Code > 299 {
		return fmt.Errorf("the preflight: %d", w.Code)
	}
	methods, allowed := list(w.Header(), "Access-Control-Allow-Methods"), list(w.Header(), "Access-Control-Allow-Headers")
	if !simple && !slices.Contains(methods, strings.ToLower(method)) && !slices.Contains(methods, "*") {
		return fmt.Errorf("the preflight: %s is not allowed, only %v", method, methods)
	}
	for _, name := range names {
		star := name != "authorization" && slices.Contains(allowed, "*") // the star does not cover it
		if !star && !slices.Contains(allowed, name) {
			return fmt.Errorf("the preflight: the header %s is not allowed, only %v", name, allowed)
		}
	}
	return nil
}

// readable returns why a response with that header is not for the page.
func (p Page) readable(h http.Header) error {
	if origins := h.Values("Access-Control-Allow-Origin"); len(origins) != 1 || origins[0] != "*" && origins[0] != p.Origin {
		return fmt.Errorf("Access-Control-Allow-Origin is %q", origins)
	}
	return nil
}

// list returns the elements of a header that is a list, in lower case.
func list(h http.Header, name string) []string {
	var all []string
	for _, element := range strings.Split(strings.Join(h.Values(name), ","), ",") {
		if element = strings.ToLower(strings.TrimSpace(element)); element != "" {
			all = append(all, element)
		}
	}
	return all
}
