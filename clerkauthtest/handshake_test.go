package clerkauthtest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// live returns the options of an instance in production, in memory.
func live() []clerkauthtest.Option {
	return []clerkauthtest.Option{clerkauthtest.InMemory(), clerkauthtest.Production("clerk.example.com")}
}

// browse sends a browser's request to the Frontend API, with cookies such as "a=b".
func browse(t *testing.T, srv *clerkauthtest.Server, method, path string, cookies ...string) response {
	t.Helper()
	return send(t, srv, method, path, "", func(r *http.Request) {
		if len(cookies) > 0 {
			r.Header.Set("Cookie", strings.Join(cookies, "; "))
		}
	})
}

// send sends a request without the secret key.
func send(t *testing.T, srv *clerkauthtest.Server, method, path, body string, edit func(*http.Request)) response {
	t.Helper()
	return call(t, srv, method, path, body, func(r *http.Request) {
		r.Header.Del("Authorization")
		edit(r)
	})
}

// clientCookie returns the __client cookie of the browser with the session.
func clientCookie(s *clerkauthtest.Session) string { return "__client=" + s.ClientSecret() }

// handshake performs a handshake for the browser with these cookies and returns the
// directives, by the name of their cookie, and where the browser is sent.
func handshake(t *testing.T, srv *clerkauthtest.Server, query string, cookies ...string) (directives map[string]*http.Cookie, location *url.URL) {
	t.Helper()
	if !strings.Contains(query, "redirect_url=") {
		query += "&redirect_url=" + url.QueryEscape(srv.Origin()+"/page?q=1&q=2")
	}
	resp := browse(t, srv, http.MethodGet, "/v1/client/handshake?"+query, cookies...)
	if resp.StatusCode != http.StatusTemporaryRedirect || resp.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%s %v %s", resp.Status, resp.Header, resp.body)
	}
	location, err := resp.Location()
	if err != nil {
		t.Fatal(err)
	}
	results := location.Query()
	for _, c := range resp.Cookies() {
		results.Set(c.Name, c.Value)
	}
	var payload struct{ Directives []string }
	if nonce := results.Get("__clerk_handshake_nonce"); nonce != "" {
		got := call(t, srv, http.MethodGet, "/v1/clients/handshake_payload?nonce="+nonce, "")
		if got.StatusCode != 200 || json.Unmarshal([]byte(got.body), &payload) != nil {
			t.Fatalf("%s %s", got.Status, got.body)
		}
	} else {
		list, _ := claimsOf(t, srv, results.Get("__clerk_handshake"))["handshake"].([]any)
		for _, line := range list {
			payload.Directives = append(payload.Directives, line.(string))
		}
	}
	directives = make(map[string]*http.Cookie)
	for _, line := range payload.Directives {
		c, err := http.ParseSetCookie(line)
		if err != nil || c.Path != "/" {
			t.Fatalf("%q: %v", line, err)
		}
		directives[c.Name] = c
	}
	return directives, location
}

// suffixed returns name with the suffix of srv's publishable key, which the test reads off
// the cookies of a session.
func suffixed(srv *clerkauthtest.Server, name string) string {
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	signIn(srv).SetCookies(req)
	for _, c := range req.Cookies() {
		if suffix, ok := strings.CutPrefix(c.Name, "__session_"); ok {
			return name + "_" + suffix
		}
	}
	panic("no cookie with a suffix")
}

