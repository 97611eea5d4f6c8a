package browsertest

import (
	"context"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/clerkauth/clerkauth/clerkauthtest"
)

// suite is what the tests share.
type suite struct {
	browser context.Context
	secure  *late
}

func TestBrowser(t *testing.T) {
	s := suite{secure: new(late)}
	server := httptest.NewTLSServer(s.secure)
	t.Cleanup(server.Close)
	s.browser = startChromium(t, server.Listener.Addr())
	for _, c := range []struct {
		name string
		test func(*testing.T, suite)
	}{
		{"a session is refreshed", refreshes},
		{"a session is renewed by a handshake", renews},
		{"production", inProduction},
		{"people return to where they were", returns},
		{"forms", forms},
		{"forms of other sites", formsOfOtherSites},
		{"a form that is sent late", lateForm},
		{"htmx 2", func(t *testing.T, s suite) { htmx(t, s, "htmx2") }},
		{"htmx 4", func(t *testing.T, s suite) { htmx(t, s, "htmx4") }},
		{"organizations by URL", organizations},
		{"sign-out", signsOut},
		{"a page that stays open", staysOpen},
		{"a satellite", satellite},
		{"it is good to look at", looks},
	} {
		t.Run(c.name, func(t *testing.T) {
			began := time.Now()
			c.test(t, s)
			t.Logf("%.1f s", time.Since(began).Seconds())
		})
	}
}

// expired is longer than a session token is valid.
const expired = 2 * time.Minute

// redirects checks which redirects a page took, by what their URLs end with.
func (r *request) check(t *testing.T, what string, ends ...string) {
	t.Helper()
	ok := len(r.redirects) == len(ends)
	for i, end := range ends {
		ok = ok && strings.HasSuffix(r.redirects[i], end)
	}
	if !ok {
		t.Errorf("%s: %v, not after %v", what, r, ends)
	}
}

const handshake = "/v1/client/handshake"

func refreshes(t *testing.T, s suite) {
	b := development(t, s, nil).newPerson(t).first
	b.signIn(janesEmail)
	b.shows("/dashboard", "Hello, Jane Doe")
	b.reload().check(t, "a session that is valid")
	b.later(expired)
	b.reload().check(t, "an expired session")
	b.shows("/dashboard", "Hello, Jane Doe")
	b.clerk.RotateKeys() // the instance does not know the expired token any more
	b.later(expired)
	b.reload().check(t, "an expired session with other keys", "/dashboard", handshake, "/dashboard")
	b.shows("/dashboard", "Hello, Jane Doe")
	b.later(24 * time.Hour)
	b.open(b.base+"/").check(t, "a day later, on a public page")
	b.shows("/", "Go to your notes")
}

func renews(t *testing.T, s suite) {
	b := development(t, s, nil, clerkauthtest.WithoutRefreshTokens()).newPerson(t).first
	b.signIn(janesEmail)
	for _, name := range []string{"an expired session", "an expired session with other keys"} {
		b.later(expired)
		// In development the result of a handshake is in the URL, which the last one removes.
		b.reload().check(t, name, "/dashboard", handshake, "/dashboard")
		b.shows("/dashboard", "Hello, Jane Doe")
		if at := b.at(); at != b.base+"/dashboard" {
			t.Errorf("%s: the address is %s", name, at)
		}
		b.reload().check(t, "right after it")
		b.clerk.RotateKeys()
	}
}

func inProduction(t *testing.T, s suite) {
	for name, options := range map[string][]clerkauthtest.Option{"refresh": nil, "handshake": {clerkauthtest.WithoutRefreshTokens()}} {
		b := production(t, s, options...).newPerson(t).first
		b.open(b.base+"/").check(t, name+": a stranger")
		b.click("nav a.button").check(t, name+": a stranger on the dashboard", "/dashboard")
		b.enter(janesEmail)
		b.shows("/dashboard", "Hello, Jane Doe")
		b.later(expired)
		if name == "refresh" {
			b.reload().check(t, name)
		} else {
			b.reload().check(t, name, "/dashboard", handshake)
		}
		b.shows("/dashboard", "Hello, Jane Doe")
		b.clerk.RotateKeys()
		b.later(expired)
		b.reload().check(t, name+": with other keys", "/dashboard", handshake)
		b.shows("/dashboard", "Hello, Jane Doe")
		b.later(expired)
		if r := b.open(b.base + "/orgs/birch/"); len(r.redirects) > 2 {
			t.Errorf("%s: %v", name, r)
		}
		b.shows("/orgs/birch/", "org:member")
		b.click("header form button").check(t, name+": sign-out", "/sign-out")
		b.shows("/", "Sign in")
		b.reload().check(t, name+": signed out")
		b.open(b.base+"/dashboard").check(t, name+": signed out", "/dashboard")
	}
}

