package clerkauthtest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth/clerkauthtest"
)

// application is a server-rendered application of the instance, which does of Clerk's
// protocol what these tests need: it performs handshakes and shows the session that the
// browser brings.
type application struct {
	srv        *clerkauthtest.Server
	base       string
	production bool
	satellite  string // "" or the host of the satellite's Frontend API
	handshakes int
}

func (a *application) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	cookie := func(name string) string {
		c, err := r.Cookie(name)
		if err != nil {
			return ""
		}
		return c.Value
	}
	q := r.URL.Query()
	uat, session := cookie("__client_uat"), cookie("__session")
	nonce := q.Get("__clerk_handshake_nonce") + cookie("__clerk_handshake_nonce")
	switch {
	case nonce != "":
		session = a.resolve(w, nonce)
		if !a.production {
			q.Del("__clerk_handshake_nonce")
			q.Del("__clerk_db_jwt")
			http.Redirect(w, r, r.URL.Path+"?"+q.Encode(), http.StatusTemporaryRedirect)
			return
		}
	case q.Get("__clerk_synced") == "false",
		!a.production && (q.Has("__clerk_db_jwt") || cookie("__clerk_db_jwt") == ""),
		(uat != "" && uat != "0") != (session != ""):
		a.handshake(w, r, q.Get("__clerk_db_jwt"))
		return
	}
	fmt.Fprint(w, "session ", session)
}

// handshake redirects to the Frontend API.
func (a *application) handshake(w http.ResponseWriter, r *http.Request, devBrowser string) {
	a.handshakes++
	q := r.URL.Query()
	q.Del("__clerk_db_jwt")
	here := *r.URL
	here.RawQuery = q.Encode()
	base := a.srv.URL
	if a.satellite != "" {
		base = "https://" + a.satellite
	}
	http.Redirect(w, r, base+"/v1/client/handshake?"+url.Values{
		"redirect_url": {a.base + here.String()}, "format": {"nonce"}, "__clerk_db_jwt": {devBrowser},
	}.Encode(), http.StatusTemporaryRedirect)
}

// resolve passes the directives of a handshake on, and returns the session token.
func (a *application) resolve(w http.ResponseWriter, nonce string) (session string) {
	req, _ := http.NewRequest(http.MethodGet, a.srv.URL+"/v1/clients/handshake_payload?nonce="+nonce, nil)
	req.Header.Set("Authorization", "Bearer "+a.srv.SecretKey())
	resp, err := a.srv.Transport().RoundTrip(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	var payload struct{ Directives []string }
	_ = json.NewDecoder(resp.Body).Decode(&payload)
	for _, line := range payload.Directives {
		w.Header().Add("Set-Cookie", line)
		if rest, ok := strings.CutPrefix(line, "__session="); ok {
			session, _, _ = strings.Cut(rest, ";")
		}
	}
	return session
}

// routes is a transport to applications, by their host, and to the instance otherwise.
type routes struct {
	srv          *clerkauthtest.Server
	applications map[string]http.Handler
}

func (t routes) RoundTrip(r *http.Request) (*http.Response, error) {
	if h := t.applications[r.URL.Host]; h != nil {
		w := httptest.NewRecorder()
		in := httptest.NewRequest(r.Method, r.URL.RequestURI(), r.Body)
		in.Header = r.Header
		h.ServeHTTP(w, in)
		resp := w.Result()
		resp.Request = r
		return resp, nil
	}
	return t.srv.Transport().RoundTrip(r)
}

// person is a browser with somebody in front of it.
type person struct {
	t    *testing.T
	http *http.Client
	hops int // redirects of the last request
}

func newPerson(t *testing.T, srv *clerkauthtest.Server, applications ...*application) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	handlers := map[string]http.Handler{}
	for _, a := range applications {
		_, host, _ := strings.Cut(a.base, "://")
		handlers[host] = a
	}
	p := &person{t: t}
	p.http = &http.Client{Jar: jar, Transport: routes{srv, handlers}, CheckRedirect: p.follow}
	return p
}

