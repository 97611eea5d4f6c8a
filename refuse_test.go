package clerkauth_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// refusals returns a guard's response of each kind that is not an entry.
func refusals(t *testing.T, change ...func(*clerkauth.Config)) map[string]testkit.Reply {
	t.Helper()
	r, down := testkit.NewRig(t, change...), testkit.NewRig(t, change...)
	down.Server.Fail(clerkauthtest.JWKS, 500)
	good := testkit.Bearer(r.Jane.Token())
	return map[string]testkit.Reply{
		"no token":   testkit.Serve(r.Auth.Require()),
		"bad token":  testkit.Serve(r.Auth.Require(), testkit.Bearer("x")),
		"wrong kind": testkit.Serve(r.Auth.Require(), testkit.Bearer("ak_x")),
		"pending":    testkit.Serve(r.Auth.Require(), testkit.Bearer(r.Jane.Token(clerkauthtest.WithClaim("sts", "pending")))),
		"expired":    testkit.Serve(r.Auth.Require(), testkit.Bearer(r.Jane.Token(clerkauthtest.WithClaim("exp", 1)))),
		"wrong role": testkit.Serve(r.Auth.Require(clerkauth.Role("owner")), good),
		"stale":      testkit.Serve(r.Auth.Require(clerkauth.ReverifiedStrict), testkit.Bearer(r.Jane.Token(clerkauthtest.WithClaim("fva", []int{99, 99})))),
		"outage":     testkit.Serve(down.Auth.Require(), testkit.Bearer(down.Jane.Token())),
		"page":       testkit.Serve(r.Auth.Require(), testkit.AsPage),
		"HEAD":       testkit.Serve(r.Auth.Require(), func(r *http.Request) { r.Method = http.MethodHead }),
	}
}

func TestRefusalsAreProblemDetails(t *testing.T) {
	problem := func(status int, detail, reason string) string {
		return fmt.Sprintf(`{"type":"about:blank","title":%q,"status":%d,"detail":%q,"reason":%q}`, http.StatusText(status), status, detail, reason)
	}
	invalid := func(detail string) string { return `Bearer error="invalid_token", error_description="` + detail + `"` }
	const send = "send a token as Authorization: Bearer"
	all := refusals(t)
	for name, c := range map[string]struct {
		status          int
		body, challenge string
	}{
		"no token":   {401, problem(401, send, "session-token-and-uat-missing"), "Bearer"},
		"HEAD":       {401, problem(401, send, "session-token-and-uat-missing"), "Bearer"}, // net/http leaves it out
		"bad token":  {401, problem(401, "the credential is malformed, unknown or revoked", "token-invalid"), invalid("the credential is malformed, unknown or revoked")},
		"wrong kind": {401, problem(401, "a token of this kind is not accepted here", "token-type-mismatch"), invalid("a token of this kind is not accepted here")},
		"pending":    {401, problem(401, "the session has a task to complete first", "session-pending"), invalid("the session has a task to complete first")},
		"expired":    {401, problem(401, "the token has expired; get a fresh one", "token-expired"), invalid("the token has expired; get a fresh one")},
		"wrong role": {403, problem(403, "you are signed in, but not allowed to do this", "forbidden"), ""},
		"outage":     {503, problem(503, "tokens cannot be verified at the moment; try again", "jwk-remote-failed-to-load"), ""},
		"stale":      {403, `{"clerk_error":{"metadata":{"reverification":"strict"},"reason":"reverification-error","type":"forbidden"}}`, ""},
		"page":       {303, "", ""},
	} {
		got := all[name]
		if got.Status != c.status || got.Entered || c.body != "" && strings.TrimSpace(got.Body) != c.body || got.Header.Get("WWW-Authenticate") != c.challenge {
			t.Errorf("%s: %v", name, got)
		}
		contentType := "application/problem+json"
		switch name {
		case "stale":
			contentType = "application/json" // as Clerk's browser SDKs expect it
		case "page":
			contentType = "text/html; charset=utf-8"
		}
		h := got.Header
		if h.Get("Content-Type") != contentType || h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" || !slices.Equal(h["Vary"], []string{"Authorization, Cookie"}) {
			t.Errorf("%s: %v", name, h)
		}
		if (h.Get("Retry-After") != "") != (c.status == 503) {
			t.Errorf("%s: Retry-After is %q", name, h.Get("Retry-After"))
		}
	}
}

