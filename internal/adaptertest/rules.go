package adaptertest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
)

func impossibleAccessPanicsAtRegistration(t *testing.T, f Framework) {
	a, _ := NewApp(t)
	f.Require(a.Auth, clerkauth.SignedIn) // does not panic
	for name, requirements := range map[string][]clerkauth.Access{
		"nil":              {nil},
		"nil among others": {clerkauth.SignedIn, nil},
		"empty role":       {clerkauth.Role("")},
		"any of none":      {clerkauth.AnyOf()},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("it did not panic")
				}
			}()
			f.Require(a.Auth, requirements...)
		})
	}
}

// pathsAreNotCompared requests guarded routes by paths that programs read differently.
// However the framework's router reads them, the guard runs after it.
func pathsAreNotCompared(t *testing.T, f Framework) {
	a, srv := NewApp(t)
	base := f.Serve(t, a)
	jane := srv.CreateUser("jane@example.com")
	admin := Bearer(srv.SignIn(jane, clerkauthtest.InOrganization("acme", "org:admin")))
	member := Bearer(srv.SignIn(jane, clerkauthtest.InOrganization("acme", "org:member")))
	reached := 0
	for _, path := range []string{"/admin/users", "//admin/users", "/admin//users", "/admin/users/", "/admin/users//", "/ADMIN/users",
		"/x/../admin/users", "/./admin/users", "/admin/./users", "/admin/x/../users", "/%2e%2e/admin/users", "/admin/%2e%2e/admin/users",
		"/%61dmin/users", "/admin%2fusers", "/admin%2Fusers", "/admin%252fusers", "/admin%5cusers", "/admin\\users", "\\admin\\users",
		"/admin/users%00", "/admin/users%20", "/admin/users;a=b", "/admin;/users", "/admin/users?a=/", "/admin/users?a#b", "/admin/%75sers",
		"/admin/users%2f..%2f..%2f", "/admin/..;/admin/users", "/public/..%2fadmin/users", "http://evil.example/admin/users",
		"http://evil.example//admin/users", "/admin/\xc3\xbcsers", "/admin/%c3%28", "/admin/users.json", "/admin/", "/admin", "/admin/%",
		"*", "admin/users", "/dashboard", "//dashboard", "/dashboard/", "/./dashboard", "/%64ashboard", "/dashboard%2f", "/DASHBOARD"} {
		for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS", "CONNECT", "get"} {
			for _, r := range []request{{path: path}, {path: path, header: []string{member}}, {path: path, header: []string{admin}}} {
				r.method = method
				resp, _ := send(t, base, r)
				seen := a.Witness.Take()
				allowed := len(r.header) > 0 && (r.header[0] == admin || strings.Contains(strings.ToLower(path), "ashboard"))
				switch {
				case allowed:
					reached += len(seen)
				case len(seen) > 0:
					t.Errorf("%s %s reached a handler, status %d", method, path, resp.StatusCode)
				}
			}
		}
	}
	if reached < 15 {
		t.Errorf("%d requests with a token reached a handler: too few for this test", reached)
	}
}

func corsLetsPreflightsAloneThrough(t *testing.T, f Framework) {
	a, srv := NewApp(t)
	a.CORS = true
	base := f.Serve(t, a)
	session := srv.SignIn(srv.CreateUser("jane@example.com"), clerkauthtest.InOrganization("acme", "org:admin"))
	const origin, asks = "Origin: " + Origin, "Access-Control-Request-Method: "
	for _, r := range []request{
		{"preflight", "OPTIONS", "/dashboard", []string{origin, asks + "GET", "Access-Control-Request-Headers: authorization"}, 204},
		{"preflight for a group", "OPTIONS", "/admin/users", []string{origin, asks + "GET"}, 204},
		{"preflight for another method", "OPTIONS", "/orgs/acme", []string{origin, asks + "DELETE"}, 204},
		{"no credential", "GET", "/dashboard", []string{origin}, 401},
		{"no credential, GET with the headers of a preflight", "GET", "/dashboard", []string{origin, asks + "GET"}, 401},
		{"no credential, page in a browser", "GET", "/dashboard", []string{origin, "Accept: text/html"}, 303},
		{"signed in", "GET", "/dashboard", []string{origin, Bearer(session)}, 200},
	} {
		resp, _ := send(t, base, r)
		if seen := len(a.Witness.Take()); resp.StatusCode != r.status || (seen > 0) != (r.status == 200) {
			t.Errorf("%s: status %d, handlers reached: %d", r.rule, resp.StatusCode, seen)
		}
		if got := resp.Header.Get("Access-Control-Allow-Origin"); got != Origin {
			t.Errorf("%s: Access-Control-Allow-Origin = %q", r.rule, got)
		}
		vary := strings.Join(resp.Header["Vary"], ", ")
		if !strings.Contains(vary, "Origin") || r.method != "OPTIONS" && !strings.Contains(vary, "Authorization") {
			t.Errorf("%s: Vary = %q", r.rule, vary)
		}
	}
}

func panicsAreTheFrameworks(t *testing.T, f Framework) {
	a, srv := NewApp(t)
	base := f.Serve(t, a)
	token := Bearer(srv.SignIn(srv.CreateUser("jane@example.com")))
	for _, r := range []request{
		{"refused before the handler panics", "GET", "/panic", nil, 401},
		{"panic behind the guard", "GET", "/panic", []string{token}, 500},
		{"request after a panic", "GET", "/dashboard", []string{token}, 200},
	} {
		if resp, _ := send(t, base, r); resp.StatusCode != r.status {
			t.Errorf("%s: status %d", r.rule, resp.StatusCode)
		}
	}
}

// callersAreNotMixedUp sends requests of many callers at the same time, over shared
// connections, and checks the contexts of handlers again after they have returned.
func callersAreNotMixedUp(t *testing.T, f Framework) {
	a, srv := NewApp(t)
	base := f.Serve(t, a)
	const callers, times = 24, 25
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4, MaxConnsPerHost: 4}}
	defer client.CloseIdleConnections()
	var group sync.WaitGroup
	for i := range callers {
		slug := fmt.Sprintf("org-%d", i)
		user := srv.CreateUser(slug + "@example.com")
		session := srv.SignIn(user, clerkauthtest.InOrganization(slug, "org:member"))
		token := session.Token()
		group.Go(func() {
			for range times {
				req, err := http.NewRequest("GET", base+"/orgs/"+slug+"/x", nil)
				if err != nil {
					t.Error(err)
					return
				}
				req.Header.Set("Authorization", "Bearer "+token)
				resp, err := client.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if want := fmt.Sprintf("session_token user=%s org=%s slug=%s err=<nil>", user.ID, slug, slug); err != nil || string(body) != want {
					t.Errorf("%s: body %q, %v instead of %q", slug, body, err, want)
				}
			}
		})
	}
	group.Wait()
	seen := a.Witness.Take()
	if len(seen) != callers*times {
		t.Errorf("%d calls of handlers", len(seen))
	}
	count := make(map[string]int)
	for _, s := range seen {
		who := clerkauth.FromContext(s.Ctx)
		count[who.UserID]++
		if who.UserID != s.User || who.SessionID == "" || !strings.HasPrefix(who.OrgSlug, "org-") {
			t.Errorf("after the handler returned, %s is %s in %q", s.User, who.UserID, who.OrgSlug)
		}
	}
	if len(count) != callers {
		t.Errorf("%d callers: %v", len(count), count)
	}
}