// follow counts redirects, and ends loops.
func (p *person) follow(_ *http.Request, via []*http.Request) error {
	p.hops = len(via)
	if len(via) > 8 {
		return fmt.Errorf("%d redirects", len(via))
	}
	return nil
}

// seen is a page that somebody sees.
type seen struct {
	status int
	url    *url.URL
	body   string
	header http.Header
}

func (p *person) see(resp *http.Response, err error) seen {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return seen{resp.StatusCode, resp.Request.URL, string(body), resp.Header}
}

func (p *person) get(url string) seen {
	p.t.Helper()
	p.hops = 0
	return p.see(p.http.Get(url))
}

var (
	hidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
	action = regexp.MustCompile(`<form method="(get|post)" action="([^"]*)">`)
)

// fill sends the first form of a page with that action, with its hidden fields and values.
func (p *person) fill(on seen, path string, values ...string) seen {
	p.t.Helper()
	for _, at := range action.FindAllStringSubmatchIndex(on.body, -1) {
		method, target := on.body[at[2]:at[3]], on.body[at[4]:at[5]]
		if target != path {
			continue
		}
		form, _, _ := strings.Cut(on.body[at[1]:], "</form>")
		fields := url.Values{}
		for _, m := range hidden.FindAllStringSubmatch(form, -1) {
			fields.Set(unescape(m[1]), unescape(m[2]))
		}
		for i := 0; i < len(values); i += 2 {
			fields.Set(values[i], values[i+1])
		}
		to := on.url.ResolveReference(&url.URL{Path: target})
		p.hops = 0
		if method == "get" {
			to.RawQuery = fields.Encode()
			return p.see(p.http.Get(to.String()))
		}
		return p.see(p.http.PostForm(to.String(), fields))
	}
	p.t.Fatalf("no form for %s on %s", path, on.body)
	return seen{}
}

// signIn signs in on a page.
func (p *person) signIn(on seen, identifier string) seen {
	p.t.Helper()
	return p.fill(p.fill(on, "/sign-in", "identifier", identifier), "/sign-in", "code", "424242")
}

var unescape = strings.NewReplacer("&amp;", "&", "&#43;", "+", "&#34;", `"`, "&#39;", "'", "&lt;", "<", "&gt;", ">").Replace

// style is an instance with its application.
type style struct {
	name       string
	opts       []clerkauthtest.Option
	base       string
	production bool
}

func styles() []style {
	return []style{
		{"development", []clerkauthtest.Option{clerkauthtest.Origin("http://localhost:8080")}, "http://localhost:8080", false},
		{"development, in memory", []clerkauthtest.Option{clerkauthtest.InMemory()}, "https://app.example.com", false},
		{"production", live(), "https://app.example.com", true},
	}
}

func (s style) start(t *testing.T, opts ...clerkauthtest.Option) (*clerkauthtest.Server, *application, *person) {
	t.Helper()
	srv := clerkauthtest.NewServer(t, append(s.opts, opts...)...)
	app := &application{srv: srv, base: s.base, production: s.production}
	return srv, app, newPerson(t, srv, app)
}

// sessionOf returns the claims of the session that the application showed, or nil.
func sessionOf(t *testing.T, srv *clerkauthtest.Server, on seen) map[string]any {
	t.Helper()
	token, ok := strings.CutPrefix(on.body, "session ")
	if !ok {
		t.Fatalf("%s: %s", on.url, on.body)
	}
	if token == "" {
		return nil
	}
	return claimsOf(t, srv, token)
}

