package clerkauth

import (
	"context"
	"crypto/rsa"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"

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
	// describes says that there are described resources: see ResourceMetadata.
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