func TestHandshake(t *testing.T) {
	for name, c := range map[string]struct {
		opts       []clerkauthtest.Option
		query      string
		production bool
		result     string
	}{
		"development, nonce": {[]clerkauthtest.Option{clerkauthtest.InMemory()}, "format=nonce", false, "__clerk_handshake_nonce"},
		"development, token": {[]clerkauthtest.Option{clerkauthtest.InMemory()}, "suffixed_cookies=false", false, "__clerk_handshake"},
		"development, http":  {nil, "format=nonce&suffixed_cookies=true", false, "__clerk_handshake_nonce"},
		"production, nonce":  {live(), "format=nonce", true, "__clerk_handshake_nonce"},
		"production, token":  {live(), "", true, "__clerk_handshake"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := clerkauthtest.NewServer(t, c.opts...)
			session := signIn(srv)
			for who, signedIn := range map[string]bool{"signed in": true, "unknown": false} {
				cookie := "__client=unknown"
				if signedIn {
					cookie = clientCookie(session)
				}
				resp := browse(t, srv, http.MethodGet, "/v1/client/handshake?"+c.query+"&redirect_url="+url.QueryEscape(srv.Origin()+"/page?q=1&q=2"), cookie)
				location := resp.Header.Get("Location")
				page, query, _ := strings.Cut(location, "?")
				if page != srv.Origin()+"/page" || !strings.HasPrefix(query, "q=1&q=2") || strings.Contains(query, "=1&q=2&"+c.result+"=") == c.production {
					t.Errorf("%s: Location is %s", who, location)
				}
				if (len(resp.Cookies()) > 0) != c.production {
					t.Errorf("%s: cookies %v", who, resp.Cookies())
				}
				for _, got := range resp.Cookies() {
					if got.Name != c.result || got.Domain != "example.com" || !got.HttpOnly || !got.Secure || got.MaxAge != 60 || got.Path != "/" || got.SameSite != http.SameSiteLaxMode {
						t.Errorf("%s: %v", who, got)
					}
				}
				directives, _ := handshake(t, srv, c.query, cookie)
				checkDirectives(t, srv, directives, session, signedIn, c.production)
				if removed := directives[c.result]; (removed != nil) != c.production || c.production && (removed.Domain != "example.com" || removed.Value != "" || removed.Expires.Year() != 1970) {
					t.Errorf("%s: %v", who, removed)
				}
			}
		})
	}
}

// checkDirectives checks the cookies that the application gets.
func checkDirectives(t *testing.T, srv *clerkauthtest.Server, directives map[string]*http.Cookie, session *clerkauthtest.Session, signedIn, production bool) {
	t.Helper()
	domain := ""
	if production {
		domain = "example.com"
	}
	for _, name := range []string{"__session", "__client_uat", "__clerk_db_jwt", suffixed(srv, "__refresh")} {
		names := []string{name, suffixed(srv, name)}
		if strings.HasPrefix(name, "__refresh") {
			names = names[:1]
		}
		for _, name := range names {
			got := directives[name]
			if strings.HasPrefix(name, "__clerk_db_jwt") && production {
				if got != nil {
					t.Errorf("a dev browser in production: %v", got)
				}
				continue
			}
			if got == nil {
				t.Fatalf("no %s in %v", name, directives)
			}
			if strings.HasPrefix(name, "__client_uat") {
				if got.Domain != domain {
					t.Errorf("%v", got)
				}
				if uat, err := strconv.Atoi(got.Value); err != nil || (uat > 0) != signedIn {
					t.Errorf("%v", got)
				}
			} else if got.Domain != "" {
				t.Errorf("%v", got)
			}
			if got.SameSite != http.SameSiteLaxMode || got.Secure != production || got.HttpOnly != strings.HasPrefix(name, "__refresh") {
				t.Errorf("attributes of %v", got)
			}
			isSession := strings.HasPrefix(name, "__session") || strings.HasPrefix(name, "__refresh")
			if removed := got.Value == "" && got.Expires.Year() == 1970; removed != (isSession && !signedIn) {
				t.Errorf("signed in: %v, %v", signedIn, got)
			}
			if strings.HasPrefix(name, "__session") && signedIn {
				claims := claimsOf(t, srv, got.Value)
				if _, ok := claims["azp"]; ok || claims["sid"] != session.ID {
					t.Errorf("claims %v", claims)
				}
			}
		}
	}
}