func TestSignInPage(t *testing.T) {
	for _, c := range styles() {
		t.Run(c.name, func(t *testing.T) {
			srv, app, jane := c.start(t)
			user := srv.CreateUser("Jane+clerk_test@example.com", clerkauthtest.Name("Jane", "Doe"))
			back := c.base + "/dashboard?tab=1"
			if got := sessionOf(t, srv, jane.get(back)); got != nil {
				t.Fatalf("at first: %v", got)
			}
			first := jane.get(srv.SignInURL() + "?redirect_url=" + url.QueryEscape(back))
			if first.status != 200 || !strings.Contains(first.body, "local stand-in for Clerk") || !strings.Contains(first.body, "no mail") {
				t.Fatalf("%d %s", first.status, first.body)
			}
			second := jane.fill(first, "/sign-in", "identifier", "jane+CLERK_test@example.com ")
			if second.status != 422 {
				t.Errorf("an address that is not for tests: %d", second.status)
			}
			second = jane.fill(first, "/sign-in", "identifier", " JANE+clerk_test@example.com ")
			if wrong := jane.fill(second, "/sign-in", "code", "123456"); wrong.status != 422 || !strings.Contains(wrong.body, "not the code") || wrong.url.Path != "/sign-in" {
				t.Errorf("a wrong code: %d %s", wrong.status, wrong.url)
			}
			if got := sessionOf(t, srv, jane.get(back)); got != nil {
				t.Fatalf("after a wrong code: %v", got)
			}
			before := app.handshakes
			in := jane.fill(second, "/sign-in", "code", "424242")
			if in.url.String() != back || jane.hops > 4 {
				t.Errorf("back at %s after %d redirects", in.url, jane.hops)
			}
			claims := sessionOf(t, srv, in)
			if claims["sub"] != user.ID || claims["azp"] != nil || app.handshakes != before+1 {
				t.Errorf("%v after %d handshakes", claims, app.handshakes-before)
			}
			if again := jane.get(back); jane.hops != 0 || sessionOf(t, srv, again)["sub"] != user.ID {
				t.Errorf("then: %d redirects, %s", jane.hops, again.body)
			}

			account := jane.get(srv.SignInURL() + "?redirect_url=" + url.QueryEscape(back))
			if !strings.Contains(account.body, "signed in as Jane Doe") {
				t.Errorf("signed in: %s", account.body)
			}
			out := jane.fill(account, "/sign-out")
			if out.url.String() != back || sessionOf(t, srv, out) != nil {
				t.Errorf("signed out: %s %s", out.url, out.body)
			}
			if got := sessionOf(t, srv, jane.get(back)); got != nil {
				t.Errorf("later: %v", got)
			}
			resp := call(t, srv, http.MethodGet, fmt.Sprint("/v1/sessions/", claims["sid"]), "")
			if !strings.Contains(resp.body, `"status":"ended"`) {
				t.Error(resp.body)
			}
			if again := sessionOf(t, srv, jane.signIn(jane.get(srv.SignInURL()+"?redirect_url="+url.QueryEscape(back)), user.Email)); again["sub"] != user.ID || again["sid"] == claims["sid"] {
				t.Errorf("a second time: %v", again)
			}
		})
	}
}

func TestSignUpPage(t *testing.T) {
	for _, c := range styles() {
		t.Run(c.name, func(t *testing.T) {
			srv, _, ann := c.start(t)
			first := ann.get(srv.SignUpURL() + "?redirect_url=" + url.QueryEscape(c.base+"/"))
			second := ann.fill(first, "/sign-up", "identifier", "+1 (555) 555-0142", "first_name", "Ann", "last_name", "Li")
			if wrong := ann.fill(second, "/sign-up", "code", ""); wrong.status != 422 {
				t.Errorf("no code: %d", wrong.status)
			}
			in := ann.fill(second, "/sign-up", "code", "424242")
			id, _ := sessionOf(t, srv, in)["sub"].(string)
			resp := call(t, srv, http.MethodGet, "/v1/users/"+id, "")
			for _, want := range []string{`"first_name":"Ann"`, `"last_name":"Li"`, `"phone_number":"+15555550142"`, `"email_addresses":[]`} {
				if !strings.Contains(resp.body, want) {
					t.Errorf("no %s in %s", want, resp.body)
				}
			}
			bob := newPerson(t, srv)
			if again := bob.fill(bob.get(srv.SignUpURL()), "/sign-up", "identifier", "+15555550142"); again.status != 422 || !strings.Contains(again.body, "Sign in instead") {
				t.Errorf("a number that is taken: %d", again.status)
			}
			if again := bob.fill(second, "/sign-up", "code", "424242"); again.status != 422 {
				t.Errorf("the code for it: %d", again.status)
			}
		})
	}
}

