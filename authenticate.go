package clerkauth

import (
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
	bearer bool // there is a bearer credential: this is a program, not a page
	// Of a request whose cookies were read:
	cookies   bool
	why       *Error // why it is signed out, in more detail than callers are told
	postponed bool   // the browser has to request the page again when the user goes there
	flow      *flow  // nil if the response needs nothing in addition
	fresh     bool   // no guard around this one has added it
	debug     bool   // it says why the caller is signed out
	vary      string // what the response depends on, if it is not the Authorization header
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

// Err returns the *[Error] explaining why the request is unauthenticated, or nil. Where
// cookies were read, its Reason is the code that Clerk's SDKs give.
func (s State) Err() error {
	reason := s.reason()
	if s.why != nil {
		reason = s.why
	}
	if reason != nil {
		return reason.own()
	}
	return nil
}

// reason returns why the caller is not known, or nil.
func (s *State) reason() *Error {
	switch {
	case s.who.err != nil:
		return s.who.err
	case !s.bearer && !s.who.SignedIn():
		return errMissing
	default:
		return nil
	}
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
	if p.own != "" || p.failed {
		return a.authenticateOwn(r, p)
	}
	token, err := bearerToken(r.Header["Authorization"])
	if err != nil {
		a.tellNoToken(err)
		return rejected(err)
	}
	browses := a.browsers != nil && r.Host != "" // see presentCall
	switch {
	case token == "" && browses:
		return a.authenticateBrowser(r, p, "")
	case token == "":
		return State{}
	}
	s := a.authenticateToken(r.Context(), token, fromHeader)
	if browses && s.bad && renewable(s.who.err) {
		return a.authenticateBrowser(r, p, token)
	}
	return s
}

// renewable reports whether the time alone is wrong with a token, so that a browser may be
// given another one.
func renewable(err *Error) bool {
	return err.Reason == ErrTokenExpired || err.Reason == ErrTokenEarly || err.Reason == ErrTokenFuture
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
	found := a.verifySession(ctx, &u, from, false)
	switch err := found.err; {
	case err == nil:
		return State{who: found.who, bearer: true}
	case err.Reason == ErrSessionPending, err.Reason.class() == ErrUnavailable:
		s := anonymously(err)
		s.who.SessionStatus = found.who.SessionStatus
		return s
	default:
		return rejected(err)
	}
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
	if credential == nil {
		return
	}
	defer func(vary string, fresh bool) { s.machine, s.vary, s.fresh = credential, vary, fresh }(s.vary, s.fresh)
	switch {
	case !takes.has(credential.kind):
		*s = anonymously(errOtherType)
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
}

// bearerToken returns the token in an Authorization header, or "" if there is none or
// it uses another scheme. The scheme is case-insensitive (RFC 9110 section 11.1) and
// followed by exactly one space. Multiple Authorization headers are rejected:
// intermediaries disagree on which one wins. So is one of a single word, with or without
// spaces after it: Clerk's SDKs take the word for a token, and no cookie stands in for it.
// The characters of a token that is too long are not looked at: its length is reason
// enough to refuse it.
func bearerToken(lines []string) (string, *Error) {
	switch {
	case len(lines) == 0 || len(lines) == 1 && lines[0] == "":
		return "", nil
	case len(lines) > 1:
		return "", newError(ErrTokenInvalid, errors.New("there is more than one Authorization header"))
	}
	scheme, token, _ := strings.Cut(lines[0], " ")
	switch {
	case token == "" || token[0] == ' ':
		return "", errInvalid.because(errOneWord)
	case !strings.EqualFold(strings.TrimRight(scheme, "\t"), "bearer"):
		return "", nil
	case len(scheme) > len("bearer"), len(token) <= jws.MaxLen && !oneWord(token):
		return "", errInvalid.because(notYetToken(token))
	}
	return token, nil
}

var errOneWord = errors.New("the Authorization header is a single word: send Bearer, one space and the token")

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