func TestHandshakeFindsTheBrowser(t *testing.T) {
	for name, opts := range map[string][]clerkauthtest.Option{"development": {clerkauthtest.InMemory()}, "production": live()} {
		srv := clerkauthtest.NewServer(t, opts...)
		jane, john := signIn(srv), srv.SignIn(srv.CreateUser("john+clerk_test@example.com"))
		in := func(query string, cookies ...string) any {
			directives, _ := handshake(t, srv, query, cookies...)
			if directives["__session"].Value == "" {
				return nil
			}
			return claimsOf(t, srv, directives["__session"].Value)["sid"]
		}
		if got := in("", clientCookie(jane)); got != jane.ID {
			t.Errorf("%s: the cookie finds %v", name, got)
		}
		if got := in("", "__client=stale", clientCookie(jane)); got != jane.ID {
			t.Errorf("%s: beside that of another instance it finds %v", name, got)
		}
		if got := in("__clerk_db_jwt=dvb_guess"); got != nil {
			t.Errorf("%s: a guess finds %v", name, got)
		}
		if got := in("__clerk_db_jwt="); got != nil {
			t.Errorf("%s: no dev browser finds %v", name, got)
		}
		if name == "production" {
			continue
		}
		if got := in("__clerk_db_jwt=" + jane.DevBrowser()); got != jane.ID {
			t.Errorf("the dev browser finds %v", got)
		}
		if got := in("__clerk_db_jwt="+jane.DevBrowser(), clientCookie(john)); got != john.ID {
			t.Errorf("the cookie of another browser loses to %v", got)
		}
		directives, _ := handshake(t, srv, "__clerk_db_jwt=dvb_guess")
		if got := directives["__clerk_db_jwt"].Value; got == "dvb_guess" || !strings.HasPrefix(got, "dvb_") {
			t.Errorf("a dev browser that somebody else chose becomes %s", got)
		}
	}
}

func TestHandshakeOrganization(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	session := signIn(srv, clerkauthtest.InOrganization("acme", "org:admin", "org:invoices:create"))
	other := srv.CreateOrganization("other")
	other.AddMember(session.User, "org:member")
	foreign := srv.CreateOrganization("foreign")
	for _, c := range []struct{ query, want string }{
		{"", "acme"},
		{"&organization_id=other", "other"},
		{"", "other"},
		{"&organization_id=foreign", "other"},
		{"&organization_id=" + foreign.ID, "other"},
		{"&organization_id=none", "other"},
		{"&organization_id=", ""},
		{"&organization_id=" + other.ID, "other"},
		{"&organization_id=acme", "acme"},
	} {
		directives, _ := handshake(t, srv, "format=nonce"+c.query, clientCookie(session))
		o, _ := claimsOf(t, srv, directives["__session"].Value)["o"].(map[string]any)
		if got, _ := o["slg"].(string); got != c.want {
			t.Errorf("%s: %q, want %q", c.query, got, c.want)
		}
	}
	who := session.Auth(testkit.NewAuth(t, srv))
	if !who.Has(clerkauth.Role("org:admin"), clerkauth.Permission("org:invoices:create")) {
		t.Error("the role and permissions of the membership are lost")
	}
}

// hostile are URLs that no browser may be sent to.
var hostile = []string{
	"", "/", "//evil.example", "https://evil.example/", "https:evil.example", "https:///evil.example", "javascript:alert(1)",
	"data:text/html,x", "https://localhost.evil.example/", "https://127.0.0.1.evil.example", "https://localhost@evil.example/",
	"https://app.example.com@evil.example/", "http://localhost:80@evil.example", `http://localhost\@evil.example`, `https:\\evil.example`,
	"https://evil.example#.app.example.com", "https://evil.example?.localhost", "https://app.example.com.evil.example", "ftp://localhost/",
	"https://user:pass@app.example.com/", "http://app.example.com/", "https://evilexample.com/", "https://app.example.com:8443x/",
	"https://app.example.com\t.evil.example", "https://evil.example/\r\nSet-Cookie: x=y", "https://%65vil.example", "https://[::2]/", "http://0.0.0.0/",
}