func TestIdentifiersOfPages(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	srv.CreateUser("jane@example.com")
	srv.CreateUser("jo+clerk_test@example.com", clerkauthtest.PhoneNumber("+12125550199"))
	srv.CreateUser("banned+clerk_test@example.com").Ban()
	p := newPerson(t, srv)
	for identifier, status := range map[string]int{
		"jo+clerk_test@example.com": 200, "+12125550199": 200, "+1 (212) 555-0199": 200, "jo+clerk_test_2@example.com": 422,
		"jane@example.com": 422, "+12125550200": 422, "+442125550199": 422, "+clerk_test": 422, "a+clerk_test@": 422,
		"nobody+clerk_test@example.com": 422, "banned+clerk_test@example.com": 422, "jo@clerk_test+example.com": 422, "<+clerk_test@example.com": 422,
		strings.Repeat("a", 300) + "+clerk_test@example.com": 422,
	} {
		if got := p.get(srv.SignInURL() + "?identifier=" + url.QueryEscape(identifier)); got.status != status {
			t.Errorf("%s: %d, want %d", identifier, got.status, status)
		}
	}
	first := p.get(srv.SignInURL()).body
	if !strings.Contains(first, `value="jo&#43;clerk_test@example.com"`) || strings.Contains(first, "jane@") || strings.Contains(first, "banned") {
		t.Errorf("the users who can sign in: %s", first)
	}
}

// TestOldestOfSeveralUsers: tests may create users with one address, and the same one signs
// in every time.
func TestOldestOfSeveralUsers(t *testing.T) {
	srv, app, p := styles()[1].start(t)
	first := srv.CreateUser("jane+clerk_test@example.com")
	for range 20 {
		srv.Advance(time.Second)
		srv.CreateUser(first.Email)
	}
	if claims := sessionOf(t, srv, p.signIn(p.get(srv.SignInURL()+"?redirect_url="+app.base), first.Email)); claims["sub"] != first.ID {
		t.Errorf("%v is signed in", claims["sub"])
	}
}

func TestPagesEscape(t *testing.T) {
	const script = `"><script>alert(1)</script>'`
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	srv.CreateUser("x+clerk_test@example.com", clerkauthtest.Name(script, script))
	p := newPerson(t, srv)
	at := func(path string, values ...string) string {
		query := url.Values{"redirect_url": {"http://localhost:1/" + script}}
		for i := 0; i < len(values); i += 2 {
			query.Set(values[i], values[i+1])
		}
		return srv.URL + path + "?" + query.Encode()
	}
	pages := []seen{
		p.get(at("/sign-in")), p.get(at("/sign-in", "identifier", script)), p.get(at("/sign-in", "redirect_url", script)),
		p.get(at("/sign-up", "identifier", script, "first_name", script, "last_name", script)),
		p.get(at("/sign-up", "identifier", "y+clerk_test@example.com", "first_name", script, "last_name", script)),
	}
	p.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if in := p.signIn(p.get(at("/sign-in")), "x+clerk_test@example.com"); in.status != 303 {
		t.Fatalf("%d %s", in.status, in.body)
	}
	pages = append(pages, p.get(at("/user")))
	for _, on := range pages {
		if strings.Contains(on.body, "<script") || strings.Contains(on.body, "alert(1)</") {
			t.Errorf("%s", on.body)
		}
		if !strings.Contains(on.header.Get("Content-Security-Policy"), "default-src 'none'") || on.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%v", on.header)
		}
	}
}

