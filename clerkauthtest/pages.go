package clerkauthtest

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
)

//go:embed pages.html
var pagesHTML string

//go:embed pages.css
var pagesCSS string

var pageTemplates = template.Must(template.New("pages").Parse(pagesHTML))

// pagePolicy is the Content-Security-Policy of pages. They have no scripts, and the hash is
// that of their only style. There is no form-action, which browsers also apply to where the
// answer of a form redirects.
var pagePolicy = func() string {
	digest := sha256.Sum256([]byte(pagesCSS))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) + "'; base-uri 'none'; frame-ancestors 'none'"
}()

// SignInURL returns the URL of the page where people sign in: with an email address with
// +clerk_test, or a phone number such as +1 (555) 555-0100, and the code 424242. It takes
// the application's URL to return to as redirect_url, which must be on loopback or of the
// application, as [Origin] names it. Pages are served by the Server itself: in memory,
// through its transport alone.
func (s *Server) SignInURL() string { return s.URL + signInPath }

// SignUpURL returns the URL of the page where people sign up.
func (s *Server) SignUpURL() string { return s.URL + signUpPath }

// AccountURL returns the URL of the page where signed-in people choose their active
// organization and sign out.
func (s *Server) AccountURL() string { return s.URL + accountPath }

// Paths of pages: those of Clerk's account portal. Clerk's libraries add /tasks to the
// sign-in page for pending sessions.
const (
	signInPath       = "/sign-in"
	tasksPath        = "/sign-in/tasks"
	signUpPath       = "/sign-up"
	signOutPath      = "/sign-out"
	accountPath      = "/user"
	organizationPath = "/organization"
)

func (s *Server) pageRoutes() {
	handle := func(pattern string, h func(http.ResponseWriter, *http.Request, *page)) {
		s.mux.Handle(pattern, route{AccountPages, s.ours(s.page(h))})
	}
	handle("GET "+signInPath, s.signInPage)
	handle("POST "+signInPath, s.signInByCode)
	handle("GET "+tasksPath, s.tasksPage)
	handle("POST "+tasksPath, s.completeTask)
	handle("GET "+signUpPath, s.signUpPage)
	handle("POST "+signUpPath, s.signUpByCode)
	handle("GET "+signOutPath, s.accountPage)
	handle("POST "+signOutPath, s.signOutBrowser)
	handle("GET "+accountPath, s.accountPage)
	handle("POST "+organizationPath, s.switchOrganization)
}

// page is what a page shows.
type page struct {
	Style       template.CSS
	Code        string
	Title       string
	Problem     string
	RedirectURL string // as it came, for links and forms of pages; "" if none came

	Identifier          string // in its normal form, once it has been entered
	FirstName, LastName string
	Users               []string // identifiers of users who can sign in here
	Name                string   // of the signed-in user
	Organizations       []pageOrganization
	Pending             bool
	Continue            string // where to go on

	to      *url.URL // where to return to
	session *Session // of the browser, or nil
}

type pageOrganization struct {
	ID, Slug, Role string
	Active         bool
}

// page wraps the handler of a page: a form is accepted only from the page itself, and
// nobody is sent to a URL that is not known.
func (s *Server) page(next func(http.ResponseWriter, *http.Request, *page)) http.HandlerFunc {
	protection := http.NewCrossOriginProtection()
	return func(w http.ResponseWriter, r *http.Request) {
		if protection.Check(r) != nil {
			s.showProblem(w, http.StatusForbidden, "This form was sent by another site.")
			return
		}
		if r.ParseForm() != nil {
			s.showProblem(w, http.StatusBadRequest, "This form cannot be read.")
			return
		}
		p := &page{RedirectURL: r.Form.Get("redirect_url")}
		var ok bool
		if p.to, ok = s.redirectURL(p.RedirectURL); p.RedirectURL == "" {
			p.to, ok = s.redirectURL(s.origin + "/")
		}
		if !ok {
			s.showProblem(w, http.StatusBadRequest, "The redirect_url is neither on this machine nor of the application. clerkauthtest.Origin names the application's origin.")
			return
		}
		p.session = s.sessionOfPage(r)
		next(w, r, p)
	}
}

// sessionOfPage returns the session of the browser that requests a page, or nil. Pages are
// on the Frontend API's own host, so that its cookie alone counts, and no dev browser that
// a link may bring.
func (s *Server) sessionOfPage(r *http.Request) *Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.browserOfCookie(r).live()
}

func (s *Server) showProblem(w http.ResponseWriter, status int, problem string) {
	show(w, status, "problem", &page{Title: "This does not work", Problem: problem})
}

// show writes a page.
func show(w http.ResponseWriter, status int, name string, p *page) {
	p.Style, p.Code = template.CSS(pagesCSS), testCode //nolint:gosec // it is constant
	var body bytes.Buffer
	if err := pageTemplates.ExecuteTemplate(&body, name, p); err != nil {
		panic("clerkauthtest: " + err.Error()) // no value makes a template fail
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes())
}

// link returns the path of another page, which returns to the same URL.
func (p *page) link(path string) string {
	if p.RedirectURL == "" {
		return path
	}
	return path + "?" + url.Values{"redirect_url": {p.RedirectURL}}.Encode()
}

// SignIn and SignUp are links from each of these pages to the other.
func (p *page) SignIn() string { return p.link(signInPath) }

// SignUp is described with SignIn.
func (p *page) SignUp() string { return p.link(signUpPath) }

// Account is the link to the account page.
func (p *page) Account() string { return p.link(accountPath) }

// returnTo sends the browser back to the application after a change to c. In development
// the dev browser is in the URL: it makes the application perform a handshake, which also
// finds the client where cookies do not.
func (s *Server) returnTo(w http.ResponseWriter, c *client, to *url.URL) {
	redirect(w, http.StatusSeeOther, s.returnURL(c, to))
}

func (s *Server) returnURL(c *client, to *url.URL) *url.URL {
	if s.production {
		return to
	}
	return withParam(to, cookieDevBrowser, c.devBrowser)
}