func TestHandshakeRefusesHostileRedirects(t *testing.T) {
	for name, opts := range map[string][]clerkauthtest.Option{"development": {clerkauthtest.InMemory()}, "production": live()} {
		srv := clerkauthtest.NewServer(t, opts...)
		session := signIn(srv)
		for _, target := range hostile {
			resp := browse(t, srv, http.MethodGet, "/v1/client/handshake?format=nonce&redirect_url="+url.QueryEscape(target), clientCookie(session))
			if resp.StatusCode != http.StatusBadRequest || resp.Header.Get("Location") != "" || len(resp.Cookies()) > 0 {
				t.Errorf("%s: %q: %s %v", name, target, resp.Status, resp.Header)
			}
			resp.code(t)
		}
		for _, target := range []string{"http://localhost:8080/x", "http://127.0.0.1/", "http://[::1]:3000", "https://app.example.com", "http://sat.localhost:1"} {
			if _, to := handshake(t, srv, "redirect_url="+url.QueryEscape(target), clientCookie(session)); !strings.HasPrefix(to.String(), target) {
				t.Errorf("%s: %q: %s", name, target, to)
			}
		}
	}
	srv := clerkauthtest.NewServer(t, live()...)
	handshake(t, srv, "redirect_url="+url.QueryEscape("https://www.example.com/"))
	dev := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	if resp := browse(t, dev, http.MethodGet, "/v1/client/handshake?redirect_url="+url.QueryEscape("https://www.example.com/")); resp.StatusCode != 400 {
		t.Error("in development another host of the domain is known")
	}
}

func TestNonces(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	session := signIn(srv)
	nonce := func() string {
		resp := browse(t, srv, http.MethodGet, "/v1/client/handshake?format=nonce&redirect_url=http://localhost/", clientCookie(session))
		location, err := resp.Location()
		if err != nil {
			t.Fatal(err)
		}
		return location.Query().Get("__clerk_handshake_nonce")
	}
	status := func(nonce string) int {
		resp := call(t, srv, http.MethodGet, "/v1/clients/handshake_payload?nonce="+nonce, "")
		if resp.StatusCode != 200 && resp.code(t) != "resource_not_found" {
			t.Error(resp.body)
		}
		return resp.StatusCode
	}
	used, early, late := nonce(), nonce(), nonce()
	if status(used) != 200 || status(used) != 404 {
		t.Error("a nonce cannot be used exactly once")
	}
	srv.Advance(59 * time.Second)
	if status(early) != 200 {
		t.Error("a nonce is not valid for 59 seconds")
	}
	srv.Advance(time.Second)
	if status(late) != 404 || status("") != 404 || status("guess") != 404 {
		t.Error("a nonce is valid for a minute, or a guess at all")
	}
	if resp := browse(t, srv, http.MethodGet, "/v1/clients/handshake_payload?nonce="+nonce()); resp.StatusCode != 401 {
		t.Errorf("without the secret key: %s", resp.Status)
	}
}

func TestSessionsThatEndedAreSignedOut(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *clerkauthtest.Server, *clerkauthtest.Session){
		"signed out": func(_ *testing.T, _ *clerkauthtest.Server, s *clerkauthtest.Session) { s.SignOut() },
		"banned":     func(_ *testing.T, _ *clerkauthtest.Server, s *clerkauthtest.Session) { s.User.Ban() },
		"revoked": func(t *testing.T, srv *clerkauthtest.Server, s *clerkauthtest.Session) {
			resp := call(t, srv, http.MethodPost, "/v1/sessions/"+s.ID+"/revoke", "")
			if resp.StatusCode != 200 || !strings.Contains(resp.body, `"status":"revoked"`) {
				t.Errorf("%s %s", resp.Status, resp.body)
			}
		},
	} {
		srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
		session := signIn(srv)
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		session.SetCookies(req)
		end(t, srv, session)
		directives, _ := handshake(t, srv, "format=nonce", clientCookie(session))
		checkDirectives(t, srv, directives, session, false, false)
		refresh, _ := req.Cookie(suffixed(srv, "__refresh"))
		token, _ := req.Cookie("__session")
		resp := call(t, srv, http.MethodPost, "/v1/sessions/"+session.ID+"/refresh", refreshBody(token.Value, refresh.Value))
		if resp.StatusCode != 401 || resp.code(t) != "session_not_active" {
			t.Errorf("%s: refresh: %s %s", name, resp.Status, resp.body)
		}
	}
	if resp := call(t, clerkauthtest.NewServer(t, clerkauthtest.InMemory()), http.MethodPost, "/v1/sessions/sess_1/revoke", ""); resp.StatusCode != 404 {
		t.Errorf("a session that is unknown: %s", resp.Status)
	}
}

func refreshBody(token, refresh string) string {
	return testkit.JSON(map[string]any{"format": "cookie", "expired_token": token, "refresh_token": refresh,
		"request_origin": "https://app.example.com", "request_headers": map[string][]string{"user-agent": {"x"}}})
}