func TestPagesRefuseHostileRedirects(t *testing.T) {
	for name, opts := range map[string][]clerkauthtest.Option{"development": {clerkauthtest.InMemory()}, "production": live()} {
		srv := clerkauthtest.NewServer(t, opts...)
		user := srv.CreateUser("jane+clerk_test@example.com")
		p := newPerson(t, srv)
		for _, target := range hostile[1:] { // without one, people return to the application
			for _, path := range []string{"/sign-in", "/sign-up", "/user", "/sign-in/tasks", "/sign-out"} {
				got := p.get(srv.URL + path + "?redirect_url=" + url.QueryEscape(target))
				if got.status != 400 || strings.Contains(got.body, "evil") {
					t.Errorf("%s: %s to %q: %d", name, path, target, got.status)
				}
			}
			for path, form := range map[string]url.Values{
				"/sign-in": {"identifier": {user.Email}, "code": {"424242"}},
				"/sign-up": {"identifier": {"new+clerk_test@example.com"}, "code": {"424242"}},
			} {
				form.Set("redirect_url", target)
				got := p.see(p.http.PostForm(srv.URL+path, form))
				if got.status != 400 || len(p.http.Jar.Cookies(mustURL(t, srv.URL))) > 0 {
					t.Errorf("%s: %s to %q: %d", name, path, target, got.status)
				}
			}
		}
	}
}

func mustURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestFormsOfOtherSites: a page of another site cannot sign anybody in or out.
func TestFormsOfOtherSites(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	session := signIn(srv)
	for name, edit := range map[string]func(*http.Request){
		"another site":   func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"a sibling":      func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") },
		"another origin": func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		"no origin":      func(r *http.Request) { r.Header.Set("Origin", "null") },
	} {
		for _, path := range []string{"/sign-in", "/sign-up", "/sign-out", "/organization", "/sign-in/tasks"} {
			resp := send(t, srv, http.MethodPost, path, "identifier=jane%2Bclerk_test@example.com&code=424242&organization_id=", func(r *http.Request) {
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				r.Header.Set("Cookie", clientCookie(session))
				edit(r)
			})
			if resp.StatusCode != 403 || len(resp.Cookies()) > 0 {
				t.Errorf("%s: %s: %s", name, path, resp.Status)
			}
		}
	}
	if session.Token() == "" {
		t.Error("the session has ended")
	}
	for _, path := range []string{"/sign-in", "/v1/client", "/v1/client/handshake?redirect_url=http://localhost/"} {
		resp := send(t, srv, http.MethodGet, path, "", func(r *http.Request) { r.Host = "rebound.example" })
		if resp.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("%s by another name: %s", path, resp.Status)
		}
	}
}

// TestSignInStartsANewClient: whoever knew how a browser was named before somebody signed
// in there does not share the session.
func TestSignInStartsANewClient(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.Origin("http://localhost:8080"))
	user := srv.CreateUser("jane+clerk_test@example.com")
	attacker := signIn(srv)
	devBrowser, cookie := attacker.DevBrowser(), clientCookie(attacker)
	attacker.SignOut()
	resp := send(t, srv, http.MethodPost, "/sign-in?__clerk_db_jwt="+devBrowser, url.Values{"identifier": {user.Email}, "code": {"424242"}}.Encode(), func(r *http.Request) {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Cookie", cookie)
	})
	location, err := resp.Location()
	if err != nil || len(resp.Cookies()) != 1 || resp.Cookies()[0].Name != "__client" || !resp.Cookies()[0].HttpOnly {
		t.Fatalf("%v %v", err, resp.Cookies())
	}
	if fresh := location.Query().Get("__clerk_db_jwt"); fresh == "" || fresh == devBrowser || "__client="+resp.Cookies()[0].Value == cookie {
		t.Errorf("%s", location)
	}
	for _, known := range []string{"__clerk_db_jwt=" + devBrowser, "x=y"} {
		if directives, _ := handshake(t, srv, known, cookie); directives["__session"].Value != "" {
			t.Errorf("%s is signed in", known)
		}
	}
}

