package clerkauth

import (
	"context"
	"crypto/rsa"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/clerkauth/clerkauth/internal/csrf"
	"github.com/clerkauth/clerkauth/internal/keyset"
	"github.com/clerkauth/clerkauth/internal/notice"
	"github.com/clerkauth/clerkauth/internal/resource"
)

// Authenticator authenticates HTTP requests for one Clerk instance. Each Authenticator
// has its own key cache. It is safe for concurrent use and need not be closed. The zero
// value is not usable: [New] returns one.
type Authenticator struct {
	// Behind a pointer, so that printing whatever holds an Authenticator shows
	// an address.
	core *core
}

type core struct {
	rules        // what is accepted of a verified credential
	accept kinds // which kinds of credentials
	// Where keys and the Backend API are.
	jwtKey  *rsa.PublicKey
	keys    *keyset.Set
	secret  Secret
	notices *notice.Log
	// operator is told of lasting mistakes.
	operator     *operator
	backend      *url.URL
	frontendHost string // where the public key set is
	transport    http.RoundTripper
	opaque       *opaque
	browsers     *browsers // nil if no cookie is read
	// describes says that there are described resources: see ResourceMetadata.
	describes atomic.Bool
	// authorizationServer is the issuer of OAuth tokens: the Frontend API.
	authorizationServer string
	// frontends are the origins at which browsers call the Frontend API.
	frontends []string
	proxy     frontendProxy
	// How to answer.
	pages        pages
	hide         bool
	notFound     http.Handler
	credential   func(*http.Request) string
	vary         string // the names of headers that responses depend on
	csrf         *csrf.Protection
	errorHandler func(http.ResponseWriter, *http.Request, *Error)
	log          *slog.Logger
	now          func() time.Time
	seed         maphash.Seed // of hashes of credentials
}

// Middleware wraps a handler. It is assignable to func(http.Handler) http.Handler, which
// routers take.
type Middleware func(http.Handler) http.Handler

// Func wraps a handler function.
func (m Middleware) Func(h http.HandlerFunc) http.Handler { return m(h) }

// Authenticate authenticates r. It writes nothing. Inside [Authenticator.Handler] or a
// guard it returns their result, if r carries the same credential.
func (a *Authenticator) Authenticate(r *http.Request) State {
	p := a.core.present(r)
	state := a.core.stateOf(r, &p)
	if id := a.core.identityOf(r.Context(), &p); id != nil && id.of.detached && id.state.machine != nil && id.state.machine.verified {
		a.core.choose(r.Context(), &state, id.state.machine.kind.set())
	}
	state.vary = a.core.vary
	return state
}

// Handler authenticates requests and passes them to next, where [FromContext] returns
// the caller: it is a guard for [Public]. Requests without credentials are anonymous, and
// so are bearers of credentials that are not of this instance, such as another issuer's
// JWT or a cron job's secret, and those whose keys cannot be fetched: [Auth.Err] returns
// the reason. An invalid session token of this instance is rejected with 401. Machine
// credentials are not verified until a route requires their kind; elsewhere their bearers
// are anonymous.
//
// The cookies of browsers are read where there is no bearer token; see [BrowserConfig]. A
// document may be answered with a redirect that renews them, and an invalid cookie makes
// its sender anonymous.
//
// Headers that belong on responses are added when they are written: Vary, and a
// Cache-Control that keeps them out of shared caches, unless the handler of an open route
// sets another. For that, handlers get a ResponseWriter of our own, which has the methods
// of net/http's, except that [http.MaxBytesReader] cannot make the server close the
// connection; [http.MaxBytesHandler] around this one does.
func (a *Authenticator) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.pass(w, r, Public.policy(), next)
	})
}

// Require returns middleware that admits only callers satisfying all requirements, or
// any signed-in user if there are none. Handlers behind it find the caller with
// [FromContext].
//
// It stands behind routing, so no path is compared and nothing can disagree with the
// router. It works with and without [Authenticator.Handler] around it.
//
// It panics if a requirement is nil or can never be satisfied, as http.ServeMux does on
// an invalid pattern.
func (a *Authenticator) Require(requirements ...Access) Middleware {
	return a.guard("Require", required(requirements))
}

// Validate returns an error if a requirement is nil or if no caller can ever satisfy all
// of them: what [Authenticator.Require] panics with. It is for adapters that call
// [Authenticator.Check] on requests.
func (a *Authenticator) Validate(requirements ...Access) error {
	if err := a.core.validate(required(requirements)); err != nil {
		return fmt.Errorf("clerkauth: %w", err)
	}
	return nil
}

// validate is Validate for a policy. It warns of credentials that would always be
// refused.
func (a *core) validate(p *policy) error {
	if err := p.validate(a.accept); err != nil {
		return err
	}
	if p.named()&^a.accept != 0 {
		a.log.Warn("clerkauth: a route requires credentials that Config.Accept leaves out; they will be refused", "access", p.String())
	}
	return nil
}

// guard is Require for a policy; name is that of the caller's function, for the panic.
func (a *Authenticator) guard(name string, p *policy) Middleware {
	if err := a.core.validate(p); err != nil {
		panic("clerkauth: " + name + ": " + err.Error())
	}
	return func(next http.Handler) http.Handler {
		if next == nil {
			panic("clerkauth: " + name + ": handler is nil")
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a.pass(w, r, p, next)
		})
	}
}

