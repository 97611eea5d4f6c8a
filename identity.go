package clerkauth

import (
	"context"
	"hash/maphash"
	"net/http"
	"strings"
	"sync"

	"github.com/clerk/clerk-sdk-go/v2"

	"github.com/clerkauth/clerkauth/internal/response"
	"github.com/clerkauth/clerkauth/internal/sdkclaims"
)

// identity is the context in which a request's State is kept. Only the Authenticator that
// made it believes it.
type identity struct {
	context.Context
	// key and val are what context.WithValue would hold: fiber v2's net/http adaptor
	// copies fields of these names, in this order, to fiber's context.
	key identityKey //nolint:unused // it is read by reflection
	val any         // the identity itself

	state State
	by    *core
	of    *credential     // that state is about
	out   response.Writer // of the response, if this is the identity of the outermost guard

	sdkOnce sync.Once
	sdk     *clerk.SessionClaims
}

// credential is what an identity belongs to; it is not believed beside another one. It is
// behind one pointer more, because fmt follows the first where a verb does not fit.
type credential struct{ *presented }

// presented is what a request presents.
type presented struct {
	lines    int    // of the Authorization header
	line     string // the first
	own      string // what Config.Credential returned, without such a header
	failed   bool   // it panicked
	cookie   string // the lines of Cookie
	cross    bool   // another site may have caused the request, with own or cookie
	hash     uint64 // of these: their memory may have been written to since, as fasthttp does
	detached bool   // it came by CheckToken, not in a request
}

// present returns what r presents.
func (a *core) present(r *http.Request) presented {
	p := presented{lines: len(r.Header["Authorization"])}
	switch {
	case p.lines > 0:
		p.line = r.Header["Authorization"][0]
	case a.credential != nil:
		p.own, p.failed = a.callCredential(r)
	}
	if a.browsers != nil && p.own == "" && !p.failed {
		p.cookie = strings.Join(r.Header["Cookie"], "; ")
	}
	if r.Host == "" {
		a.presentCall(r, &p)
	} else {
		p.cross = (p.own != "" || p.cookie != "") && a.csrf.CrossSite(r)
	}
	if text := p.line + p.own; text != "" { // one of them is empty
		p.hash = maphash.String(a.seed, text)
	}
	if p.cookie != "" {
		p.hash ^= maphash.String(a.seed, p.cookie)
	}
	return p
}

// presentCall sets what a request without a host presents, such as an adapter makes of a
// remote procedure call. Cookies belong to a host (RFC 6265 section 5.4), so they count only
// inside of a request with a host that was authenticated with the same ones, where it was
// also found out whether another site may have caused it.
func (a *core) presentCall(r *http.Request, p *presented) {
	id, ok := r.Context().Value(identityKey{}).(*identity)
	switch {
	case ok && id.by == a && id.of.cookie == p.cookie && id.of.own == p.own:
		p.cross = id.of.cross
	default:
		p.cookie = ""
		p.cross = p.own != "" && a.csrf.CrossSite(r)
	}
}

// none reports whether nothing is presented.
func (p *presented) none() bool { return p.lines == 0 && p.own == "" && !p.failed }

// is reports whether an identity of p belongs to a request that presents r. Two lines, of
// which either may be meant, are rejected in any case.
func (p *presented) is(r *presented) bool {
	if p.detached {
		return r.none()
	}
	return *p == *r && r.lines <= 1 && !r.failed
}

// identify returns an identity in ctx, in one piece of memory.
func (a *core) identify(ctx context.Context, state *State, of *presented) *identity {
	all := &struct {
		identity
		credential
		of presented
	}{identity: identity{Context: ctx, state: *state, by: a}, of: *of}
	all.credential.presented = &all.of
	all.identity.of, all.val = &all.credential, &all.identity
	return &all.identity
}