func returns(t *testing.T, s suite) {
	b := development(t, s, nil).newPerson(t).first
	b.most = 3 // in development a new browser gets a token first
	b.open(b.base + "/orgs/acme/?from=mail")
	b.most = 2
	b.later(time.Minute)
	b.enter(janesEmail)
	b.shows("/orgs/acme/", "org:admin")
	if at := b.at(); at != b.base+"/orgs/acme/?from=mail" {
		t.Errorf("the address is %s", at)
	}
	// A link on a page of another site.
	page, handler := listen(t)
	handler.set(html(`<a href="` + b.base + `/dashboard">notes</a>`))
	for range 2 {
		b.open(page.URL)
		b.click("a")
		b.shows("/dashboard", "Hello, Jane Doe")
		b.later(expired)
	}
	// Another user.
	b.signOut()
	b.signIn(johnsEmail)
	b.shows("/dashboard", "Hello, John Roe")
}

func forms(t *testing.T, s suite) {
	p := development(t, s, nil).newPerson(t)
	b := p.first
	b.signIn(janesEmail)
	b.fill("#text", "milk & honey")
	b.click(".entry button").check(t, "a form", "/notes")
	b.shows("/dashboard", "milk & honey")
	b.open(b.base + "/orgs/acme/")
	b.hides("milk")
	b.fill("#text", "meet on Monday")
	b.click(".entry button").check(t, "a form of an organization", "/orgs/acme/notes")
	b.shows("/orgs/acme/", "meet on Monday")
	john := b.newPerson(t).first
	john.signIn(johnsEmail)
	john.hides("milk")
	john.open(b.base + "/orgs/acme/")
	john.shows("/orgs/acme/", "meet on Monday")
}

func formsOfOtherSites(t *testing.T, s suite) {
	b := development(t, s, nil).newPerson(t).first
	b.signIn(janesEmail)
	page, handler := listen(t)
	handler.set(html(`<form method="post" action="` + b.base + `/notes"><input name="text" value="planted"><button>send</button></form>
		<form id="out" method="post" action="` + b.base + `/sign-out"><button>out</button></form>`))
	for name, at := range map[string]string{"another port": named(page, "localhost"), "another site": page.URL} {
		for _, button := range []string{"form button", "#out button"} {
			b.open(at)
			if r := b.click(button); r.status != 403 && r.status != 401 || name == "another port" && r.status != 403 {
				t.Errorf("%s: %v", name, r)
			}
		}
	}
	b.open(b.base + "/dashboard")
	b.shows("/dashboard", "Hello, Jane Doe")
	b.hides("planted")
}

// lateForm: pages alone renew a session, so that what was entered goes through one.
func lateForm(t *testing.T, s suite) {
	for name, options := range map[string][]clerkauthtest.Option{"refresh": nil, "handshake": {clerkauthtest.WithoutRefreshTokens()}} {
		b := development(t, s, nil, options...).newPerson(t).first
		b.signIn(janesEmail)
		for _, path := range []string{"/dashboard", "/orgs/acme/"} {
			b.later(expired)
			b.open(b.base + path)
			b.fill("#text", "a long thought: ä & ö")
			b.later(expired)
			if r := b.click(".entry button"); r.status != 401 {
				t.Errorf("%s: %v", name, r)
			}
			b.hides("There are no notes")
			b.click(".entry button")
			b.shows(path, "There are no notes")
			b.click(".entry button")
			b.shows(path, "a long thought: ä & ö")
		}
	}
}

func htmx(t *testing.T, s suite, version string) {
	script, err := os.ReadFile("node_modules/" + version + "/dist/htmx.min.js")
	if err != nil {
		t.Skipf("htmx is not installed: %v", err)
	}
	w := development(t, s, script)
	p := w.newPerson(t)
	b := p.first
	b.signIn(janesEmail)
	pages := b.count("/dashboard")
	b.fill("#text", "by htmx")
	b.do("save", chromedp.Click(chromedp.CSS(".entry button")))
	b.waitFor(`document.querySelector(".notes").innerText.includes("by htmx")`)
	if b.count("/notes") != 1 {
		t.Errorf("requests:\n%s", b.log())
	}
	b.later(expired)
	b.do("refresh", chromedp.Click(chromedp.CSS(".entry a")))
	b.waitFor(`document.querySelector("#text").value === ""`)
	b.waitFor(`document.querySelectorAll("main section").length === 1 && !document.querySelector(".htmx-request")`)
	r := b.requests[len(b.requests)-1]
	if r.check(t, "a fragment with an expired session"); r.status != 200 || b.count("/notes") != 2 || b.count("/dashboard") != pages {
		t.Errorf("requests:\n%s", b.log())
	}
	b.shows("/dashboard", "by htmx")
	// Somebody who has signed out in another tab is sent to sign in.
	other := p.newTab(t)
	other.open(w.base + "/dashboard")
	other.signOut()
	b.loads("refresh", chromedp.Click(chromedp.CSS(".entry a")))
	b.shows("/sign-in", "local stand-in")
	b.enter(janesEmail)
	b.shows("/dashboard", "by htmx")
}

