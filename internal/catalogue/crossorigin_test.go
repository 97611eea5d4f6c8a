package catalogue

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

var _ = addRows(rows{
	"278/cross_origin_mcp_client": func(t *testing.T) {
		t.Run("discovery", discoveryByAPage)
		t.Run("documents", documentsAtEveryPath)
		t.Run("not found", notFoundBesideDocuments)
	},
})

// allowPages is the CORS of an application that pages of any origin may call.
func allowPages(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Expose-Headers", "Mcp-Session-Id")
		if r.Method == http.MethodOptions {
			w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Mcp-Protocol-Version")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

const pageOrigin = "https://inspector.example"

var metadataURL = regexp.MustCompile(`resource_metadata="https://api\.example\.com([^"]+)"`)

// discoveryByAPage: a page that knows only the URL of a resource reads where its metadata
// is, and the metadata, and then what its tokens lack.
func discoveryByAPage(t *testing.T) {
	r, describe := described(t, nil, clerkauth.Resource{URL: mcp, Scopes: []string{"notes:read"}})
	write := clerkauth.Token(clerkauth.OAuthToken, clerkauth.Scope("notes:write"))
	guarded := describe(r.Auth.Handler(r.Auth.Require(write)(http.HandlerFunc(testkit.Hello))))
	p := testkit.Page{Origin: pageOrigin, Server: allowPages(guarded)}
	header := func(token string) map[string]string {
		h := map[string]string{"Content-Type": "application/json", "Mcp-Protocol-Version": "2025-06-18"}
		if token != "" {
			h["Authorization"] = "Bearer " + token
		}
		return h
	}
	aud := clerkauthtest.WithClaim("aud", mcp)
	for name, c := range map[string]struct {
		token  string
		status int
		want   string
	}{
		"no token":        {"", 401, `Bearer scope=`},
		"an expired one":  {r.OAuth.JWT(aud, clerkauthtest.ExpiresIn(-time.Hour)), 401, `error="invalid_token"`},
		"another scope":   {r.OAuth.JWT(aud), 403, `error="insufficient_scope"`},
		"what it needs":   {r.OAuth.JWT(aud, clerkauthtest.WithClaim("scope", "notes:write")), 200, ""},
		"another kind":    {r.Jane.Token(), 401, `error="invalid_token"`},
		"someone else's":  {r.OAuth.JWT(), 401, `error="invalid_token"`},
		"not well formed": {"x y", 401, `error="invalid_token"`},
	} {
		for _, target := range []string{"/mcp", "/mcp/", "/mcp/sse"} {
			got, err := p.Fetch(http.MethodPost, target, header(c.token))
			challenge := got.Header.Get("WWW-Authenticate")
			if err != nil || got.Status != c.status || !strings.Contains(challenge, c.want) || (c.want == "") != (challenge == "") {
				t.Errorf("%s, %s: %d %q, %v", name, target, got.Status, challenge, err)
				continue
			}
			if c.want == "" {
				continue
			}
			at := metadataURL.FindStringSubmatch(challenge)
			if at == nil {
				t.Errorf("%s, %s: no document in %q", name, target, challenge)
				continue
			}
			document, err := p.Fetch(http.MethodGet, at[1], header(""))
			if err != nil || document.Status != 200 || !strings.Contains(document.Body, `"resource":"`+mcp+`"`) {
				t.Errorf("%s, %s: %v, %v", name, target, document, err)
			}
		}
	}
	// What it has decided already, stays.
	own := testkit.Page{Origin: pageOrigin, Server: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "https://app.example.com")
		guarded.ServeHTTP(w, r)
	})}
	if _, err := own.Fetch(http.MethodGet, "/.well-known/oauth-protected-resource", nil); err == nil {
		t.Error("the application's CORS is overruled")
	}
	// The application's CORS decides whether a page reads anything, and outside of the
	// resource also whether it reads the challenge.
	if _, err := (testkit.Page{Origin: pageOrigin, Server: guarded}).Fetch(http.MethodPost, "/mcp", header("")); err == nil {
		t.Error("without CORS there is an answer to the preflight")
	}
	if got, err := p.Fetch(http.MethodPost, "/other", header("")); err != nil || got.Status != 401 || got.Header.Get("WWW-Authenticate") != "" {
		t.Errorf("outside: %v, %v", got, err)
	}
	if got := testkit.Serve(func(h http.Handler) http.Handler { return describe(h) }, at("/other")); got.Header["Access-Control-Expose-Headers"] != nil {
		t.Errorf("outside: %v", got.Header)
	}
}

