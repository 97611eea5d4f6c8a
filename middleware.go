package clerkauth

import (
	"context"
	"crypto/rsa"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"

	"github.com/clerkauth/clerkauth/internal/compact"
	"github.com/clerkauth/clerkauth/internal/keyset"
)

// Authenticator tells who calls a server, for one Clerk instance. It owns its
// keys: two Authenticators never share any. It is safe for concurrent use and
// there is nothing to close. Make it with [New].
type Authenticator struct {
	// Behind a pointer, so that printing whatever holds an Authenticator shows
	// an address.
	core *core
}

type core struct {
	// Whose tokens.
	issuers      []string
	audience     []string
	parties      parties
	skew         time.Duration
	allowPending bool
	accept       kinds
	machineID    string
	// Where keys and the Backend API are.
	jwtKey  *rsa.PublicKey
	keys    *keyset.Set
	secret  Secret
	notices *notices
	// operator is told of lasting mistakes.
	operator     *operator
	backend      *url.URL
	frontendHost string // where the public key set is
	transport    http.RoundTripper
	client       *http.Client
	opaque       *opaque
	// proxy is where browsers find the Frontend API, if not at its own host.
	proxy string
	// describes says that there are described resources: see ProtectedResource.
	describes atomic.Bool
	// authorizationServer is the issuer of OAuth tokens: the Frontend API.
	authorizationServer string
	// How to answer.
	pages        pages
	hide         bool
	notFound     http.Handler
	errorHandler func(http.ResponseWriter, *http.Request, *Error)
	log          *slog.Logger
	now          func() time.Time
}

// Middleware wraps a handler. It fits wherever func(http.Handler) http.Handler
// is taken.
type Middleware func(http.Handler) http.Handler

// Func wraps a handler function.
func (m Middleware) Func(h http.HandlerFunc) http.Handler { return m(h) }

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

// identity is the context in which a request's State is kept. It is believed by
// the Authenticator that made it and by no other.
type identity struct {
	context.Context
	state State
	by    *core
	of    *authorization // the credential that state is about

	sdkOnce sync.Once
	sdk     *clerk.SessionClaims
}

// authorization is the Authorization header of a request: an identity belongs to a
// credential, and is not believed beside another one. The line is behind two
// pointers, so that fmt does not print it.
type authorization struct {
	lines int
	line  *string // the first
}

// identify returns an identity for r, in one piece of memory.
func (a *core) identify(r *http.Request, state *State) *identity {
	all := &struct {
		identity
		of   authorization
		line string
	}{identity: identity{Context: r.Context(), state: *state, by: a}}
	lines := r.Header["Authorization"]
	if len(lines) > 0 {
		all.line = lines[0]
	}
	all.of = authorization{len(lines), &all.line}
	all.identity.of = &all.of
	return &all.identity
}

// is reports whether r carries the credential of c. Of two lines, which are refused
// in any case, it is not told which one was meant.
func (c *identity) is(r *http.Request) bool {
	lines := r.Header["Authorization"]
	return len(lines) == c.of.lines && (len(lines) == 0 || len(lines) == 1 && lines[0] == *c.of.line)
}

// identityOf returns the identity that a gave to r, nil if it gave none, or to a
// request with another credential.
func (a *core) identityOf(r *http.Request) *identity {
	if id, ok := r.Context().Value(identityKey{}).(*identity); ok && id.by == a && id.is(r) {
		return id
	}
	return nil
}

// Value finds the identity itself, and the session claims that handlers written
// for clerk-sdk-go ask for.
func (c *identity) Value(key any) any {
	switch key {
	case identityKey{}:
		return c
	case sdkClaimsKey:
		if claims := c.sessionClaims(); claims != nil {
			return claims
		}
		return nil
	}
	return c.Context.Value(key)
}

// Authenticate returns who sent r, and writes nothing. Inside of [Authenticator.Handler]
// or a guard it returns what they found, if r carries the same credential.
func (a *Authenticator) Authenticate(r *http.Request) State {
	if id := a.core.identityOf(r); id != nil {
		return id.state
	}
	return a.core.authenticate(r)
}

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
		// It is for somebody else to judge: here, its bearer is anonymous.
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
	if rest[0] == '\t' || len(token) <= compact.MaxLen && !oneWord(token) {
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

// Handler authenticates requests and passes them to next, where [FromContext]
// returns the caller. Requests without credentials are anonymous, and so are bearers
// of credentials that are not of this instance, such as another issuer's JWT or a
// cron job's secret, and those whose keys cannot be had: [Auth.Err] says why. An
// invalid session token of this instance is rejected with 401. Machine credentials
// are not verified until a route requires their kind; elsewhere their bearers are
// anonymous.
func (a *Authenticator) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		state := a.Authenticate(r)
		if state.machine != nil {
			a.core.choose(r.Context(), &state, kindSession.set()) // whatever a guard around this took it for
		}
		state.write(w.Header())
		if state.bad {
			a.core.refuse(w, r, &state, state.err, nil)
			return
		}
		next.ServeHTTP(w, a.core.with(r, &state))
	})
}

