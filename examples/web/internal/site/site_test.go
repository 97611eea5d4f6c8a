package site_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/examples/web/internal/site"
)

const origin = "http://localhost:8080"

// world is the site, with the configuration that its README shows.
type world struct {
	clerk      *clerkauthtest.Server
	jane, john *clerkauthtest.Session
	site       http.Handler
}

func newWorld(t *testing.T) *world {
	t.Helper()
	clerk := clerkauthtest.NewServer(t, clerkauthtest.Origin(origin), clerkauthtest.InMemory())
	for name, value := range map[string]string{
		"CLERK_PUBLISHABLE_KEY": clerk.PublishableKey(), "CLERK_SECRET_KEY": clerk.SecretKey(), "CLERK_AUTHORIZED_PARTIES": origin,
		"CLERK_API_URL": "", "CLERK_PROXY_URL": "", "CLERK_SIGN_IN_URL": "", "CLERK_SIGN_UP_URL": "", "CLERK_JWT_KEY": "",
	} {
		t.Setenv(name, value)
	}
	config := clerkauth.FromEnv()
	config.Transport, config.Now = clerk.Transport(), clerk.Now // where api.clerk.com would be
	config.BackendURL = clerk.URL
	site.Configure(&config)
	auth, err := clerkauth.New(config)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{clerk: clerk}
	if w.site, err = site.New(auth, nil); err != nil {
		t.Fatal(err)
	}
	jane, john := clerk.CreateUser("jane@example.com", clerkauthtest.Name("Jane", "Doe")), clerk.CreateUser("john@example.com")
	w.jane = clerk.SignIn(jane, clerkauthtest.InOrganization("acme", "org:admin"))
	w.john = clerk.SignIn(john, clerkauthtest.InOrganization("acme", "org:member"))
	return w
}

// send sends a request as a browser does that goes to a page, or that sends a form if
// there is one.
func (w *world) send(who *clerkauthtest.Session, path string, form url.Values, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, origin+path, nil)
	if form != nil {
		r = httptest.NewRequest(http.MethodPost, origin+path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", origin)
	}
	r.Header.Set("Sec-Fetch-Dest", "document")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if who != nil {
		who.SetCookies(r, clerkauthtest.WithoutParty()) // as a handshake leaves them
	}
	for _, f := range change {
		f(r)
	}
	recorder := httptest.NewRecorder()
	w.site.ServeHTTP(recorder, r)
	return recorder
}

func TestPages(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		name   string
		who    *clerkauthtest.Session
		path   string
		status int
		text   string
	}{
		{"the home page is public", w.jane, "/", 200, "Go to your notes"},
		{"the dashboard names its user", w.jane, "/dashboard", 200, "Jane Doe"},
		{"and her organizations", w.jane, "/dashboard", 200, `href="/orgs/acme/"`},
		{"a member sees the organization", w.john, "/orgs/acme/", 200, "org:member"},
		{"but not its settings", w.john, "/orgs/acme/settings", 403, "admins"},
		{"which an admin sees", w.jane, "/orgs/acme/settings", 200, "Only admins"},
		{"the session of a page that stays open", w.jane, "/session", 204, ""},
		{"files are public", nil, "/static/session.js", 200, "visibilitychange"},
		{"there is no htmx", nil, "/static/htmx.js", 404, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := w.send(c.who, c.path, nil)
			if got.Code != c.status || !strings.Contains(got.Body.String(), c.text) {
				t.Errorf("%d\n%s", got.Code, got.Body)
			}
		})
	}
}

// TestNotes: a form adds a note, which its owner sees and nobody else.
func TestNotes(t *testing.T) {
	w := newWorld(t)
	if got := w.send(w.jane, "/notes", url.Values{"text": {"buy <milk>"}}); got.Code != 303 || got.Header().Get("Location") != "/dashboard" {
		t.Fatalf("%d %v", got.Code, got.Header())
	}
	if got := w.send(w.jane, "/orgs/acme/notes", url.Values{"text": {"meet"}}); got.Code != 303 || got.Header().Get("Location") != "/orgs/acme/" {
		t.Fatalf("%d %v", got.Code, got.Header())
	}
	for _, c := range []struct {
		who         *clerkauthtest.Session
		path        string
		milk, meets bool
	}{
		{w.jane, "/dashboard", true, false},
		{w.john, "/dashboard", false, false},
		{w.jane, "/orgs/acme/", false, true},
		{w.john, "/orgs/acme/", false, true},
	} {
		body := w.send(c.who, c.path, nil).Body.String()
		if strings.Contains(body, "buy &lt;milk&gt;") != c.milk || strings.Contains(body, "<p>meet</p>") != c.meets {
			t.Errorf("%s\n%s", c.path, body)
		}
	}
	for range 30 {
		w.send(w.jane, "/notes", url.Values{"text": {strings.Repeat("ä", 400)}})
	}
	if body := w.send(w.jane, "/dashboard", nil).Body.String(); strings.Count(body, "<li><p>") != 20 || strings.Contains(body, "�") {
		t.Errorf("%s", body)
	}
}

