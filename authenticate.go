package clerkauth

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/clerkauth/clerkauth/internal/jws"
)

// State is the result of authenticating a request: the caller's identity, or the reason
// it could not be established, and the headers that belong on the response. It is a
// value; the zero State is of a request without credentials.
type State struct {
	who Auth // with why it is not known
	// bad marks a credential that claims to be of this instance and is not valid. It is
	// refused even on public routes: a caller who presents it wants to be known.
	bad    bool
	bearer bool   // there is a bearer credential: this is a program, not a page
	vary   string // what the response depends on, if it is not the Authorization header
	// machine is the credential of a machine, verified only for a route that takes its
	// kind; on all others its bearer is anonymous.
	machine *machineCredential
}

// machineCredential is a machine's credential, and the result of verifying it. It
// does not change. The credential is behind one pointer more, because fmt follows
// the first where a verb does not fit.
type machineCredential struct {
	*unverified
	verified bool
	who      Auth
	err      *Error
}

// Auth returns the caller's identity; the zero Auth if it is not established, but for
// its Err.
func (s State) Auth() Auth { return s.who }

// Err returns the *[Error] explaining why the request is unauthenticated, or nil.
func (s State) Err() error {
	if reason := s.reason(); reason != nil {
		return reason.own()
	}
	return nil
}

// reason returns why the caller is not known, or nil.
func (s *State) reason() *Error {
	if s.who.err == nil && !s.bearer {
		return errMissing
	}
	return s.who.err
}

// Header returns the headers that belong on the response, whatever it will be.
func (s State) Header() http.Header {
	return http.Header{"Vary": {cmp.Or(s.vary, "Authorization")}}
}

// Reasons that are met often, or cheaply by whoever sends garbage. None is handed out:
// see own.
var (
	errMissing   = newError(ErrTokenMissing, nil)
	errOtherType = newError(ErrTokenType, nil)
	errInvalid   = newError(ErrTokenInvalid, nil)
)

// authenticate is the one function that authenticates requests.
func (a *core) authenticate(r *http.Request, p *presented) State {
	if p.lines == 0 && a.credential != nil {
		return a.authenticateOwn(r, p)
	}
	token, err := bearerToken(r.Header["Authorization"])
	if err != nil {
		a.tellNoToken(err)
		return rejected(err)
	}
	if token == "" {
		return State{}
	}
	return a.authenticateToken(r.Context(), token, fromHeader)
}

// authenticateToken is authenticate for a credential that has been read.
func (a *core) authenticateToken(ctx context.Context, token string, from carrier) State {
	u, err := a.classify(token)
	if err != nil {
		a.tellNoToken(err)
		return rejected(err)
	}
	switch {
	case u.kind == kindUnrelated:
		// The application may know the credential; here, its bearer is anonymous.
		a.tellNoToken(u.err)
		if u.err.Reason == ErrTokenIssuer {
			a.refusedIssuer(&u.token)
		}
		return anonymously(u.err)
	case u.kind == kindForeign:
		return rejected(errOtherType)
	case u.kind != kindSession:
		s := anonymously(errOtherType)
		if a.accept.has(u.kind) {
			own := u // so that session tokens need not be on the heap
			s.machine = &machineCredential{unverified: &own}
		}
		return s
	case !a.accept.has(kindSession):
		return anonymously(errOtherType)
	}
	who, err := a.verifySession(ctx, &u, from)
	if err == nil {
		return State{who: who, bearer: true}
	}
	if err.Reason == ErrSessionPending || err.Reason.class() == ErrUnavailable {
		s := anonymously(err)
		s.who.SessionStatus = who.SessionStatus
		return s
	}
	return rejected(err)
}

// anonymously is the State of the bearer of a credential that is of no use here, or not
// yet: an anonymous caller.
func anonymously(why *Error) State { return State{who: Auth{err: why}, bearer: true} }

// rejected is the State of the bearer of an invalid credential of this instance.
func rejected(why *Error) State { return State{who: Auth{err: why}, bad: true, bearer: true} }

// choose makes s what a route is to decide about that takes credentials of the given
// kinds: the machine whose credential is in s, verified if it was not yet, or an
// anonymous caller, whatever a route around this one has taken it for.
func (a *core) choose(ctx context.Context, s *State, takes kinds) {
	credential := s.machine
	switch {
	case credential == nil:
		return
	case !takes.has(credential.kind):
		*s = anonymously(errOtherType)
		s.machine = credential
		return
	case !credential.verified:
		who, err := a.verifyMachine(ctx, credential.unverified)
		credential = &machineCredential{unverified: credential.unverified, verified: true, who: who, err: err}
	}
	switch err := credential.err; {
	case err == nil:
		*s = State{who: credential.who, bearer: true}
	case err.Reason.class() == ErrUnavailable:
		*s = anonymously(err)
	default:
		*s = rejected(err)
	}
	s.machine = credential
}

// bearerToken returns the token in an Authorization header, or "" if there is none or
// it uses another scheme. The scheme is case-insensitive (RFC 9110 section 11.1) and
// followed by exactly one space. Multiple Authorization headers are rejected:
// intermediaries disagree on which one wins. The characters of a token that is too long
// are not looked at: its length is reason enough to refuse it.
func bearerToken(lines []string) (string, *Error) {
	if len(lines) == 0 {
		return "", nil
	}
	if len(lines) > 1 {
		return "", newError(ErrTokenInvalid, errors.New("there is more than one Authorization header"))
	}
	const scheme = "bearer"
	line := lines[0]
	if len(line) < len(scheme) || !strings.EqualFold(line[:len(scheme)], scheme) {
		return "", nil
	}
	rest := line[len(scheme):]
	switch {
	case rest == "" || rest == " ":
		return "", nil
	case rest[0] != ' ' && rest[0] != '\t':
		return "", nil // another scheme that begins with these letters
	}
	token := rest[1:]
	if rest[0] == '\t' || len(token) <= jws.MaxLen && !oneWord(token) {
		return "", errInvalid.because(notYetToken(token))
	}
	return token, nil
}

// oneWord reports whether token is of visible ASCII, without commas, which would
// separate it from another one.
func oneWord(token string) bool {
	for i := range len(token) {
		if !wordCharacters[token[i]] {
			return false
		}
	}
	return true
}

var wordCharacters = func() (t [256]bool) {
	for c := '!'; c <= '~'; c++ {
		t[c] = c != ','
	}
	return t
}()

// same reports whether s and other were decided about as one caller.
func (s *State) same(other *State) bool {
	return s.who.proof == other.who.proof && s.who.err == other.who.err && s.bearer == other.bearer && s.machine == other.machine
}