func TestRefresh(t *testing.T) {
	for name, opts := range map[string][]clerkauthtest.Option{"development": {clerkauthtest.InMemory()}, "production": live()} {
		t.Run(name, func(t *testing.T) {
			srv := clerkauthtest.NewServer(t, opts...)
			session, other := signIn(srv), signIn(srv)
			req := httptest.NewRequest(http.MethodGet, "/", nil)
			session.SetCookies(req)
			refresh, err := req.Cookie(suffixed(srv, "__refresh"))
			if err != nil {
				t.Fatal(err)
			}
			expired := session.Token()
			srv.Advance(2 * time.Minute)
			for range 2 { // those of a page arrive together
				resp := call(t, srv, http.MethodPost, "/v1/sessions/"+session.ID+"/refresh?suffixed_cookies=true", refreshBody(expired, refresh.Value))
				var answer struct {
					Object  string
					Cookies []string
				}
				if err := json.Unmarshal([]byte(resp.body), &answer); err != nil || resp.StatusCode != 200 || answer.Object != "cookies" {
					t.Fatalf("%v %s %s", err, resp.Status, resp.body)
				}
				found := map[string]string{}
				for _, line := range answer.Cookies {
					c, err := http.ParseSetCookie(line)
					if err != nil || c.Domain != "" || c.Secure != (name == "production") || c.HttpOnly != strings.HasPrefix(c.Name, "__refresh") {
						t.Errorf("%q: %v", line, err)
					}
					found[c.Name] = c.Value
				}
				if len(found) != 3 || found[refresh.Name] != refresh.Value || found["__session"] != found[suffixed(srv, "__session")] {
					t.Errorf("cookies %v", answer.Cookies)
				}
				if claims := claimsOf(t, srv, found["__session"]); claims["azp"] != "https://app.example.com" || claims["sid"] != session.ID {
					t.Errorf("claims %v", claims)
				}
				mustVerify(t, testkit.NewAuth(t, srv), found["__session"])
			}
			for what, c := range map[string]struct {
				id, body string
				status   int
			}{
				"another refresh token":   {session.ID, refreshBody(expired, "guess"), 401},
				"none":                    {session.ID, refreshBody(expired, ""), 401},
				"another session":         {other.ID, refreshBody(expired, refresh.Value), 401},
				"another session's token": {session.ID, refreshBody(other.Token(), refresh.Value), 401},
				"garbage":                 {session.ID, refreshBody("x", refresh.Value), 401},
				"a foreign key":           {session.ID, refreshBody(session.Token(clerkauthtest.SignedBy(testkit.NewKey())), refresh.Value), 401},
				"an unknown session":      {"sess_1", refreshBody(expired, refresh.Value), 404},
				"another format":          {session.ID, strings.Replace(refreshBody(expired, refresh.Value), "cookie", "token", 1), 422},
				"no origin":               {session.ID, strings.Replace(refreshBody(expired, refresh.Value), "https://app.example.com", "", 1), 422},
				"no JSON":                 {session.ID, "x", 422},
			} {
				resp := call(t, srv, http.MethodPost, "/v1/sessions/"+c.id+"/refresh", c.body)
				if resp.StatusCode != c.status {
					t.Errorf("%s: %s %s", what, resp.Status, resp.body)
				}
				resp.code(t)
			}
		})
	}
}

func TestWithoutRefreshTokens(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory(), clerkauthtest.WithoutRefreshTokens())
	session := signIn(srv)
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	session.SetCookies(req)
	directives, _ := handshake(t, srv, "", clientCookie(session))
	for name := range directives {
		if strings.HasPrefix(name, "__refresh") {
			t.Error(name)
		}
	}
	if strings.Contains(req.Header.Get("Cookie"), "__refresh") {
		t.Error(req.Header)
	}
	if resp := call(t, srv, http.MethodPost, "/v1/sessions/"+session.ID+"/refresh", refreshBody(session.Token(), "")); resp.StatusCode != 401 {
		t.Errorf("an empty refresh token: %s", resp.Status)
	}
}