// checked returns ctx for the application's checks of the caller in s: the outer identity
// may be another one.
func (a *core) checked(ctx context.Context, s *State) context.Context {
	id, ok := ctx.Value(identityKey{}).(*identity)
	if ok && id.state.same(s) {
		return ctx
	}
	return newIdentity(ctx, *s)
}

// newIdentity returns an identity in ctx that no Authenticator believes.
func newIdentity(ctx context.Context, state State) *identity {
	id := &identity{Context: ctx, state: state}
	id.val = id
	return id
}

// identityOf returns the identity that a established for a request that presents p; nil
// if there is none, or one for another credential.
func (a *core) identityOf(ctx context.Context, p *presented) *identity {
	if id, ok := ctx.Value(identityKey{}).(*identity); ok && id.by == a && id.of.is(p) {
		return id
	}
	return nil
}

// Value returns the identity itself, and the session claims that handlers written for
// clerk-sdk-go look for.
func (c *identity) Value(key any) any {
	switch key {
	case identityKey{}:
		return c
	case sdkclaims.Key:
		if claims := c.sessionClaims(); claims != nil {
			return claims
		}
		return nil
	}
	return c.Context.Value(key)
}

// stateOf returns the State of a request that presents p: that of the identity in its
// context, if there is one for this credential.
func (a *core) stateOf(r *http.Request, p *presented) State {
	id := a.identityOf(r.Context(), p)
	switch {
	case id == nil:
		s := a.authenticate(r, p)
		s.vary, s.fresh = a.vary, true
		s.debug = a.browsers != nil && a.browsers.debug
		return s
	case id.of.detached:
		return a.renewed(&id.state)
	default:
		s := id.state
		s.fresh = false
		return s
	}
}

// renewed returns s as it is now: an identity that belongs to no request may be older than
// its credential is valid. A machine's credential is verified again, from the cache if
// that still holds.
func (a *core) renewed(s *State) State {
	now := *s
	if m := s.machine; m != nil {
		now = anonymously(errOtherType)
		now.machine = &machineCredential{unverified: m.unverified}
		return now
	}
	if expires := s.who.ExpiresAt; s.who.SignedIn() && !expires.After(a.now().Add(-a.skew)) {
		return rejected(newError(ErrTokenExpired, nil))
	}
	return now
}

// serve calls next with the caller in s, who presents of in r. The headers that belong on
// the response are added when they are written, by the writer of the outermost guard.
func (a *core) serve(w http.ResponseWriter, r *http.Request, next http.Handler, s *State, of *presented, guarded bool) {
	out := response.Of(w)
	id := a.identityOf(r.Context(), of)
	if id == nil || out == nil || !id.state.same(s) {
		if id != nil {
			of = id.of.presented
		}
		id = a.identify(r.Context(), s, of)
		r = r.WithContext(id)
	}
	own := out == nil
	if own {
		out = &id.out
		out.Init(w)
		w = out.ResponseWriter()
	}
	out.Vary(a.vary)
	if guarded {
		out.Guard()
	}
	if s.fresh {
		if s.flow != nil {
			out.SetCookie(s.flow.setCookies)
		}
		for name, lines := range s.debugHeader() {
			out.SetHeader(name, lines[0])
		}
	}
	next.ServeHTTP(w, r)
	if own {
		out.Finish()
	}
}

// with returns r with the caller in s, who presents of in it, in its context.
func (a *core) with(r *http.Request, s *State, of *presented) *http.Request {
	if id := a.identityOf(r.Context(), of); id != nil {
		if id.state.same(s) {
			return r
		}
		of = id.of.presented
	}
	return r.WithContext(a.identify(r.Context(), s, of))
}

// anonymous returns r with no caller in its context. Guards authenticate it anew.
func anonymous(r *http.Request) *http.Request {
	ctx := r.Context()
	if ctx.Value(identityKey{}) == nil && ctx.Value(sdkclaims.Key) == nil {
		return r
	}
	return r.WithContext(newIdentity(ctx, State{}))
}