// TestCheckSaysTheHeaders: the headers of a refusal by Check are those of a guard's, but for
// what describes the body.
func TestCheckSaysTheHeaders(t *testing.T) {
	r := testkit.NewMachineRig(t)
	scope := clerkauth.Token(clerkauth.APIKey, clerkauth.Scope("invoices:write"))
	for name, c := range map[string]struct {
		access clerkauth.Access
		token  string
	}{
		"nobody": {clerkauth.SignedIn, ""}, "invalid": {clerkauth.SignedIn, "x.y.z"}, "wrong role": {clerkauth.Role("owner"), r.Jane.Token()},
		"another kind": {clerkauth.SignedIn, r.APIKey.Token}, "wrong scope": {scope, r.APIKey.Token}, "unknown key": {scope, "ak_unknown"},
	} {
		req := httptest.NewRequest(http.MethodGet, "/guarded", nil)
		testkit.Bearer(c.token)(req)
		_, err := r.Auth.Check(req, c.access)
		var refusal *clerkauth.Error
		if !errors.As(err, &refusal) {
			t.Fatalf("%s: %v", name, err)
		}
		want := testkit.Serve(r.Auth.Require(c.access), testkit.Bearer(c.token))
		for _, header := range []string{"Vary", "Www-Authenticate", "Set-Cookie", "Location"} {
			if got := refusal.Header()[header]; !slices.Equal(got, want.Header[header]) {
				t.Errorf("%s: %s is %q, and a guard's %q", name, header, got, want.Header[header])
			}
		}
	}
}

// TestErrorHandler: ErrorHandler receives refusals with their headers set, and no
// redirects.
func TestErrorHandler(t *testing.T) {
	var seen []*clerkauth.Error
	all := refusals(t, func(c *clerkauth.Config) {
		c.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err *clerkauth.Error) {
			if w.Header().Get("Cache-Control") != "no-store" || (err.Status == 401) != (w.Header().Get("WWW-Authenticate") != "") || (err.Status == 503) != (w.Header().Get("Retry-After") != "") || r == nil {
				t.Errorf("%v: %v", err, w.Header())
			}
			seen = append(seen, err)
			w.WriteHeader(err.Status)
			fmt.Fprintf(w, "mine: %s", err.Reason)
		}
	})
	for name, status := range map[string]int{"no token": 401, "bad token": 401, "wrong kind": 401, "pending": 401, "expired": 401, "wrong role": 403, "stale": 403, "outage": 503, "HEAD": 401, "page": 303} {
		if got := all[name]; got.Status != status || (status != 303) != strings.HasPrefix(got.Body, "mine: ") {
			t.Errorf("%s: %v", name, got)
		}
	}
	if len(seen) != len(all)-1 {
		t.Errorf("%d errors for %d refusals and a redirect", len(seen), len(all)-1)
	}
	for _, err := range seen {
		kind := map[int]error{401: clerkauth.ErrUnauthenticated, 403: clerkauth.ErrForbidden, 503: clerkauth.ErrUnavailable}[err.Status]
		if !errors.Is(err, kind) || !errors.Is(err, err.Reason) || errors.Is(err, clerkauth.ErrConfiguration) || (err.RetryAfter > 0) != (err.Status == 503) {
			t.Errorf("%#v", err)
		}
	}
}

// TestHideUnauthorized: a refusal is a 404 unless the caller can act on it.
func TestHideUnauthorized(t *testing.T) {
	hide := func(c *clerkauth.Config) { c.HideUnauthorized = true }
	statuses := map[string]int{"no token": 404, "wrong kind": 404, "pending": 404, "wrong role": 404, "HEAD": 404, "bad token": 404, "expired": 404, "stale": 403, "outage": 503, "page": 404}
	for name, got := range refusals(t, hide) {
		if got.Status != statuses[name] || got.Entered || (got.Status == 401) != (got.Header.Get("WWW-Authenticate") != "") {
			t.Errorf("%s: %v", name, got)
		}
		if got.Status == 404 && got.Body != "404 page not found\n" { // as ServeMux responds
			t.Errorf("%s: %q", name, got.Body)
		}
	}
	for name, got := range refusals(t, hide, func(c *clerkauth.Config) {
		c.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, err *clerkauth.Error) {
			w.WriteHeader(err.Status)
			fmt.Fprint(w, err.Reason)
		}
	}) {
		if got.Status != statuses[name] || got.Status == 404 && got.Body != "404 page not found\n" {
			t.Errorf("%s, with an ErrorHandler: %v", name, got)
		}
	}
}

