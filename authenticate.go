package clerkauth

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/clerkauth/clerkauth/internal/jws"
)

// State is what an [Authenticator] found out about one request: who is calling,
// or why that is not known, and the headers it wants written.
type State struct {
	who Auth
	err *Error
	// bad marks a credential that claims to be of this instance and is not good. It is
	// refused even on public routes: a caller who presents it wants to be known.
	bad    bool
	bearer bool // there is a bearer credential: this is a program, not a page
	// machine is the credential of a machine. It waits for a route that takes its
	// kind; on all others its bearer is anonymous.
	machine *machineCredential
}

// machineCredential is a machine's credential, and what came of verifying it. It
// does not change. The credential is behind one pointer more, because fmt follows
// the first where a verb does not fit.
type machineCredential struct {
	*unverified
	verified bool
	who      Auth
	err      *Error
}

// Auth returns who is calling; the zero Auth for who is not signed in.
func (s State) Auth() Auth { return s.who }

// Err tells why the caller is not signed in, as an *[Error]; nil if he is.
func (s State) Err() error {
	if s.err == nil {
		return nil
	}
	e := *s.err
	return &e
}

// Header returns the headers that belong on the response, whatever it will be.
func (s State) Header() http.Header {
	return http.Header{"Vary": slices.Clone(vary)}
}

// vary names what answers depend on.
var vary = []string{"Authorization"}

// errMissing is the error of the many who present nothing. It is never handed
// out: see Err and refuse.
var errMissing = newError(ErrTokenMissing, nil)

// authenticate decides about a request. Everything else asks it.
func (a *core) authenticate(r *http.Request) State {
	token, err := bearerToken(r.Header["Authorization"])
	if err != nil {
		a.tellNoToken(err)
		return badToken(err)
	}
	if token == "" {
		return State{err: errMissing}
	}
	u, cerr := a.classify(token)
	if cerr != nil {
		a.tellNoToken(cerr)
		return badToken(cerr)
	}
	switch {
	case u.kind == kindUnrelated:
		// The application may know the credential; here, its bearer is anonymous.
		a.tellNoToken(u.err)
		if u.err.Reason == ErrTokenIssuer {
			a.refusedIssuer(&u.token)
		}
		s := badToken(u.err)
		s.bad = false
		return s
	case u.kind == kindForeign:
		return badToken(newError(ErrTokenType, nil))
	case u.kind != kindSession:
		// It waits for a route that takes its kind.
		s := otherType()
		if a.accept.has(u.kind) {
			own := u // so that session tokens need not be on the heap
			s.machine = &machineCredential{unverified: &own}
		}
		return s
	case !a.accept.has(kindSession):
		return otherType()
	}
	who, verr := a.verifySession(r.Context(), &u, fromHeader)
	if verr == nil {
		return State{who: who, bearer: true}
	}
	if errors.Is(verr, ErrSessionPending) || errors.Is(verr, ErrUnavailable) {
		s := badToken(verr)
		s.bad = false
		s.who.SessionStatus = who.SessionStatus
		return s
	}
	return badToken(verr)
}

// errOtherType is the error of the bearer of a credential of another kind.
var errOtherType = newError(ErrTokenType, nil)

// otherType is the State of the bearer of a credential of a kind that is not, or not
// yet, of use: an anonymous caller.
func otherType() State {
	return State{who: Auth{err: errOtherType}, err: errOtherType, bearer: true}
}

// choose makes s what a route is to decide about that takes credentials of the given
// kinds: the machine whose credential is in s, verified if it was not yet, or an
// anonymous caller, whatever a route around this one has taken it for.
func (a *core) choose(ctx context.Context, s *State, takes kinds) {
	credential := s.machine
	switch {
	case credential == nil:
		return
	case !takes.has(credential.kind):
		*s = otherType()
		s.machine = credential
		return
	case !credential.verified:
		who, err := a.verifyMachine(ctx, credential.unverified)
		credential = &machineCredential{unverified: credential.unverified, verified: true, who: who}
		if err != nil {
			credential.err = badToken(err).err
		}
	}
	if credential.err == nil {
		*s = State{who: credential.who, bearer: true}
	} else {
		*s = badToken(credential.err)
		s.bad = !errors.Is(credential.err, ErrUnavailable)
	}
	s.machine = credential
}

func badToken(err error) State {
	var e *Error
	if !errors.As(err, &e) {
		e = newError(ErrTokenInvalid, nil)
	}
	return State{who: Auth{err: e}, err: e, bad: true, bearer: true}
}

// bearerToken returns the token of an Authorization header, "" if it holds none
// or another scheme. The scheme is case-insensitive (RFC 9110 section 11.1) and
// followed by exactly one space; two headers are refused, because who reads the
// first and who reads the last would see different callers. The characters of a
// token that is too long are not looked at: its length is reason enough to refuse it.
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
		return "", newError(ErrTokenInvalid, notYetToken(token))
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
	return s.who.proof == other.who.proof && s.err == other.err && s.machine == other.machine
}

// write adds the headers of s to a response, each once.
func (s *State) write(h http.Header) {
	if len(h["Vary"]) == 0 {
		h["Vary"] = slices.Clone(vary) // a handler may write into what it finds
		return
	}
	for _, line := range h["Vary"] {
		for item := range strings.SplitSeq(line, ",") {
			if item = strings.TrimSpace(item); item == "*" || strings.EqualFold(item, vary[0]) {
				return
			}
		}
	}
	h.Add("Vary", vary[0])
}