// pass serves r by next if its caller satisfies p.
func (a *Authenticator) pass(w http.ResponseWriter, r *http.Request, p *policy, next http.Handler) {
	if p.op == opUnchecked && r.Method != http.MethodConnect {
		next.ServeHTTP(w, anonymous(r))
		return
	}
	of := a.core.present(r)
	state := a.core.stateOf(r, &of)
	if a.core.redirects(w, &state, p) {
		return
	}
	err := a.core.authorize(r.Context(), &state, p, r)
	if err == nil {
		err = state.postponement()
	}
	switch {
	case err == nil:
		a.core.serve(w, r, next, &state, &of, !p.open)
	case a.core.hides(r, err, p):
		a.core.hideFrom(w, r, &state, &of)
	default:
		a.core.refuse(w, r, &state, err, p)
	}
}

// Check is like [Authenticator.Require] for frameworks that do not use http.Handler. It
// returns a context carrying the caller, or the context of r and an *[Error], whose
// Status is 404 if [Config.HideUnauthorized] hides the route. It writes no response: see
// [Error.Header], and, for a request that is let through, [State.Header] of Authenticate
// with the returned context.
// Requirements that no caller could ever satisfy refuse everybody.
func (a *Authenticator) Check(r *http.Request, requirements ...Access) (context.Context, error) {
	p := required(requirements)
	if p.possible() != nil {
		return r.Context(), newError(ErrForbidden, nil)
	}
	if p.op == opUnchecked && r.Method != http.MethodConnect {
		return anonymous(r).Context(), nil
	}
	of := a.core.present(r)
	state := a.core.stateOf(r, &of)
	err := state.redirection(p, a.core.accept)
	if err == nil {
		err = a.core.authorize(r.Context(), &state, p, r)
	}
	if err == nil {
		err = state.postponement()
	}
	if err != nil {
		state.vary = a.core.vary
		err.header = state.Header()
		switch {
		case err.Status == http.StatusTemporaryRedirect: // hidden routes have it, too
		case a.core.hides(r, err, p):
			err.Status = http.StatusNotFound
		case challenges(err):
			err.challenge = challenge(err, r, p)
		}
		return r.Context(), err.describe()
	}
	return a.core.with(r, &state, &of).Context(), nil
}

// CheckToken is like [Authenticator.Check] for a credential of any kind that came some
// other way than in a request: in a websocket's first message, the payload of a GraphQL
// connection, a queue, a function's event. It returns a context carrying the caller, or
// ctx and an *[Error].
//
// Guards of the same Authenticator believe that caller in requests with that context which
// present no credential by themselves; cookies do not count. Each of them checks again that
// the session token has not expired, and verifies an API key or opaque token again, from
// the cache if that still holds: a revocation may go unnoticed for
// [MachineConfig.CacheTTL]. A connection that outlives its token needs a new one. With ""
// for the token, CheckToken decides again about the caller that an earlier CheckToken has
// put into ctx; a caller whom a request's header identifies is not taken over.
//
// [CheckRequest] and [OrganizationParam] are never met without a request, and CheckToken
// does not look at where a connection came from: check its Origin when it is made. A
// session that could not be verified because keys were unavailable, on an [Optional] route,
// stays unverified in the context: call CheckToken again.
func (a *Authenticator) CheckToken(ctx context.Context, token string, requirements ...Access) (context.Context, error) {
	p, state := required(requirements), State{}
	if p.possible() != nil {
		return ctx, newError(ErrForbidden, nil)
	}
	switch {
	case p.op == opUnchecked:
	case token != "":
		// Guards verify it again, when the memory of a message may have been reused.
		state = a.core.authenticateToken(ctx, strings.Clone(token), fromHeader)
	default:
		if id := a.core.identityOf(ctx, &presented{}); id != nil && id.of.detached {
			state = a.core.renewed(&id.state)
		}
	}
	if err := a.core.authorize(ctx, &state, p, nil); err != nil {
		return ctx, err.describe()
	}
	return a.core.identify(ctx, &state, &presented{detached: true}), nil
}

// authorize returns why the caller in s is refused by a route with that policy, or nil. The
// error belongs to the caller of authorize. Every guard calls it. r is nil for a token
// that is in no request. Afterwards s is what was decided about: a machine's credential is
// verified first if the policy has a use for its kind, and its bearer is anonymous if
// not.
func (a *core) authorize(ctx context.Context, s *State, p *policy, r *http.Request) *Error {
	if r != nil && r.Method == http.MethodConnect {
		// http.ServeMux does not clean its target, and what a wildcard of its
		// matched may not be there.
		return newError(ErrRequestTarget, nil)
	}
	if s.machine != nil {
		a.choose(ctx, s, p.takes(a.accept))
	}
	e := evaluation{policy: p, who: s.who, request: r, accept: a.accept, audience: a.audience}
	if s.who.machine() {
		e.place, e.described = resource.PlaceOf(ctx), a.describes.Load()
	}
	if p.timed {
		e.now = a.now()
	}
	for {
		d := decide(s, &e)
		if d.check == nil {
			a.refusedAudience(d.audience, p)
			if d.refusal == nil {
				return nil
			}
			refusal := d.refusal.own()
			refusal.by = d.by
			return refusal
		}
		met, err := d.check.run(a.checked(ctx, s), a.log, r, s.who)
		e.answer(d.check, met, err)
	}
}
