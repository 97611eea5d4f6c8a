package site

import (
	"bytes"
	"cmp"
	"context"
	"embed"
	"errors"
	"html/template"
	"net/http"
	"strings"

	"github.com/clerk/clerk-sdk-go/v2/user"

	"github.com/clerkauth/clerkauth"
)

//go:embed templates
var files embed.FS

var templates = template.Must(template.ParseFS(files, "templates/*.html"))

// page is what every page shows.
type page struct {
	Title string
	Who   clerkauth.Auth
	Nonce string // for script elements: see Authenticator.ContentSecurityPolicy
	HTMX  bool
	// Board is nil on pages without notes.
	Board *board

	SignUpURL     string         // of the home page
	Name          string         // of the dashboard
	Organizations []organization // of the dashboard
	Problem       string         // of refusals
}

type organization struct{ Name, Slug, Role string }

func (s *Site) page(r *http.Request, title string) page {
	return page{
		Title: title, Who: clerkauth.FromContext(r.Context()), Nonce: clerkauth.Nonce(r.Context()), HTMX: len(s.htmx) > 0,
	}
}

func (s *Site) home(w http.ResponseWriter, r *http.Request) {
	p := s.page(r, "Fieldnotes")
	p.SignUpURL = s.auth.SignUpURL(r)
	show(w, http.StatusOK, "home", p)
}

func (s *Site) dashboard(w http.ResponseWriter, r *http.Request) {
	p := s.page(r, "Your notes")
	p.Name, p.Organizations = s.name(r.Context(), p.Who.UserID), s.organizations(r.Context(), p.Who.UserID)
	b, _ := s.boardOf(r)
	p.Board = &b
	show(w, http.StatusOK, "dashboard", p)
}

func (s *Site) organization(w http.ResponseWriter, r *http.Request) {
	p := s.page(r, "Notes of "+r.PathValue("slug"))
	b, _ := s.boardOf(r)
	p.Board = &b
	show(w, http.StatusOK, "organization", p)
}

func (s *Site) settings(w http.ResponseWriter, r *http.Request) {
	show(w, http.StatusOK, "settings", s.page(r, "Settings of "+r.PathValue("slug")))
}

// name returns the name of a user as Clerk's Backend API says it, or the id, without a
// secret key or while that cannot be reached. Programs with more requests keep users in a
// table of their own: see examples/webhooks.
func (s *Site) name(ctx context.Context, id string) string {
	u, err := s.users.Get(ctx, id)
	if err != nil {
		return id
	}
	return cmp.Or(strings.TrimSpace(value(u.FirstName)+" "+value(u.LastName)), id)
}

// organizations returns those of a user, like name.
func (s *Site) organizations(ctx context.Context, id string) (list []organization) {
	memberships, err := s.users.ListOrganizationMemberships(ctx, id, &user.ListOrganizationMembershipsParams{})
	if err != nil {
		return nil
	}
	for _, m := range memberships.OrganizationMemberships {
		if o := m.Organization; o != nil && o.Slug != "" {
			list = append(list, organization{o.Name, o.Slug, strings.TrimPrefix(m.Role, "org:")})
		}
	}
	return list
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// refuse writes a page for a request that was refused. Pages that require a session do not
// come here: the browser is sent to sign in. A form does, if it is sent after the session
// token has expired, because only pages renew it: what was entered goes through the page
// of the form again.
func refuse(w http.ResponseWriter, r *http.Request, e *clerkauth.Error) {
	p := page{Title: "This did not work", Nonce: clerkauth.Nonce(r.Context()), Problem: "You may not do this."}
	retry, form := strings.CutSuffix(r.URL.Path, "notes")
	form = form && r.Method == http.MethodPost && !errors.Is(e, clerkauth.ErrCrossSite)
	switch {
	case errors.Is(e, clerkauth.ErrCrossSite):
		p.Problem = "This form was sent by another site."
	case errors.Is(e, clerkauth.ErrUnavailable):
		p.Title, p.Problem = "Please try again", "It cannot be checked just now who you are."
	case form:
		p.Title, p.Problem = "Please send it again", "Your session had to be renewed. Nothing was saved yet."
		r.Body = http.MaxBytesReader(w, r.Body, 8<<10)
		if retry == "/" {
			retry = "/dashboard"
		}
		p.Board = &board{Path: retry, Draft: clipped(r.PostFormValue("text"))}
	case errors.Is(e, clerkauth.ErrUnauthenticated):
		p.Problem = "You are not signed in."
	case r.PathValue("slug") != "":
		p.Problem = "This page is for members of " + r.PathValue("slug") + ", or for its admins alone."
	}
	show(w, e.Status, "refusal", p)
}

// show writes a page or a fragment.
func show(w http.ResponseWriter, status int, name string, data any) {
	var body bytes.Buffer
	if err := templates.ExecuteTemplate(&body, name, data); err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes())
}