// documentsAtEveryPath: clients derive the path of a document from the resource's URL, with
// a slash at its end or without, and try the root's; there it is only as long as it is the
// one. Pages read it without the application's CORS.
func documentsAtEveryPath(t *testing.T) {
	const wellKnown = "/.well-known/oauth-protected-resource"
	one := []clerkauth.Resource{{URL: mcp}}
	slash := []clerkauth.Resource{{URL: mcp + "/"}}
	two := []clerkauth.Resource{{URL: mcp}, {URL: notes}}
	both := []clerkauth.Resource{{URL: mcp}, {URL: mcp + "/"}}
	root := []clerkauth.Resource{{URL: mcp}, {URL: "https://api.example.com"}}
	for _, c := range []struct {
		resources []clerkauth.Resource
		path      string
		want      string // the resource; "": 404
	}{
		{one, wellKnown + "/mcp", mcp}, {one, wellKnown + "/mcp/", mcp}, {one, wellKnown, mcp}, {one, wellKnown + "/", mcp},
		{slash, wellKnown + "/mcp", mcp + "/"}, {slash, wellKnown + "/mcp/", mcp + "/"}, {slash, wellKnown, mcp + "/"},
		{both, wellKnown + "/mcp", mcp}, {both, wellKnown + "/mcp/", mcp + "/"},
		{two, wellKnown + "/mcp/", mcp}, {two, wellKnown + "/notes", notes}, {two, wellKnown, ""}, {two, wellKnown + "/", ""},
		{root, wellKnown, "https://api.example.com"}, {root, wellKnown + "/", "https://api.example.com"}, {root, wellKnown + "/mcp", mcp},
		{one, wellKnown + "/mcp/x", ""}, {one, wellKnown + "/mcp//", ""}, {one, wellKnown + "//", ""}, {one, wellKnown + "x", ""}, {one, wellKnown + "/MCP", ""},
	} {
		r, describe := described(t, nil, c.resources...)
		protect, err := r.Auth.Protect(nil)
		if err != nil {
			t.Fatal(err)
		}
		p := testkit.Page{Origin: pageOrigin, Server: describe(protect(http.HandlerFunc(testkit.Hello)))}
		got, err := p.Fetch(http.MethodGet, c.path, nil)
		var document struct{ Resource string }
		if c.want != "" && err == nil {
			err = json.Unmarshal([]byte(got.Body), &document)
		}
		if want := map[bool]int{true: 404, false: 200}[c.want == ""]; err != nil || got.Status != want || document.Resource != c.want {
			t.Errorf("%v at %s: %d %q, %v", c.resources, c.path, got.Status, document.Resource, err)
		}
		if c.want == "" {
			continue
		}
		if got, err = p.Fetch(http.MethodGet, c.path, map[string]string{"Mcp-Protocol-Version": "2025-06-18"}); err != nil || got.Status != 200 {
			t.Errorf("%s: a preflight: %v, %v", c.path, got, err)
		}
	}
}

// notFoundBesideDocuments: where clients look for documents that this server does not
// have, nothing requires a token.
func notFoundBesideDocuments(t *testing.T) {
	r, describe := described(t, nil, clerkauth.Resource{URL: mcp})
	const unknown, application = "/.well-known/oauth-authorization-server", "/.well-known/oauth-application"
	protect, err := r.Auth.Protect(clerkauth.Rules{"/{$}": clerkauth.Public, application: clerkauth.Public})
	if err != nil {
		t.Fatal(err)
	}
	mux := func(h http.Handler) http.Handler {
		m := r.Auth.NewServeMux()
		m.Handle("/", clerkauth.SignedIn, h)
		m.Handle("GET /{$}", clerkauth.Public, h)
		m.Handle(application, clerkauth.Public, h)
		return m
	}
	adapter := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r2 *http.Request) {
			if ctx, err := r.Auth.Check(r2); err == nil {
				h.ServeHTTP(w, r2.WithContext(ctx))
			} else {
				w.WriteHeader(err.(*clerkauth.Error).Status)
			}
		})
	}
	expired := testkit.Bearer(r.Jane.Token(clerkauthtest.ExpiresIn(-time.Hour)))
	for name, guard := range map[string]clerkauth.Middleware{"Protect": protect, "ServeMux": mux, "Require": r.Auth.Require(), "Check": adapter} {
		inside := func(h http.Handler) http.Handler { return describe(guard(h)) }
		for _, target := range []string{unknown, unknown + "/mcp", "/.well-known/oauth-protected-resource/notes", "/.well-known/oauth-", unknown + "/../x"} {
			for caller, edit := range map[string]func(*http.Request){"nobody": at(target), "a page": testkit.AsPage, "an expired token": expired} {
				got := testkit.Serve(inside, edit, at(target))
				if got.Status != 404 || got.Entered || got.Header.Get("WWW-Authenticate") != "" || got.Header.Get("Access-Control-Allow-Origin") != "*" || got.Header["Access-Control-Expose-Headers"] != nil {
					t.Errorf("%s, %s for %s: %v", name, target, caller, got)
				}
			}
		}
		if got := testkit.Serve(inside, testkit.Bearer(r.Jane.Token()), at(unknown)); !got.Entered {
			t.Errorf("%s: the application's own document for a user: %v", name, got)
		}
		for _, target := range []string{"/other", "/.well-known/other", "/.well-known/oauth", "//.well-known/oauth-x", "/x/.well-known/oauth-x", "/.well-known/OAUTH-x"} {
			if got := testkit.Serve(inside, at(target)); got.Status != 401 || got.Entered {
				t.Errorf("%s, %s: %v", name, target, got)
			}
		}
		if got := testkit.Serve(guard, at(unknown)); got.Status != 401 {
			t.Errorf("%s, nothing is described: %v", name, got)
		}
		if name == "Protect" || name == "ServeMux" {
			if got := testkit.Serve(inside, at(application)); !got.Entered {
				t.Errorf("%s: a public document of the application's: %v", name, got)
			}
		}
	}
}