func hx(r *http.Request) {
	r.Header.Set("Hx-Request", "true")
	r.Header.Set("Sec-Fetch-Dest", "empty")
}

// TestFragments: htmx gets the list alone, and is sent to sign in.
func TestFragments(t *testing.T) {
	w := newWorld(t)
	got := w.send(w.jane, "/notes", url.Values{"text": {"milk"}}, hx)
	if got.Code != 200 || !strings.HasPrefix(got.Body.String(), "<section") || !strings.Contains(got.Body.String(), "milk") {
		t.Errorf("%d\n%s", got.Code, got.Body)
	}
	if got := w.send(w.jane, "/notes", nil); got.Code != 303 {
		t.Errorf("%d", got.Code)
	}
	if got := w.send(nil, "/notes", nil, hx); got.Code != 401 || !strings.Contains(got.Header().Get("Hx-Redirect"), "/sign-in?redirect_url=") {
		t.Errorf("%d %v", got.Code, got.Header())
	}
}

// TestExpiredForm: what was entered is not lost.
func TestExpiredForm(t *testing.T) {
	w := newWorld(t)
	for path, page := range map[string]string{"/notes": "/dashboard", "/orgs/acme/notes": "/orgs/acme/"} {
		got := w.send(w.jane, path, url.Values{"text": {"a long thought"}}, w.expire(w.jane))
		if body := got.Body.String(); got.Code != 401 || !strings.Contains(body, `method="get" action="`+page+`"`) || !strings.Contains(body, "a long thought") {
			t.Errorf("%d\n%s", got.Code, body)
		}
	}
	if body := w.send(w.jane, "/dashboard?text=a+long+thought", nil).Body.String(); !strings.Contains(body, ">a long thought</textarea>") {
		t.Error(body)
	}
}

// expire gives the request the cookies of an expired session.
func (w *world) expire(who *clerkauthtest.Session) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Del("Cookie")
		who.SetCookies(r)
		w.clerk.Advance(2 * time.Minute)
	}
}

// TestExpiredSession: it is renewed by itself, for the organization in the path, and a
// script is told when it has ended.
func TestExpiredSession(t *testing.T) {
	w := newWorld(t)
	w.clerk.CreateOrganization("birch").AddMember(w.jane.User, "org:member")
	script := func(r *http.Request) { r.Header.Set("Sec-Fetch-Dest", "empty") }
	if got := w.send(w.jane, "/session", nil, w.expire(w.jane), script); got.Code != 204 || len(got.Header()["Set-Cookie"]) == 0 {
		t.Errorf("%d %v", got.Code, got.Header())
	}
	if got := w.send(w.jane, "/orgs/acme/", nil, w.expire(w.jane)); got.Code != 200 {
		t.Errorf("%d %v", got.Code, got.Header())
	}
	got := w.send(w.jane, "/orgs/birch/", nil, w.expire(w.jane))
	if to := got.Header().Get("Location"); got.Code != 307 || !strings.Contains(to, "organization_id=birch") || !strings.Contains(to, "active-organization-mismatch") {
		t.Errorf("%d %v", got.Code, got.Header())
	}
	cookies := w.expire(w.jane)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	cookies(r)
	w.jane.SignOut()
	got = w.send(nil, "/session", nil, script, func(again *http.Request) { again.Header["Cookie"] = r.Header["Cookie"] })
	if got.Code != 401 {
		t.Errorf("%d %v", got.Code, got.Header())
	}
}

// TestFormsOfOtherSites are refused, and show nothing of what they brought.
func TestFormsOfOtherSites(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/notes", "/orgs/acme/notes", "/sign-out"} {
		got := w.send(w.jane, path, url.Values{"text": {"planted"}}, func(r *http.Request) {
			r.Header.Set("Origin", "https://evil.example")
			r.Header.Set("Sec-Fetch-Site", "cross-site")
		})
		if got.Code != 403 || strings.Contains(got.Body.String(), "planted") || len(got.Header()["Set-Cookie"]) > 0 {
			t.Errorf("%s: %d %v\n%s", path, got.Code, got.Header(), got.Body)
		}
	}
}

func TestSignOut(t *testing.T) {
	w := newWorld(t)
	got := w.send(w.jane, "/sign-out", url.Values{})
	if got.Code != 303 || got.Header().Get("Location") != "/" || !strings.Contains(strings.Join(got.Header()["Set-Cookie"], "\n"), "__session=; ") {
		t.Errorf("%d %v", got.Code, got.Header())
	}
}