func TestAccountPages(t *testing.T) {
	for _, c := range styles() {
		t.Run(c.name, func(t *testing.T) {
			srv, _, jane := c.start(t, clerkauthtest.ForceOrganizationSelection())
			user := srv.CreateUser("jane+clerk_test@example.com")
			acme, beta := srv.CreateOrganization("acme"), srv.CreateOrganization("beta")
			acme.AddMember(user, "admin")
			beta.AddMember(user, "member")
			foreign := srv.CreateOrganization("foreign")
			if on := jane.get(srv.AccountURL()); on.url.Path != "/sign-in" {
				t.Errorf("signed out: %s", on.url)
			}
			tasks := jane.signIn(jane.get(srv.SignInURL()+"?redirect_url="+url.QueryEscape(c.base+"/x")), user.Email)
			if tasks.url.Path != "/sign-in/tasks" || strings.Contains(tasks.body, "foreign") {
				t.Fatalf("%s %s", tasks.url, tasks.body)
			}
			if claims := sessionOf(t, srv, jane.get(c.base+"/")); claims["sts"] != "pending" {
				t.Errorf("before: %v", claims)
			}
			for _, id := range []string{foreign.ID, "", "org_none"} {
				if on := jane.fill(tasks, "/sign-in/tasks", "organization_id", id); on.status != 422 {
					t.Errorf("%q: %d", id, on.status)
				}
			}
			on := jane.fill(tasks, "/sign-in/tasks", "organization_id", acme.ID)
			active := func(on seen) any {
				claims := sessionOf(t, srv, on)
				o, _ := claims["o"].(map[string]any)
				return fmt.Sprint(claims["sts"], " ", o["slg"], " ", o["rol"])
			}
			if !c.production && (active(on) != "active acme admin" || on.url.Path != "/x") {
				t.Errorf("after: %v at %s", active(on), on.url)
			}
			srv.Advance(2e9) // in production a token of the same second is current
			account := jane.get(srv.AccountURL() + "?redirect_url=" + url.QueryEscape(c.base+"/y"))
			if on := jane.fill(account, "/organization", "organization_id", foreign.ID); on.status != 422 {
				t.Errorf("another's organization: %d", on.status)
			}
			before := srv.Now().Unix()
			on = jane.fill(account, "/organization", "organization_id", beta.ID)
			if !c.production && (active(on) != "active beta member" || on.url.Path != "/y") {
				t.Errorf("switched: %v at %s", active(on), on.url)
			}
			directives, _ := handshake(t, srv, "", clientCookieOf(t, jane, srv))
			claims := claimsOf(t, srv, directives["__session"].Value)
			if o, _ := claims["o"].(map[string]any); o["slg"] != "beta" || claims["sts"] != "active" {
				t.Errorf("the next token: %v", claims)
			}
			if c.production { // the newer __client_uat makes the application ask for that token
				for _, cookie := range jane.http.Jar.Cookies(mustURL(t, c.base)) {
					if uat, err := strconv.ParseInt(cookie.Value, 10, 64); cookie.Name == "__client_uat" && (err != nil || uat < before) {
						t.Errorf("%v", cookie)
					}
				}
			}
		})
	}
}

func clientCookieOf(t *testing.T, p *person, srv *clerkauthtest.Server) string {
	t.Helper()
	for _, c := range p.http.Jar.Cookies(mustURL(t, srv.URL)) {
		if c.Name == "__client" {
			return "__client=" + c.Value
		}
	}
	t.Fatal("no __client")
	return ""
}
