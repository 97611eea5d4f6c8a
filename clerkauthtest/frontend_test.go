package clerkauthtest_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/clerkauth/clerkauth/clerkauthtest"
)

// fetch calls the Frontend API as a page of the application does.
func fetch(t *testing.T, srv *clerkauthtest.Server, method, path, form string, session *clerkauthtest.Session, edits ...func(*http.Request)) response {
	t.Helper()
	return send(t, srv, method, path, form, func(r *http.Request) {
		r.Header.Set("Origin", srv.Origin())
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if session != nil {
			r.Header.Set("Cookie", clientCookie(session))
		}
		for _, edit := range edits {
			edit(r)
		}
	})
}

// decode returns the JSON in a response.
func (r response) decode(t *testing.T) map[string]any {
	t.Helper()
	var value map[string]any
	if err := json.Unmarshal([]byte(r.body), &value); err != nil {
		t.Fatalf("%v in %s", err, r.body)
	}
	return value
}

// at returns what is in nested JSON objects and lists, by key or as the first element.
func at(value any, path ...string) any {
	for _, key := range path {
		switch v := value.(type) {
		case map[string]any:
			value = v[key]
		case []any:
			if len(v) == 0 {
				return nil
			}
			value = v[0]
		default:
			return nil
		}
	}
	return value
}

func TestClientOfBrowser(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	jane := srv.CreateUser("jane+clerk_test@example.com", clerkauthtest.Name("Jane", "Doe"),
		clerkauthtest.PublicMetadata(map[string]any{"seen": 1}), clerkauthtest.PrivateMetadata(map[string]any{"secret": "hidden"}))
	session := srv.SignIn(jane, clerkauthtest.InOrganization("acme", "org:admin", "org:invoices:create"))
	resp := fetch(t, srv, http.MethodGet, "/v1/client", "", session)
	if strings.Contains(resp.body, "hidden") || strings.Contains(resp.body, "private") {
		t.Error("a user sees their private metadata")
	}
	if resp.Header.Get("Access-Control-Allow-Origin") != srv.Origin() || resp.Header.Get("Access-Control-Allow-Credentials") != "true" || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v", resp.Header)
	}
	client := resp.decode(t)
	got := at(client, "response", "sessions", "0").(map[string]any)
	for name, c := range map[string]struct{ got, want any }{
		"client":       {at(client, "response", "last_active_session_id"), session.ID},
		"session":      {got["id"], session.ID},
		"status":       {got["status"], "active"},
		"organization": {got["last_active_organization_id"], session.Organization.ID},
		"user":         {at(got, "user", "id"), jane.ID},
		"metadata":     {at(got, "user", "public_metadata", "seen"), 1.0},
		"address":      {at(got, "user", "email_addresses", "0", "email_address"), jane.Email},
		"membership":   {at(got, "user", "organization_memberships", "0", "organization", "slug"), "acme"},
		"permission":   {at(got, "user", "organization_memberships", "0", "permissions", "0"), "org:invoices:create"},
		"identifier":   {at(got, "public_user_data", "identifier"), jane.Email},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", name, c.got, c.want)
		}
	}
	if claims := claimsOf(t, srv, at(got, "last_active_token", "jwt").(string)); claims["azp"] != srv.Origin() {
		t.Errorf("the token of a page: %v", claims)
	}
	if got := fetch(t, srv, http.MethodGet, "/v1/client", "", nil).decode(t); got["response"] != nil || len(got) != 2 {
		t.Errorf("unknown: %v", got)
	}
	if resp := fetch(t, srv, http.MethodGet, "/v1/client?__clerk_db_jwt=dvb_1", "", nil); resp.StatusCode != 401 || resp.code(t) != "dev_browser_unauthenticated" {
		t.Errorf("a dev browser that is not known: %s", resp.Status)
	}
}

func TestDevBrowser(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	created := fetch(t, srv, http.MethodPost, "/v1/dev_browser", "", nil).decode(t)
	id, _ := created["id"].(string)
	if created["object"] != "dev_browser" || !strings.HasPrefix(id, "dvb_") {
		t.Fatal(created)
	}
	if got := fetch(t, srv, http.MethodGet, "/v1/client?__clerk_db_jwt="+id, "", nil).decode(t); at(got, "response", "sessions", "0") != nil || at(got, "response", "id") == nil {
		t.Errorf("%v", got)
	}
	if directives, _ := handshake(t, srv, "__clerk_db_jwt="+id); directives["__clerk_db_jwt"].Value != id {
		t.Errorf("%v", directives)
	}
	if resp := fetch(t, clerkauthtest.NewServer(t, live()...), http.MethodPost, "/v1/dev_browser", "", nil); resp.StatusCode != 404 {
		t.Errorf("in production: %s", resp.Status)
	}
}