func TestSetCookies(t *testing.T) {
	for name, opts := range map[string][]clerkauthtest.Option{"development": {clerkauthtest.InMemory()}, "production": live()} {
		srv := clerkauthtest.NewServer(t, opts...)
		session := signIn(srv)
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		session.SetCookies(req, clerkauthtest.WithClaim("x", "y"))
		var names []string
		for _, c := range req.Cookies() {
			names = append(names, c.Name)
			switch {
			case strings.HasPrefix(c.Name, "__session"):
				claims := claimsOf(t, srv, c.Value)
				if claims["x"] != "y" || claims["azp"] != srv.Origin() || claims["sid"] != session.ID {
					t.Errorf("%s: claims %v", name, claims)
				}
			case strings.HasPrefix(c.Name, "__client_uat"):
				if uat, err := strconv.ParseInt(c.Value, 10, 64); err != nil || uat > srv.Now().Unix() || uat < srv.Now().Add(-time.Minute).Unix() {
					t.Errorf("%s: %v", name, c)
				}
			case c.Value == "":
				t.Errorf("%s: %v", name, c)
			}
		}
		want := []string{"__client_uat", suffixed(srv, "__client_uat"), suffixed(srv, "__refresh"), "__session", suffixed(srv, "__session")}
		if name == "development" {
			want = append([]string{"__clerk_db_jwt", suffixed(srv, "__clerk_db_jwt")}, want...)
		}
		if !slices.Equal(names, want) {
			t.Errorf("%s: %v, want %v", name, names, want)
		}
		session.SignOut()
		testkit.MustPanic(t, "signed out", func() { session.SetCookies(req) })
	}
}

// TestSuffix: the suffix of cookies is the beginning of the key's SHA-1, in the alphabet
// for URLs.
func TestSuffix(t *testing.T) {
	for key, want := range map[string]string{
		"pk_test_Y2xlcmsuY2xlcmsuZGV2JA":                                       "QvfNY2dr",
		"pk_live_Y2xlcmsudmVjdG9ycy5leGFtcGxlLmNvbSQ":                          "uD3_mh2E",
		"pk_test_ZW5vdWdoLWFscGFjYS04Mi5jbGVyay5hY2NvdW50cy5sY2xjbGVyay5jb20k": "jtYvyt_H",
	} {
		if got := clerkauthtest.SuffixOf(key); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
}

func TestProduction(t *testing.T) {
	srv := clerkauthtest.NewServer(t, live()...)
	if srv.PublishableKey() != "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k" || !strings.HasPrefix(srv.SecretKey(), "sk_live_") || srv.Issuer() != "https://clerk.example.com" {
		t.Error(srv.PublishableKey(), srv.Issuer())
	}
	mustVerify(t, testkit.NewAuth(t, srv), signIn(srv).Token())
	for _, host := range []string{"", "example.com", "clerk.localhost", "clerk.", "clerk", "accounts.example.com"} {
		testkit.MustPanic(t, host, func() { clerkauthtest.Production(host) })
	}
}

// browserOf makes every kind of request that the browser with the session makes.
func browserOf(t *testing.T, srv *clerkauthtest.Server, session *clerkauthtest.Session) {
	t.Helper()
	session.SetCookies(httptest.NewRequest(http.MethodGet, "/", nil))
	cookie := clientCookie(session)
	for _, path := range []string{
		"/v1/client/handshake?format=nonce&organization_id=acme&redirect_url=http://localhost/", "/v1/client/handshake?redirect_url=http://localhost/",
		"/v1/client", "/v1/client/sessions/" + session.ID, "/sign-in", "/user",
	} {
		if resp := browse(t, srv, http.MethodGet, path, cookie); resp.StatusCode >= 400 {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
	for _, path := range []string{"/v1/client/sessions/" + session.ID + "/tokens", "/v1/client/sessions/" + session.ID + "/touch", "/organization?organization_id=", "/v1/dev_browser"} {
		if resp := browse(t, srv, http.MethodPost, path, cookie); resp.StatusCode >= 500 {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
	signInAgain := url.Values{"identifier": {session.User.Email}, "code": {"424242"}}
	if resp := send(t, srv, http.MethodPost, "/sign-in", signInAgain.Encode(), func(r *http.Request) {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("sign-in: %s", resp.Status)
	}
}