// TestHiddenIsAsIfNotThere: a caller without access receives the same response,
// headers included, for a route that exists and for one that does not.
func TestHiddenIsAsIfNotThere(t *testing.T) {
	r := testkit.NewMachineRig(t, func(c *clerkauth.Config) { c.HideUnauthorized = true })
	entered := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "entered") }
	mux := r.Auth.NewServeMux()
	mux.HandleFunc("GET /open", clerkauth.Public, entered)
	mux.HandleFunc("GET /admin", clerkauth.Role("owner"), entered)
	mux.HandleFunc("GET /machines", clerkauth.Token(clerkauth.M2MToken), entered)
	protect, err := r.Auth.Protect(clerkauth.Rules{
		"/open": clerkauth.Public, "/admin": clerkauth.Role("owner"), "/machines": clerkauth.Token(clerkauth.M2MToken), "/{rest...}": clerkauth.Role("owner"),
	})
	if err != nil {
		t.Fatal(err)
	}
	plain := http.NewServeMux()
	plain.HandleFunc("GET /open", entered)
	plain.HandleFunc("GET /admin", entered)
	plain.HandleFunc("GET /machines", entered)
	cookies := func(req *http.Request) { r.Jane.SetCookies(req) }
	outdated := func(req *http.Request) { r.Jane.SetCookies(req, clerkauthtest.ExpiresIn(-time.Hour)) }
	for name, h := range map[string]http.Handler{"ServeMux": mux, "Protect": protect(plain)} {
		for caller, c := range map[string]struct {
			edits        []func(*http.Request)
			hidden, open int
			cache        string
		}{
			"anonymous": {nil, 404, 200, "private"}, "garbage": {[]func(*http.Request){testkit.Bearer("x.y.z")}, 404, 401, "private"},
			"signed in": {[]func(*http.Request){testkit.Bearer(r.Jane.Token())}, 404, 200, "private"}, "an API key": {[]func(*http.Request){testkit.Bearer(r.APIKey.Token)}, 404, 200, "private"},
			"a page": {[]func(*http.Request){testkit.AsPage}, 404, 200, "private"}, "a session's page": {[]func(*http.Request){testkit.AsUnknownPage, cookies}, 404, 200, "private"},
			// These browsers renew their cookies first, wherever they go.
			"an unknown browser": {[]func(*http.Request){testkit.AsUnknownPage}, 307, 307, "no-store"},
			"a prefetch":         {[]func(*http.Request){testkit.AsUnknownPage, func(r *http.Request) { r.Header.Set("Sec-Purpose", "prefetch") }}, 503, 503, "no-store"},
			// A refresh sets cookies, with a new token each.
			"an expired page":    {[]func(*http.Request){testkit.AsUnknownPage, outdated}, 404, 200, "no-store"},
			"an expired request": {[]func(*http.Request){outdated, func(r *http.Request) { r.Method = http.MethodPost }}, 404, 405, "private"},
		} {
			to := func(path string) *httptest.ResponseRecorder {
				w, req := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil)
				for _, edit := range c.edits {
					edit(req)
				}
				h.ServeHTTP(w, req)
				for i, line := range w.Header()["Set-Cookie"] {
					w.Header()["Set-Cookie"][i], _, _ = strings.Cut(line, "=")
				}
				if location := w.Header().Get("Location"); location != "" {
					w.Header().Set("Location", strings.ReplaceAll(location, url.QueryEscape(path), "PATH"))
				}
				return w
			}
			nowhere := to("/nowhere")
			for _, path := range []string{"/admin", "/machines"} {
				there := to(path)
				if there.Code != c.hidden || nowhere.Code != c.hidden || there.Body.String() != nowhere.Body.String() || !maps.EqualFunc(there.Header(), nowhere.Header(), slices.Equal) {
					t.Errorf("%s, %s, %s: %d %v %q and %d %v %q", name, caller, path, there.Code, there.Header(), there.Body, nowhere.Code, nowhere.Header(), nowhere.Body)
				}
				if there.Header().Get("Vary") != "Authorization, Cookie" || there.Header().Get("Cache-Control") != c.cache {
					t.Errorf("%s, %s: a cache may keep it: %v", name, caller, there.Header())
				}
			}
			// A public route is not hidden, and an invalid token is rejected there as well.
			if got := to("/open"); got.Code != c.open {
				t.Errorf("%s, %s: open: %d", name, caller, got.Code)
			}
		}
	}
}