func TestTokensOfBrowser(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	session := signIn(srv, clerkauthtest.InOrganization("acme", "org:admin"))
	other := srv.CreateOrganization("other")
	other.AddMember(session.User, "org:member")
	foreign := srv.CreateOrganization("foreign")
	path := "/v1/client/sessions/" + session.ID + "/tokens"
	for _, c := range []struct{ form, want string }{
		{"", "acme"}, {"organization_id=", ""}, {"organization_id=" + other.ID + "&tab_state=focused", "other"}, {"", "acme"},
	} {
		got := fetch(t, srv, http.MethodPost, path, c.form, session).decode(t)
		claims := claimsOf(t, srv, got["jwt"].(string))
		if slug, _ := at(claims, "o", "slg").(string); slug != c.want || claims["azp"] != srv.Origin() || got["object"] != "token" {
			t.Errorf("%q: %v", c.form, claims)
		}
	}
	referred := func(r *http.Request) {
		r.Header.Del("Origin")
		r.Header.Set("Referer", "http://localhost:3000/page")
	}
	nowhere := func(r *http.Request) { r.Header.Del("Origin") }
	for want, edit := range map[any]func(*http.Request){"http://localhost:3000": referred, nil: nowhere} {
		got := fetch(t, srv, http.MethodPost, path, "", session, edit).decode(t)
		if claims := claimsOf(t, srv, got["jwt"].(string)); claims["azp"] != want {
			t.Errorf("azp is %v, want %v", claims["azp"], want)
		}
	}
	stranger := signIn(srv)
	for name, c := range map[string]struct {
		resp   response
		status int
		code   string
	}{
		"another's organization":  {fetch(t, srv, http.MethodPost, path, "organization_id="+foreign.ID, session), 404, "resource_not_found"},
		"another browser":         {fetch(t, srv, http.MethodPost, path, "", stranger), 404, "resource_not_found"},
		"a browser not signed in": {fetch(t, srv, http.MethodPost, path, "", nil), 401, "authentication_invalid"},
		"another site's page": {fetch(t, srv, http.MethodPost, path, "", session, func(r *http.Request) {
			r.Header.Set("Origin", "https://evil.example")
		}), 400, "origin_invalid"},
		"no origin": {fetch(t, srv, http.MethodPost, path, "", session, func(r *http.Request) { r.Header.Set("Origin", "null") }), 400, "origin_invalid"},
	} {
		if c.resp.StatusCode != c.status || c.resp.code(t) != c.code || strings.Contains(c.resp.Header.Get("Access-Control-Allow-Origin"), "evil") {
			t.Errorf("%s: %s %s", name, c.resp.Status, c.resp.body)
		}
	}
	session.SignOut()
	if resp := fetch(t, srv, http.MethodPost, path, "", session); resp.StatusCode != 401 {
		t.Errorf("signed out: %s", resp.Status)
	}
}

func TestTouch(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	session := signIn(srv, clerkauthtest.Pending())
	acme := srv.CreateOrganization("acme")
	acme.AddMember(session.User, "org:admin")
	touch := func(form string) map[string]any {
		return fetch(t, srv, http.MethodPost, "/v1/client/sessions/"+session.ID+"/touch", form, session).decode(t)
	}
	if got := touch("intent=focus"); at(got, "response", "status") != "pending" || at(got, "response", "tasks", "0", "key") != "choose-organization" {
		t.Errorf("%v", got["response"])
	}
	if got := touch("active_organization_id=org_none"); got["errors"] == nil {
		t.Errorf("an organization that is not known: %v", got)
	}
	got := touch("intent=select_org&active_organization_id=" + acme.ID)
	claims := claimsOf(t, srv, at(got, "client", "sessions", "0", "last_active_token", "jwt").(string))
	if at(got, "response", "status") != "active" || at(got, "response", "tasks") != nil || at(claims, "o", "slg") != "acme" {
		t.Errorf("%v", got["response"])
	}
	if got := touch("active_organization_id="); at(got, "response", "last_active_organization_id") != nil {
		t.Errorf("%v", got["response"])
	}
}