func organizations(t *testing.T, s suite) {
	b := development(t, s, nil).newPerson(t).first
	b.signIn(janesEmail)
	for _, c := range []struct{ slug, role string }{{"acme", "org:admin"}, {"birch", "org:member"}, {"acme", "org:admin"}} {
		b.later(expired)
		b.open(b.base + "/orgs/" + c.slug + "/")
		b.shows("/orgs/"+c.slug+"/", c.role)
		b.reload().check(t, "the active organization")
	}
	b.click("aside a.button")
	b.shows("/orgs/acme/settings", "Only admins")
	b.open(b.base + "/dashboard")
	b.click(`.links a[href="/orgs/birch/"]`)
	b.shows("/orgs/birch/", "org:member")
	b.later(expired)
	if r := b.click("aside a.button"); r.status != 403 {
		t.Errorf("%v", r)
	}
	b.shows("/orgs/birch/settings", "admins")
	john := b.newPerson(t).first
	john.signIn(johnsEmail)
	john.most = 6 // in development it is tried three times, as by Clerk's SDKs
	if r := john.open(b.base + "/orgs/birch/"); r.status != 403 {
		t.Errorf("an organization of others: %v", r)
	}
	john.open(b.base + "/dashboard")
	john.shows("/dashboard", "Hello, John Roe")
}

func signsOut(t *testing.T, s suite) {
	p := development(t, s, nil).newPerson(t)
	b, other := p.first, p.newTab(t)
	b.signIn(janesEmail)
	b.fill("#text", "a secret")
	b.click(".entry button")
	other.open(b.base + "/dashboard")
	other.shows("/dashboard", "a secret")
	b.signOut()
	b.shows("/", "Sign in")
	b.hides("Sign out")
	b.back()
	b.hides("a secret")
	b.hides("Jane Doe")
	other.reload()
	other.shows("/sign-in", "Sign in")
	other.hides("Jane Doe") // the session has ended at the instance, too
	other.back()
	other.hides("a secret")
}

// staysOpen: the script of a page renews the session, and leaves the page when there is
// none any more.
func staysOpen(t *testing.T, s suite) {
	p := development(t, s, nil).newPerson(t)
	b := p.first
	b.signIn(janesEmail)
	b.fill("#text", "a draft")
	b.later(expired)
	if _, err := evaluate[any](b, "renew().then(() => { window.done = true }), 0"); err != nil {
		t.Fatal(err)
	}
	b.waitFor("window.done === true")
	b.click(".entry button").check(t, "a form after it", "/notes")
	b.shows("/dashboard", "a draft")
	other := p.newTab(t)
	other.open(b.base + "/dashboard")
	other.signOut()
	b.loads("renew", chromedp.Evaluate[chromedp.Void]("renew(), 0"))
	b.shows("/sign-in", "Sign in")
	b.hides("a draft")
}

func looks(t *testing.T, s suite) {
	b := development(t, s, nil).newPerson(t).first
	dir := t.ArtifactDir()
	shoot := func(name string) {
		t.Helper()
		for screen, size := range map[string][2]int64{"phone": {390, 844}, "desktop": {1280, 800}} {
			b.do(screen, chromedp.EmulateViewport(size[0], size[1], func(p1 *emulationParams, _ *touchParams) { p1.Mobile = screen == "phone" }))
			if wide, err := evaluate[bool](b, "document.documentElement.scrollWidth > innerWidth"); err != nil || wide {
				t.Errorf("%s on a %s is too wide, or %v", name, screen, err)
			}
			ctx, cancel := context.WithTimeout(b.ctx, patience)
			image, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
			cancel()
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(dir+"/"+name+"-"+screen+".png", image, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.open(b.base + "/")
	shoot("home")
	b.click("nav a.button")
	shoot("sign-in")
	b.enter(janesEmail)
	for _, text := range slices.Backward([]string{"Water the tomatoes before the weekend.", "Ask Grace about the compiler.\nShe is back on Monday.",
		"https://example.com/a/very/long/address/that/has/no/spaces/in/it/and/goes/on/and/on/and/on"}) {
		b.fill("#text", text)
		b.click(".entry button")
	}
	shoot("dashboard")
	b.open(b.base + "/orgs/acme/")
	shoot("organization")
	b.fill("#text", "A thought that took more than a minute to write down.")
	b.later(expired)
	b.click(".entry button")
	shoot("late-form")
	b.open(b.base + "/")
	b.signOut()
	b.signIn(johnsEmail)
	b.open(b.base + "/orgs/acme/settings")
	shoot("refusal")
}
