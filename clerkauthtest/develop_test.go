package clerkauthtest_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// developed serves the caller's user id to a signed-in user, and returns that user's
// session, and a function that makes a request and returns status and body.
func developed(t *testing.T) (*clerkauthtest.Session, func(edits ...func(*http.Request)) (int, string)) {
	t.Helper()
	srv := clerkauthtest.NewServer(t)
	auth := testkit.NewAuth(t, srv)
	session := signIn(srv)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = session.Serve(listener, auth.Require().Func(testkit.Hello))
	}()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return session, func(edits ...func(*http.Request)) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String()+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, edit := range edits {
			edit(r)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
}

func TestDevelopment(t *testing.T) {
	session, get := developed(t)
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	host := func(host string) func(*http.Request) { return func(r *http.Request) { r.Host = host } }
	for name, c := range map[string]struct {
		edit func(*http.Request)
		want int
	}{
		"a request":                     {func(*http.Request) {}, 200},
		"localhost":                     {host("localhost:8080"), 200},
		"IPv6":                          {host("[::1]:8080"), 200},
		"a page of ours":                {header("Origin", "http://localhost:5173"), 200},
		"a credential of another kind":  {header("Authorization", "cron"), 401},
		"a rebound name":                {host("evil.example"), 421},
		"a rebound name with our port":  {host("localhost.evil.example:8080"), 421},
		"a page of another site":        {header("Origin", "https://evil.example"), 401},
		"a page without an origin":      {header("Origin", "null"), 401},
		"an image on a page":            {header("Sec-Fetch-Site", "cross-site"), 401},
		"a link on a page of this site": {header("Sec-Fetch-Site", "same-origin"), 200},
		"another port is the same site": {header("Sec-Fetch-Site", "same-site"), 200},
		"a name that begins like one":   {header("Origin", "http://127.0.0.1.evil.example"), 401},
	} {
		status, body := get(c.edit)
		if status != c.want || (status == 200) != strings.Contains(body, session.User.ID) {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	session.SignOut()
	if status, _ := get(); status != 401 {
		t.Errorf("signed out: %d", status)
	}
}

func TestDevelopmentIsOnLoopbackAlone(t *testing.T) {
	session := signIn(clerkauthtest.NewServer(t, clerkauthtest.InMemory()))
	for _, addr := range []string{":0", "0.0.0.0:0", "[::]:0", "example.com:0", "192.0.2.1:0", "localhost.example.com:0", "LOCALHOST.:0", "localhost", ""} {
		if err := session.ListenAndServe(addr, http.NotFoundHandler()); err == nil || !strings.HasPrefix(err.Error(), "clerkauthtest: ") {
			t.Errorf("%q: %v", addr, err)
		}
	}
	everywhere, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Serve(everywhere, http.NotFoundHandler()); err == nil || !strings.Contains(err.Error(), "not a loopback address") {
		t.Error(err)
	}
	if _, err := everywhere.Accept(); err == nil {
		t.Error("the listener is open")
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if err := session.ListenAndServe(taken.Addr().String(), http.NotFoundHandler()); err == nil || strings.Contains(err.Error(), "loopback") {
		t.Errorf("a loopback address that is taken: %v", err) // the control: it was tried
	}
}

func TestAuth(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	auth := testkit.NewAuth(t, srv)
	session := signIn(srv, clerkauthtest.InOrganization("acme", "org:admin", "org:invoices:create"), clerkauthtest.FactorAges(3, -1),
		clerkauthtest.Claims(map[string]any{"metadata": map[string]any{"role": "admin"}, "aud": "api"}), clerkauthtest.Claims(struct {
			Team string `json:"team"`
		}{"red"}))
	for name, who := range map[string]clerkauth.Auth{"version 2": session.Auth(auth), "version 1": session.Auth(auth, clerkauthtest.Version1())} {
		if !who.SignedIn() || who.UserID != session.User.ID || !who.Has(clerkauth.Role("admin"), clerkauth.Permission("org:invoices:create"),
			clerkauth.Claim("metadata.role", "admin"), clerkauth.Claim("team", "red"), clerkauth.ReverifiedStrict) {
			t.Errorf("%s: %v lacks something", name, who)
		}
		if who.Has(clerkauth.Claim("metadata.role", "member")) {
			t.Errorf("%s: another role is met", name)
		}
		if got := clerkauth.FromContext(clerkauth.NewContext(t.Context(), who)); !got.Has(clerkauth.Claim("team", "red")) {
			t.Errorf("%s: the context has lost claims", name)
		}
	}
	if claims := claimsOf(t, srv, session.TemplateToken("x", nil)); claims["team"] != nil {
		t.Error("a template's token has the session's claims")
	}
	pending := signIn(srv, clerkauthtest.Pending())
	testkit.MustPanic(t, "a pending session", func() { pending.Auth(auth) })
	testkit.MustPanic(t, "another instance", func() {
		session.Auth(testkit.NewAuth(t, clerkauthtest.NewServer(t, clerkauthtest.InMemory())))
	})
	for _, claims := range []any{map[string]any{"sub": "user_1"}, map[string]any{"org_role": "admin"}, []string{"x"}, nil, "x"} {
		testkit.MustPanic(t, testkit.JSON(claims), func() { clerkauthtest.Claims(claims) })
	}
}