// Require returns a guard: handlers behind it are reached by callers who meet
// every one of the given demands, and see them with [FromContext]. Asked for
// nothing, it demands [SignedIn].
//
// It stands behind routing, so no path is compared and nothing can disagree with
// the router. It works with and without [Authenticator.Handler] around it.
//
// It panics on an Access that is nil or that nobody could ever meet, as
// http.ServeMux does on a bad pattern: that is a mistake in the program.
func (a *Authenticator) Require(demands ...Access) Middleware {
	return a.guard("Require", required(demands))
}

// required makes one Access of the demands on a route.
func required(demands []Access) Access {
	switch len(demands) {
	case 0:
		return SignedIn
	case 1:
		return demands[0]
	default:
		return AllOf(demands...)
	}
}

// guard is Require for one Access; who names the caller in what it panics with.
func (a *Authenticator) guard(who string, access Access) Middleware {
	if err := a.core.admits(access); err != nil {
		panic("clerkauth: " + who + ": " + err.Error())
	}
	return func(next http.Handler) http.Handler {
		if next == nil {
			panic("clerkauth: " + who + ": handler is nil")
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a.pass(w, r, access, next)
		})
	}
}

// pass serves r by next, if its sender meets access.
func (a *Authenticator) pass(w http.ResponseWriter, r *http.Request, access Access, next http.Handler) {
	state := a.Authenticate(r)
	err := a.core.decide(&state, access, r)
	if err != nil && a.core.hides(err, access) {
		a.core.hideFrom(w, r, &state)
		return
	}
	state.write(w.Header())
	if err != nil {
		a.core.refuse(w, r, &state, err, access)
		return
	}
	next.ServeHTTP(w, a.core.with(r, &state))
}

// Check asks the question of [Authenticator.Require] about r and writes nothing:
// for frameworks whose handlers are no http.Handlers. If r may pass it returns a
// context of r in which [FromContext] finds the caller. Otherwise it returns the
// context of r and an *[Error], whose Status is 404 if [Config.HideUnauthorized] hides
// it; an Access that nobody could ever meet refuses everybody.
func (a *Authenticator) Check(r *http.Request, demands ...Access) (context.Context, error) {
	access := required(demands)
	if possible(access) != nil {
		return r.Context(), newError(ErrForbidden, nil)
	}
	state := a.Authenticate(r)
	if err := a.core.decide(&state, access, r); err != nil {
		refusal := *err
		if a.core.hides(err, access) {
			refusal.Status = http.StatusNotFound
		} else if challenges(err) {
			refusal.challenge = challenge(err, resourceOf(r), asked(access))
		}
		return r.Context(), &refusal
	}
	return a.core.with(r, &state).Context(), nil
}

// decide tells why access is refused, nil if it is not. Afterwards s is what it was
// decided about: a machine's credential is verified first if access has a use for it,
// and its bearer is anonymous if not. Every guard asks it.
func (a *core) decide(s *State, access Access, r *http.Request) *Error {
	if r.Method == http.MethodConnect {
		// http.ServeMux does not clean its target, and what a wildcard of its
		// matched may not be there.
		return newError(ErrRequestTarget, nil)
	}
	if s.machine != nil {
		a.choose(r.Context(), s, a.takes(access))
	}
	if s.who.machine() {
		if err := a.judgeAudience(s, access, r); err != nil {
			return err
		}
	}
	return a.ask(s, access, r)
}

// ask asks access about the caller in s.
func (a *core) ask(s *State, access Access, r *http.Request) *Error {
	if s.bearer && s.machine == nil && s.err != nil && !open(access) && !a.takes(access).has(kindSession) {
		return newError(ErrTokenType, nil) // whatever else may be wrong with it
	}
	if s.bad {
		return s.err
	}
	v, failed := examine(r.Context(), a.log, access, query{who: s.who, request: r})
	if failed != nil {
		return newError(ErrUnavailable, checkError{failed})
	}
	switch v.outcome {
	case allowed:
		return nil
	case stale:
		err := newError(ErrReverification, nil)
		err.reverify = v.reverify
		return err
	case signedOut:
		switch {
		case s.err != nil:
			return s.err
		case v.audience:
			return newError(ErrTokenClaims, nil)
		case s.bearer:
			return newError(ErrTokenType, nil) // a good one, of another kind
		default:
			return newError(ErrUnauthenticated, nil)
		}
	default:
		if len(v.scopes) > 0 {
			err := newError(ErrScope, nil)
			err.scopes = v.scopes
			return err
		}
		return newError(ErrForbidden, nil)
	}
}

// with returns r with state in its context. A caller who presented nothing needs
// no place there, unless somebody else's identity has to be hidden.
func (a *core) with(r *http.Request, state *State) *http.Request {
	ctx := r.Context()
	if id := a.identityOf(r); id != nil && id.state.same(state) {
		return r
	}
	if state.err == errMissing && ctx.Value(identityKey{}) == nil && ctx.Value(sdkClaimsKey) == nil {
		return r
	}
	return r.WithContext(a.identify(r, state))
}

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
