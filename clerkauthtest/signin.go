package clerkauthtest

import (
	"net/http"
	"slices"
)

const (
	noTestIdentifier = "Nothing is sent from here. Use an email address with +clerk_test in it, such as jane+clerk_test@example.com, or a phone number such as +1 (555) 555-0100."
	wrongCode        = "This is not the code."
)

// signInPage asks for an identifier and then, as it has been entered, for the code.
func (s *Server) signInPage(w http.ResponseWriter, r *http.Request, p *page) {
	p.Title = "Sign in"
	if to, ok := s.redirectURL(r.Form.Get("__clerk_redirect_url")); ok && !s.production {
		s.syncDevelopment(w, r, to)
		return
	}
	if p.session != nil {
		s.showAccount(w, p)
		return
	}
	entered := r.Form.Get("identifier")
	if entered == "" {
		s.askIdentifier(w, p, "")
		return
	}
	if _, problem := s.userFor(p, entered); problem != "" {
		s.askIdentifier(w, p, problem)
		return
	}
	show(w, http.StatusOK, "sign-in-code", p)
}

// userFor returns the user with the identifier that was entered, or what is wrong with it.
func (s *Server) userFor(p *page, entered string) (u *User, problem string) {
	identifier, ok := testIdentifier(entered)
	p.Identifier = entered
	if !ok {
		return nil, noTestIdentifier
	}
	p.Identifier = identifier
	s.mu.Lock()
	defer s.mu.Unlock()
	switch u := s.findUser(identifier); {
	case u == nil:
		return nil, "There is no account with this identifier."
	case u.banned:
		return nil, "This account is banned."
	default:
		return u, ""
	}
}

// askIdentifier shows the first step.
func (s *Server) askIdentifier(w http.ResponseWriter, p *page, problem string) {
	p.Problem, p.Users = problem, s.testUsers()
	show(w, statusOf(problem), "sign-in", p)
}

func statusOf(problem string) int {
	if problem != "" {
		return http.StatusUnprocessableEntity
	}
	return http.StatusOK
}

// testUsers returns the identifiers of the first users who can sign in on the page.
func (s *Server) testUsers() []string {
	const most = 8
	s.mu.Lock()
	defer s.mu.Unlock()
	var users []*User
	for _, u := range s.users {
		if _, ok := testIdentifier(u.identifier()); ok && !u.banned {
			users = append(users, u)
		}
	}
	slices.SortFunc(users, func(a, b *User) int {
		if a.before(b) {
			return -1
		}
		return 1
	})
	var list []string
	for _, u := range users[:min(most, len(users))] {
		list = append(list, u.identifier())
	}
	return list
}

// signInByCode signs a user in.
func (s *Server) signInByCode(w http.ResponseWriter, r *http.Request, p *page) {
	p.Title = "Sign in"
	u, problem := s.userFor(p, r.PostForm.Get("identifier"))
	switch {
	case problem != "":
		s.askIdentifier(w, p, problem)
	case r.PostForm.Get("code") != testCode:
		p.Problem = wrongCode
		show(w, http.StatusUnprocessableEntity, "sign-in-code", p)
	default:
		s.mu.Lock()
		session := s.signInBrowser(r, u)
		s.mu.Unlock()
		s.signedIn(w, r, p, session)
	}
}

// signInBrowser signs user in in the browser that sent r, as a new client: a name of the
// browser that somebody else may know must not become one of a signed-in browser. A
// session that it has is replaced. The caller holds mu.
func (s *Server) signInBrowser(r *http.Request, user *User) *Session {
	if old := s.browserOfCookie(r); old != nil {
		if session := old.live(); session != nil {
			session.ended = "replaced"
		}
		s.forget(old)
	}
	session := s.signIn(user)
	session.pending = s.forceOrganization
	return session
}

// signedIn sends a browser with a new session on.
func (s *Server) signedIn(w http.ResponseWriter, r *http.Request, p *page, session *Session) {
	s.writeClient(w, r, session.client)
	s.mu.Lock()
	pending := session.pending
	s.mu.Unlock()
	if pending {
		seeOther(w, p.link(tasksPath))
		return
	}
	s.returnTo(w, session.client, p.to)
}

// seeOther redirects to another page.
func seeOther(w http.ResponseWriter, path string) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", path)
	w.WriteHeader(http.StatusSeeOther)
}
