package clerkauth

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/clerkauth/clerkauth/internal/route"
)

// ServeMux is an [http.ServeMux] on which no route can be registered without an
// [Access]. It authenticates by itself, and is safe for concurrent use. The zero value
// is not usable: [Authenticator.NewServeMux] returns one.
type ServeMux struct {
	auth *Authenticator
	mux  *http.ServeMux

	mu      sync.RWMutex
	routes  []muxRoute
	guarded route.Prefixes[kinds]
	below   map[kinds]*policy // for what http.ServeMux answers below them
	hosts   map[string]bool   // that routes name, and whether one of them is guarded
}

// muxRoute is a line of the access table.
type muxRoute struct{ method, pattern, access, handler string }

// muxHandler is the type of every handler that was registered with us, which
// tells it from those that http.ServeMux makes up for redirects and errors.
type muxHandler struct{ http.Handler }

// NewServeMux returns an empty ServeMux. It needs no [Authenticator.Handler] around it.
func (a *Authenticator) NewServeMux() *ServeMux {
	return &ServeMux{auth: a, mux: http.NewServeMux(), below: belowPolicies(), hosts: map[string]bool{}}
}

// Handle registers h for pattern, to be reached by callers who meet access. It
// panics where [http.ServeMux.Handle] does, and on an access that is nil or that
// no caller could ever meet, as with an [OrganizationParam] that is not in pattern: what
// [http.Request.SetPathValue] set before the mux does not count. It also panics on a
// host that [http.ServeMux] never finds in a request, such as one with a port.
func (m *ServeMux) Handle(pattern string, access Access, h http.Handler) {
	if f, ok := h.(http.HandlerFunc); h == nil || ok && f == nil {
		panic("clerkauth: ServeMux: handler is nil")
	}
	p := policyOf(access)
	if missing := p.missingParam(pattern); missing != "" {
		panic(fmt.Sprintf("clerkauth: ServeMux: %q: %s: there is no {%s} in the pattern, so no caller could ever meet it", pattern, access, missing))
	}
	guard := m.auth.guard(fmt.Sprintf("ServeMux: %q", pattern), p)
	m.mu.Lock()
	defer m.mu.Unlock()
	method, rest := "", pattern
	if i := strings.IndexAny(pattern, " \t"); i >= 0 {
		method, rest = pattern[:i], strings.TrimLeft(pattern[i:], " \t")
	}
	host, _, _ := strings.Cut(rest, "/")
	if err := route.CheckMuxHost(host); err != nil && strings.Contains(rest, "/") {
		panic(fmt.Sprintf("clerkauth: ServeMux: %q: %v", pattern, err))
	}
	m.mux.Handle(pattern, muxHandler{guard(h)})
	if host != "" {
		m.hosts[host] = m.hosts[host] || !p.open
	}
	m.routes = append(m.routes, muxRoute{method, rest, p.String(), nameOf(h)})
	if !p.open {
		m.guarded.Add(rest, p.named())
	}
}

// HandleFunc registers a function as Handle does a handler.
func (m *ServeMux) HandleFunc(pattern string, access Access, h func(http.ResponseWriter, *http.Request)) {
	m.Handle(pattern, access, http.HandlerFunc(h))
}

// ServeHTTP serves r by the route that [http.ServeMux] finds for it. Its own answers,
// redirects, 404 and 405, reveal nothing about guarded routes to anonymous callers: below
// the prefix of one they get the guard's answer. Requests are refused with 400 for CONNECT, for a URL that names another
// host than their Host, and, where patterns name hosts, for a Host that is none or
// that is a guarded one in a spelling that http.ServeMux does not compare.
func (m *ServeMux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := m.checkHost(r); err != nil {
		if m.auth.core.hide && route.CheckMuxRequest(r.Host, r.URL, nil) == nil {
			// It is refused for what patterns name, and would tell of it.
			m.auth.hide(w, r)
			return
		}
		m.auth.core.refuse(w, r, &State{}, newError(ErrRequestTarget, err), Public.policy())
		return
	}
	h, pattern := m.mux.Handler(r)
	if _, ours := h.(muxHandler); ours && !(m.auth.core.hide && r.Method == http.MethodConnect) {
		m.mux.ServeHTTP(w, r)
		return
	}
	kinds, below := m.belowGuarded(r)
	if m.auth.core.hide && (r.Method == http.MethodConnect || below || pattern == "" && isNowhere(h)) {
		// What is not there must look like what is hidden, to everybody.
		m.auth.hide(w, r)
		return
	}
	if r.Method != http.MethodConnect && !below {
		m.mux.ServeHTTP(w, r)
		return
	}
	m.auth.pass(w, r, m.below[kinds], m.mux)
}

// isNowhere reports whether h, which [http.ServeMux] made up where it found no pattern,
// is for a path that no pattern has: its not-found answer, or a redirect to the clean
// form of such a path. What is left is its 405.
func isNowhere(h http.Handler) bool {
	f, ok := h.(http.HandlerFunc)
	return !ok || reflect.ValueOf(f).Pointer() == reflect.ValueOf(http.NotFound).Pointer()
}

func (m *ServeMux) checkHost(r *http.Request) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return route.CheckMuxRequest(r.Host, r.URL, m.hosts)
}

// belowGuarded reports whether r, in any way that its path can be read, is for
// something below the prefix of a guarded route, and which kinds of machines such
// routes name.
func (m *ServeMux) belowGuarded(r *http.Request) (all kinds, below bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.guarded.Below(r.URL)
}

// belowPolicies are the policies below the prefixes of guarded routes, by the kinds of
// machines that those require: for signed-in users, and for machines of these kinds.
func belowPolicies() map[kinds]*policy {
	policies := make(map[kinds]*policy)
	for of := range everyone + 1 {
		if of&^machines != 0 {
			continue
		}
		ways := []Access{SignedIn}
		for _, name := range []TokenType{APIKey, M2MToken, OAuthToken} {
			if of.has(tokenTypes[name]) {
				ways = append(ways, Token(name))
			}
		}
		policies[of] = compose(opAny, ways)
	}
	return policies
}

// WriteTable writes who may call what: method, pattern, access and handler, a
// line a route, sorted by pattern and method. It is the same for the same routes,
// whatever the order in which they were registered, for review and for golden
// tests.
func (m *ServeMux) WriteTable(w io.Writer) error {
	m.mu.RLock()
	routes := slices.Clone(m.routes)
	m.mu.RUnlock()
	slices.SortFunc(routes, func(a, b muxRoute) int {
		return cmp.Or(strings.Compare(a.pattern, b.pattern), strings.Compare(a.method, b.method))
	})
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "METHOD\tPATTERN\tACCESS\tHANDLER")
	for _, r := range routes {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", cmp.Or(r.method, "*"), r.pattern, r.access, r.handler)
	}
	return table.Flush()
}

// nameOf returns the name of a handler's function or type.
func nameOf(h http.Handler) string {
	if v := reflect.ValueOf(h); v.Kind() == reflect.Func {
		if f := runtime.FuncForPC(v.Pointer()); f != nil {
			name := f.Name()
			return name[strings.LastIndexByte(name, '/')+1:]
		}
	}
	return fmt.Sprintf("%T", h)
}
