package clerkauthtest

import "net/http"

// signUpPage asks for an identifier and a name and then, as they have been entered, for
// the code.
func (s *Server) signUpPage(w http.ResponseWriter, r *http.Request, p *page) {
	p.Title = "Sign up"
	if p.session != nil {
		s.showAccount(w, p)
		return
	}
	if r.Form.Get("identifier") == "" {
		show(w, http.StatusOK, "sign-up", p)
		return
	}
	if p.Problem = s.newIdentifier(r, p); p.Problem != "" {
		show(w, http.StatusUnprocessableEntity, "sign-up", p)
		return
	}
	show(w, http.StatusOK, "sign-up-code", p)
}

const (
	taken         = "There is an account with this identifier. Sign in instead."
	longestName   = 100
	nameIsTooLong = "This name is too long."
)

// newIdentifier reads the form into p and returns what is wrong with it, or "".
func (s *Server) newIdentifier(r *http.Request, p *page) (problem string) {
	p.FirstName, p.LastName = r.Form.Get("first_name"), r.Form.Get("last_name")
	p.Identifier = r.Form.Get("identifier")
	identifier, ok := testIdentifier(p.Identifier)
	if !ok {
		return noTestIdentifier
	}
	p.Identifier = identifier
	if len(p.FirstName) > longestName || len(p.LastName) > longestName {
		return nameIsTooLong
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.findUser(identifier) != nil {
		return taken
	}
	return ""
}

// signUpByCode creates a user and signs them in.
func (s *Server) signUpByCode(w http.ResponseWriter, r *http.Request, p *page) {
	p.Title = "Sign up"
	if p.Problem = s.newIdentifier(r, p); p.Problem != "" {
		show(w, http.StatusUnprocessableEntity, "sign-up", p)
		return
	}
	if r.PostForm.Get("code") != testCode {
		p.Problem = wrongCode
		show(w, http.StatusUnprocessableEntity, "sign-up-code", p)
		return
	}
	session := s.signUp(r, p)
	if session == nil { // somebody else was faster
		p.Problem = taken
		show(w, http.StatusUnprocessableEntity, "sign-up", p)
		return
	}
	s.signedIn(w, r, p, session)
}

// signUp creates the user of p with a session, or returns nil if there is one with that
// identifier.
func (s *Server) signUp(r *http.Request, p *page) *Session {
	email, opts := p.Identifier, []UserOption{Name(p.FirstName, p.LastName)}
	if isPhone(p.Identifier) {
		email, opts = "", append(opts, PhoneNumber(p.Identifier))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.findUser(p.Identifier) != nil {
		return nil
	}
	return s.signInBrowser(r, s.createUser(email, opts...))
}
