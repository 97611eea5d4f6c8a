package catalogue

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// ruled are requests to a server whose rules differ by method, path and host, with
// the status for anonymous callers and for an admin. Its clients are trusted proxies.
var ruled = []struct {
	line, host          string
	anonymous, signedIn int
}{
	{"GET /open", "app.example.com", 200, 200},
	{"HEAD /open", "app.example.com", 200, 200},
	{"DELETE /open", "app.example.com", 401, 200},
	{"POST /open", "app.example.com", 401, 403},
	{"OPTIONS /open", "app.example.com", 401, 403},
	{"GET /public/x", "app.example.com", 200, 200},
	{"GET /admin/x", "app.example.com", 401, 200},
	{"OPTIONS /admin/x", "app.example.com", 401, 200},
	{"GET /owners/x", "app.example.com", 401, 403},
	{"GET /hosted", "app.example.com", 401, 200},
	{"GET /hosted", "public.example", 200, 200},
	{"GET /hosted", "owners.example", 401, 403},
	{"GET /elsewhere", "app.example.com", 401, 200},
}

func newRuled(t *testing.T) *site {
	t.Helper()
	r := testkit.NewRig(t, loopback)
	protect, err := r.Auth.Protect(clerkauth.Rules{
		"GET /open": clerkauth.Public, "DELETE /open": clerkauth.SignedIn, "POST /open": clerkauth.Role("org:owner"),
		"/public/{rest...}": clerkauth.Public, "/admin/{rest...}": clerkauth.Role("org:admin"), "/owners/{rest...}": clerkauth.Role("org:owner"),
		"/hosted": clerkauth.SignedIn, "public.example/hosted": clerkauth.Public, "owners.example/hosted": clerkauth.Role("org:owner"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return &site{Rig: r, server: testkit.NewServer(t, protect(http.HandlerFunc(testkit.Hello)))}
}

// rulesHearNothingOf requires the same status with each of the headers, and with all
// of them, as without. A header that begins with a question mark is sent as the
// query.
func rulesHearNothingOf(t *testing.T, headers ...string) {
	t.Helper()
	s := newRuled(t)
	sets := [][]string{nil, headers}
	for _, h := range headers {
		sets = append(sets, []string{h})
	}
	for _, set := range sets {
		query, sent := "", []string(nil)
		for _, h := range set {
			if strings.HasPrefix(h, "?") {
				query = h
			} else {
				sent = append(sent, h)
			}
		}
		for _, c := range ruled {
			for want, token := range map[*int]string{&c.anonymous: "", &c.signedIn: s.Jane.Token()} {
				lines := append([]string{"Host: " + c.host}, sent...)
				if token != "" {
					lines = append(lines, "Authorization: Bearer "+token)
				}
				replies := testkit.Exchange(t, s.server, request(c.line+query, lines...))
				if len(replies) != 1 || replies[0].Status != *want {
					t.Errorf("%s of %s, %q, signed in %v: %v, want %d", c.line, c.host, set, token != "", replies, *want)
				}
			}
		}
	}
}

// rulesReadTheHostOnce: a request whose target has another host than its Host header
// is rejected, whatever the rules for either.
func rulesReadTheHostOnce(t *testing.T) {
	s := newRuled(t)
	for _, c := range ruled {
		for _, inTarget := range []string{"app.example.com", "public.example", "owners.example"} {
			method, path, _ := strings.Cut(c.line, " ")
			r := httptest.NewRequest(method, path, nil)
			r.Host, r.URL.Host, r.URL.Scheme = c.host, inTarget, "http"
			w := httptest.NewRecorder()
			s.server.Config.Handler.ServeHTTP(w, r)
			want := http.StatusBadRequest
			if c.host == inTarget {
				want = c.anonymous
			}
			if w.Code != want {
				t.Errorf("%s of %s, with %s in the target: %d, want %d", c.line, c.host, inTarget, w.Code, want)
			}
		}
	}
}
