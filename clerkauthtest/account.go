package clerkauthtest

import (
	"net/http"
	"strings"
)

// accountPage shows who is signed in, or the way to sign in.
func (s *Server) accountPage(w http.ResponseWriter, _ *http.Request, p *page) {
	if p.session == nil {
		seeOther(w, p.link(signInPath))
		return
	}
	s.showAccount(w, p)
}

// showAccount shows the signed-in user, their organizations and the way back.
func (s *Server) showAccount(w http.ResponseWriter, p *page) {
	p.Title = "Account"
	s.fill(p)
	show(w, http.StatusOK, "account", p)
}

// fill fills in what p shows of its session.
func (s *Server) fill(p *page) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := p.session.User
	p.Name = strings.TrimSpace(u.firstName + " " + u.lastName)
	p.Identifier, p.Pending = u.identifier(), p.session.pending
	for _, m := range u.memberships() {
		o := m.organization
		p.Organizations = append(p.Organizations, pageOrganization{o.ID, o.Slug, m.role, o == p.session.Organization})
	}
	p.Continue = s.returnURL(p.session.client, p.to).String()
	if p.Pending {
		p.Continue = p.link(tasksPath)
	}
}

// switchOrganization makes an organization the active one, or none.
func (s *Server) switchOrganization(w http.ResponseWriter, r *http.Request, p *page) {
	switch {
	case p.session == nil:
		seeOther(w, p.link(signInPath))
	case !r.PostForm.Has("organization_id") || !s.choose(p.session, r.PostForm.Get("organization_id")):
		s.showProblem(w, http.StatusUnprocessableEntity, "You are not a member of this organization.")
	default:
		s.changed(w, r, p)
	}
}

// changed sends the browser back after a change to its session. In production the newer
// __client_uat makes the application ask for a new token.
func (s *Server) changed(w http.ResponseWriter, r *http.Request, p *page) {
	c := p.session.client
	now := s.Now()
	s.mu.Lock()
	c.updatedAt = now
	s.mu.Unlock()
	s.writeClient(w, r, c)
	s.returnTo(w, c, p.to)
}

// signOutBrowser ends the session of the browser.
func (s *Server) signOutBrowser(w http.ResponseWriter, r *http.Request, p *page) {
	if p.session == nil {
		redirect(w, http.StatusSeeOther, p.to)
		return
	}
	p.session.end()
	s.changed(w, r, p)
}

// tasksPage asks a user with a pending session to choose an organization.
func (s *Server) tasksPage(w http.ResponseWriter, _ *http.Request, p *page) {
	if p.session == nil {
		seeOther(w, p.link(signInPath))
		return
	}
	p.Title = "Choose an organization"
	s.fill(p)
	if !p.Pending {
		s.returnTo(w, p.session.client, p.to)
		return
	}
	show(w, http.StatusOK, "tasks", p)
}

// completeTask makes a pending session active: with the organization that was chosen, or
// as it is if the user has none to choose from.
func (s *Server) completeTask(w http.ResponseWriter, r *http.Request, p *page) {
	if p.session == nil {
		seeOther(w, p.link(signInPath))
		return
	}
	s.fill(p)
	id := r.PostForm.Get("organization_id")
	if id == "" && len(p.Organizations) > 0 || !s.choose(p.session, id) {
		p.Title, p.Problem = "Choose an organization", "Choose one of your organizations."
		show(w, http.StatusUnprocessableEntity, "tasks", p)
		return
	}
	s.mu.Lock()
	p.session.pending = false
	s.mu.Unlock()
	s.changed(w, r, p)
}