func TestSignOutOfBrowser(t *testing.T) {
	srv := clerkauthtest.NewServer(t, live()...)
	for _, path := range []string{"/v1/client/sessions?_method=DELETE", "/v1/client/sessions/{id}/end", "/v1/client/sessions/{id}/remove"} {
		session := signIn(srv)
		resp := fetch(t, srv, http.MethodPost, strings.Replace(path, "{id}", session.ID, 1), "", session)
		if got := resp.decode(t); resp.StatusCode != 200 || at(got, "client", "sessions", "0") != nil || at(got, "client", "id") == nil {
			t.Errorf("%s: %s", path, resp.body)
		}
		uat := 0
		for _, c := range resp.Cookies() {
			if strings.HasPrefix(c.Name, "__client_uat") && c.Value == "0" && c.Domain == "example.com" && c.Secure {
				uat++
			}
		}
		if uat != 2 {
			t.Errorf("%s: %v", path, resp.Cookies())
		}
		directives, _ := handshake(t, srv, "", clientCookie(session))
		checkDirectives(t, srv, directives, session, false, true)
	}
	if resp := fetch(t, srv, http.MethodDelete, "/v1/client/sessions", "", nil); resp.StatusCode != 200 {
		t.Errorf("unknown: %s", resp.Status)
	}
	signedIn := signIn(srv)
	resp := fetch(t, srv, http.MethodGet, "/v1/client/sessions/"+signedIn.ID, "", signedIn)
	if at(resp.decode(t), "response", "id") != signedIn.ID || len(resp.Cookies()) != 2 || resp.Cookies()[0].Value == "0" {
		t.Errorf("%s %v", resp.body, resp.Cookies())
	}
}

func TestTestingTokens(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	got := call(t, srv, http.MethodPost, "/v1/testing_tokens", "").decode(t)
	if got["object"] != "testing_token" || got["token"] == "" || got["expires_at"].(float64) != float64(srv.Now().Unix()+3600) {
		t.Errorf("%v", got)
	}
	if resp := browse(t, srv, http.MethodPost, "/v1/testing_tokens"); resp.StatusCode != 401 {
		t.Errorf("without the secret key: %s", resp.Status)
	}
}

// TestFaultsOfBrowserEndpoints: every endpoint can be made to fail, and is one of a set.
func TestFaultsOfBrowserEndpoints(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	session := signIn(srv)
	for _, c := range []struct {
		endpoint     clerkauthtest.Endpoint
		method, path string
		of           clerkauthtest.Endpoint
	}{
		{clerkauthtest.Handshake, "GET", "/v1/client/handshake?redirect_url=" + url.QueryEscape("http://localhost/"), clerkauthtest.Frontend},
		{clerkauthtest.DevBrowser, "POST", "/v1/dev_browser", clerkauthtest.Frontend},
		{clerkauthtest.ClientTokens, "POST", "/v1/client/sessions/" + session.ID + "/tokens", clerkauthtest.Frontend},
		{clerkauthtest.Client, "GET", "/v1/client", clerkauthtest.Frontend},
		{clerkauthtest.Client, "POST", "/v1/client/sessions/" + session.ID + "/touch", clerkauthtest.Frontend},
		{clerkauthtest.Client, "GET", "/v1/client/unknown", clerkauthtest.Frontend},
		{clerkauthtest.AccountPages, "GET", "/sign-in", clerkauthtest.Frontend},
		{clerkauthtest.AccountPages, "POST", "/sign-out", clerkauthtest.Frontend},
		{clerkauthtest.HandshakePayload, "GET", "/v1/clients/handshake_payload?nonce=1", clerkauthtest.Backend},
		{clerkauthtest.SessionRefresh, "POST", "/v1/sessions/" + session.ID + "/refresh", clerkauthtest.Backend},
		{clerkauthtest.Sessions, "POST", "/v1/sessions/" + session.ID + "/revoke", clerkauthtest.Backend},
		{clerkauthtest.TestingTokens, "POST", "/v1/testing_tokens", clerkauthtest.Backend},
	} {
		try := func() response {
			return send(t, srv, c.method, c.path, "", func(r *http.Request) {
				if c.of == clerkauthtest.Backend {
					r.Header.Set("Authorization", "Bearer "+srv.SecretKey())
				} else {
					r.Header.Set("Cookie", clientCookie(session))
				}
			})
		}
		for _, endpoints := range []clerkauthtest.Endpoint{c.endpoint, c.of} {
			before := srv.Requests(endpoints)
			srv.Fail(endpoints, http.StatusServiceUnavailable)
			srv.RetryAfter(endpoints, 7)
			if resp := try(); resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "7" {
				t.Errorf("%s: %s", c.path, resp.Status)
			}
			if srv.Requests(endpoints) != before+1 {
				t.Errorf("%s is not counted", c.path)
			}
			srv.Heal(endpoints)
		}
		srv.Fail(c.endpoint, clerkauthtest.Redirect)
		location, err := try().Location()
		if err != nil || !strings.HasSuffix(location.RequestURI(), "redirected") || !strings.HasPrefix(location.RequestURI(), c.path) {
			t.Errorf("%s: %v %v", c.path, location, err)
		}
		srv.Heal(c.endpoint)
		if resp := try(); resp.StatusCode == 503 {
			t.Errorf("%s: %s", c.path, resp.Status)
		}
	}
}