// TestErrorHandlerThatChoosesNoStatus: a refusal is never a 200, whatever the
// ErrorHandler leaves out.
func TestErrorHandlerThatChoosesNoStatus(t *testing.T) {
	for name, c := range map[string]struct {
		handler func(http.ResponseWriter, *http.Request, *clerkauth.Error)
		status  int
		body    string
	}{
		"writes nothing": {func(http.ResponseWriter, *http.Request, *clerkauth.Error) {}, 403, ""},
		"writes a body":  {func(w http.ResponseWriter, _ *http.Request, _ *clerkauth.Error) { fmt.Fprint(w, "no") }, 403, "no"},
		"flushes": {func(w http.ResponseWriter, _ *http.Request, _ *clerkauth.Error) {
			_ = http.NewResponseController(w).Flush()
		}, 403, ""},
		"informs and leaves": {func(w http.ResponseWriter, _ *http.Request, _ *clerkauth.Error) { w.WriteHeader(http.StatusEarlyHints) }, 403, ""},
		"chooses":            {func(w http.ResponseWriter, _ *http.Request, _ *clerkauth.Error) { w.WriteHeader(http.StatusTeapot) }, 418, ""},
		"chooses 200":        {func(w http.ResponseWriter, _ *http.Request, _ *clerkauth.Error) { w.WriteHeader(http.StatusOK) }, 200, ""},
		"is http.Error": {func(w http.ResponseWriter, _ *http.Request, err *clerkauth.Error) {
			http.Error(w, "no", err.Status)
		}, 403, "no\n"},
	} {
		t.Run(name, func(t *testing.T) {
			r := testkit.NewRig(t, func(config *clerkauth.Config) { config.ErrorHandler = c.handler })
			server := httptest.NewServer(r.Auth.Require(clerkauth.Role("owner"))(http.NotFoundHandler()))
			defer server.Close()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			testkit.Bearer(r.Jane.Token())(req)
			resp, err := server.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != c.status || string(body) != c.body {
				t.Errorf("%d %q %v", resp.StatusCode, body, err)
			}
		})
	}
}

// TestReverificationBody: the body is the one that Clerk's browser SDKs respond to
// with a dialog.
func TestReverificationBody(t *testing.T) {
	r := testkit.NewRig(t)
	stale := testkit.Bearer(r.Jane.Token(clerkauthtest.WithClaim("fva", []int{99999, 99999})))
	for want, access := range map[string]clerkauth.Access{
		`"strict_mfa"`: clerkauth.ReverifiedStrictMFA, `"strict"`: clerkauth.ReverifiedStrict, `"moderate"`: clerkauth.ReverifiedModerate, `"lax"`: clerkauth.ReverifiedLax,
		`{"afterMinutes":1,"level":"first_factor"}`:      clerkauth.Reverified(clerkauth.FirstFactor, time.Minute),
		`{"afterMinutes":90,"level":"second_factor"}`:    clerkauth.Reverified(clerkauth.SecondFactor, 90*time.Minute),
		`{"afterMinutes":0.5,"level":"multi_factor"}`:    clerkauth.Reverified(clerkauth.MultiFactor, 30*time.Second),
		`{"afterMinutes":10,"level":"second_factor"}`:    clerkauth.Reverified(clerkauth.SecondFactor, 10*time.Minute),
		`{"afterMinutes":60000,"level":"second_factor"}`: clerkauth.Reverified(clerkauth.SecondFactor, 1000*time.Hour),
	} {
		got := testkit.Serve(r.Auth.Require(access), stale)
		body := `{"clerk_error":{"metadata":{"reverification":` + want + `},"reason":"reverification-error","type":"forbidden"}}`
		if got.Status != 403 || got.Entered || strings.TrimSpace(got.Body) != body {
			t.Errorf("%s: %v", access, got)
		}
	}
	// Only callers who would be let in after it are told to reverify.
	testkit.WantReply(t, testkit.Serve(r.Auth.Require(clerkauth.ReverifiedStrict, clerkauth.Role("owner")), stale), 403, clerkauth.ErrForbidden)
	testkit.WantReply(t, testkit.Serve(r.Auth.Require(clerkauth.Role("owner"), clerkauth.ReverifiedStrict), stale), 403, clerkauth.ErrForbidden)
	testkit.WantReply(t, testkit.Serve(r.Auth.Require(clerkauth.ReverifiedStrict)), 401, clerkauth.ErrTokenMissing)
	// Of two requirements, the first one is reported.
	got := testkit.Serve(r.Auth.Require(clerkauth.ReverifiedLax, clerkauth.ReverifiedStrict), stale)
	if !strings.Contains(got.Body, `"lax"`) {
		t.Errorf("%v", got)
	}
}

// TestVaryIsAdded: Vary is added to the values set by others, once.
func TestVaryIsAdded(t *testing.T) {
	r := testkit.NewRig(t)
	for _, before := range []string{"", "Accept", "authorization, Accept", "Accept, Authorization"} {
		got := testkit.Serve(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if before != "" {
					w.Header().Set("Vary", before)
				}
				r.Identified()(next).ServeHTTP(w, req)
			})
		}, testkit.Bearer(r.Jane.Token()))
		vary := strings.ToLower(strings.Join(got.Header["Vary"], ", "))
		if strings.Count(vary, "authorization") != 1 || !strings.HasPrefix(vary, strings.ToLower(before)) {
			t.Errorf("after %q: %q", before, vary)
		}
	}
}
