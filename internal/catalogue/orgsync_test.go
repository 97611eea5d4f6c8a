package catalogue

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// TestOrganizationSync: the path of a document changes which organization is active. What
// is allowed is for the route's requirement to say, with and without it.
func TestOrganizationSync(t *testing.T) {
	patterns := func(c *clerkauth.Config) {
		c.Browser.Organizations = clerkauth.OrganizationSync{Organizations: []string{"/orgs/{slug}", "/orgs/{slug}/{rest...}", "/by-id/{id}"}, Personal: []string{"/me"}}
	}
	const sync = "handshake active-organization-mismatch"
	for _, production := range []bool{true, false} {
		b := newBrowserRig(t, production, patterns) // Jane is an admin of acme
		b.Server.CreateOrganization("victim")
		good := cookiesOf(b.Jane)
		for path, target := range map[string]string{ // "": no other organization
			"/orgs/acme": "", "/orgs/acme/x/y": "", "/orgs/victim": "victim", "/orgs/victim/x": "victim", "/ORGS/victim": "victim", "/orgs/Acme": "Acme", "/orgs/acme%20": "acme%20",
			"/orgs/%61cme": "%61cme", "/orgs/victim/": "victim", "/by-id/org_x": "org_x", "/by-id/victim": "victim", "/me": "-", "/me/": "-", "/me/x": "",
			"/other": "", "/": "", "/x/orgs/victim": "", "//orgs/victim": "", "/orgs": "", "/orgs/": "", "/orgs//victim": "", "/orgs%2fvictim": "", "/orgs/acme?slug=victim": "",
		} {
			what, got := b.outcome(testkit.AsUnknownPage, good.send, at(path))
			u, _ := url.Parse(got.Header.Get("Location"))
			switch {
			case target == "" && what != "in", target != "" && what != sync:
				t.Errorf("production %v, %s: %s", production, path, what)
			case target != "" && (len(u.Query()["organization_id"]) != 1 || u.Query().Get("organization_id") != map[bool]string{true: "", false: target}[target == "-"]):
				t.Errorf("production %v, %s: %v", production, path, u.Query()["organization_id"])
			}
			// Whoever cannot be redirected goes on with the organization that is active.
			for name, edit := range map[string]func(*http.Request){
				"a script": asScript, "a form": func(r *http.Request) { r.Method = http.MethodPost }, "redirected thrice": good.with("__clerk_redirect_count=3").send,
				"a program": func(r *http.Request) { r.Header.Del("Cookie"); testkit.Bearer(b.Jane.Token())(r) },
			} {
				if what, _ := b.outcome(testkit.AsUnknownPage, good.send, at(path), edit); what != "in" {
					t.Errorf("production %v, %s, %s: %s", production, path, name, what)
				}
			}
		}
		pending := b.Server.SignIn(b.Jane.User, clerkauthtest.Pending())
		if got := b.page(cookiesOf(pending), at("/orgs/victim")); got != "out session-pending" {
			t.Errorf("production %v, pending: %s", production, got)
		}
		// Who is no member is refused by the route, after the handshake as before.
		mux := b.Auth.NewServeMux()
		mux.HandleFunc("/orgs/{slug}", clerkauth.OrganizationParam("slug"), testkit.Hello)
		guard := func(http.Handler) http.Handler { return mux }
		for path, want := range map[string]int{"/orgs/acme": 200, "/orgs/victim": 403, "/orgs/none": 403} {
			for name, c := range map[string]cookies{"after three": good.with("__clerk_redirect_count=3"), "not a page": good} {
				edit := testkit.AsUnknownPage
				if name == "not a page" {
					edit = asScript
				}
				if got := testkit.Serve(guard, edit, c.send, at(path)); got.Status != want {
					t.Errorf("production %v, %s, %s: %d, want %d", production, path, name, got.Status, want)
				}
			}
		}
		if got := testkit.Serve(guard, testkit.AsUnknownPage, good.send, at("/orgs/victim")); got.Status != http.StatusTemporaryRedirect || got.Entered {
			t.Errorf("production %v: %v", production, got)
		}
	}
}
