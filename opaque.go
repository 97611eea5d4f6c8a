package clerkauth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"

	"github.com/clerkauth/clerkauth/internal/introspect"
)

const (
	// maxAnswer is how much of an answer about a credential is read, and how long a
	// value in a MachineCache may be.
	maxAnswer = 64 << 10
	// defaultMachineTTL is how late a revocation is seen.
	defaultMachineTTL = 30 * time.Second
	// pauseAfterRefusal is how long Clerk is not asked after it has refused our secret
	// key; about credentials that were good before, for pauseSeen.
	pauseAfterRefusal = 5 * time.Second
	pauseSeen         = time.Second
	// pauseAfterLimit is how long it is not asked after it has said that we ask too
	// much, if it has not said how long, and maxPause at most.
	pauseAfterLimit = time.Second
	maxPause        = time.Minute
)

// opaqueLimits are those of each kind of credentials.
var opaqueLimits = introspect.Limits{Answers: 10_000, Bytes: 16 << 20}

// maxSecret is how long an opaque credential may be behind its prefix.
const maxSecret = 512

// looksOpaque reports whether credential, which begins with a kind's prefix, looks
// like an opaque one. What does not is never sent to anybody.
func looksOpaque(credential string) bool {
	_, secret, _ := strings.Cut(credential, "_")
	if secret == "" || len(secret) > maxSecret {
		return false
	}
	for i := range len(secret) {
		if !opaqueCharacters[secret[i]] {
			return false
		}
	}
	return true
}

var opaqueCharacters = func() (set [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") {
		set[c] = true
	}
	return set
}()

// opaque verifies credentials that say nothing about themselves, by asking
// Clerk's Backend API.
type opaque struct {
	now    func() time.Time
	ttl    time.Duration // 0: an answer is not repeated
	shared *sharedCache  // nil: there is none
	by     [kindForeign]*verifier
}

// verifier asks about credentials of one kind with a secret key, and remembers what
// was said to whoever asked with it. Each kind has its own, so that those who make
// up credentials of one kind use up nothing of another's.
type verifier struct {
	variable string // of the secret key, in the environment
	instance bool   // the key is the instance's, not a machine's
	question question
	backend  clerk.Backend
	seal     *seal
	desk     *introspect.Desk[*machine]
}

func newOpaque(a *core, c Config) *opaque {
	// The monotonic clock stands still while a machine is suspended; answers grow
	// older all the same.
	o := &opaque{
		ttl: max(cmp.Or(c.Machines.CacheTTL, defaultMachineTTL), 0),
		now: func() time.Time { return a.now().Round(0) },
	}
	if a.backend == nil {
		return o // New has noticed
	}
	client := *a.client
	client.Transport = recorder{client.Transport}
	for k, q := range questions {
		variable, key := "CLERK_SECRET_KEY", c.SecretKey
		if k == kindM2M && !c.Machines.SecretKey.IsZero() {
			variable, key = "CLERK_MACHINE_SECRET_KEY", c.Machines.SecretKey
		}
		if key.IsZero() {
			continue
		}
		o.by[k] = &verifier{
			variable: variable,
			instance: key == c.SecretKey,
			question: q,
			backend: clerk.NewBackend(&clerk.BackendConfig{
				HTTPClient: &client,
				URL:        clerk.String(a.backend.String()), // these paths have no version
				Key:        clerk.String(key.reveal()),
			}),
			seal: newSeal(key),
			desk: introspect.New(opaqueLimits, o.now, (*machine).size),
		}
	}
	if c.Machines.Cache != nil {
		o.shared = newSharedCache(c.Machines.Cache, a.notices, o.now)
	}
	return o
}

// verifyOpaque verifies an opaque credential: by what Clerk said about it lately,
// or says now.
func (a *core) verifyOpaque(ctx context.Context, u *unverified) (*machine, *Error) {
	by := a.opaque.by[u.kind]
	if by == nil {
		return nil, newError(ErrTokenType, nil) // JWTs alone are accepted
	}
	if !looksOpaque(u.raw) {
		return nil, newError(ErrTokenInvalid, nil)
	}
	if by.instance {
		if err := a.provenSecret(ctx); err != nil {
			return nil, err
		}
	}
	key := by.seal.digest(u.raw)
	m, known, err := by.desk.Known(key)
	if !known {
		m, err = a.tell(ctx, u, by, key)
	}
	if err != nil {
		return nil, opaqueError(err)
	}
	if !m.ExpiresAt.IsZero() && !m.ExpiresAt.After(a.opaque.now()) {
		return nil, newError(ErrTokenExpired, nil)
	}
	return m, nil
}

// tell finds out about a credential of which nothing is remembered.
func (a *core) tell(ctx context.Context, u *unverified, by *verifier, key introspect.Key) (*machine, error) {
	o := a.opaque
	var recall introspect.Recall[*machine]
	if o.shared != nil && o.ttl > 0 {
		recall = func() (*machine, time.Time, bool) {
			m, asked := o.shared.get(by.seal, key, u.kind.name())
			if m == nil {
				return nil, time.Time{}, false
			}
			until := asked.Add(o.ttl)
			return m.remembered(a.now), until, until.After(o.now())
		}
	}
	return by.desk.Tell(ctx, key, recall, func(ctx context.Context) (*machine, time.Time, error) {
		asked := o.now()
		m, err := a.askClerk(ctx, u.kind, u.raw, by)
		if err != nil {
			return nil, time.Time{}, err
		}
		m.remembered(a.now)
		until := asked.Add(o.ttl)
		if !m.ExpiresAt.IsZero() && m.ExpiresAt.Before(until) {
			until = m.ExpiresAt
		}
		now := o.now()
		if asked.After(now) { // the clock went back: how old the answer is cannot be told
			return m, now, nil
		}
		if until.After(now) {
			o.shared.put(by.seal, key, m, asked, until)
		}
		return m, until, nil
	})
}

// opaqueError puts the reason for which there is no answer into our words.
func opaqueError(err error) *Error {
	var own *Error
	var busy *introspect.Busy
	switch {
	case errors.As(err, &busy):
		e := newError(ErrBackendUnavailable, nil)
		if errors.As(busy.Cause, &own) {
			e = newError(own.Reason, nil)
		}
		e.RetryAfter = busy.RetryAfter
		return e
	case errors.As(err, &own):
		return own
	default:
		return newError(ErrBackendUnavailable, err)
	}
}

// askClerk verifies a credential with the Backend API. An answer is about the
// credential only if it says so in Clerk's own form; a 401 is about our secret key,
// a 429 about how much we ask. A 5xx is about Clerk. Any other says nothing.
func (a *core) askClerk(ctx context.Context, k kind, credential string, by *verifier) (*machine, error) {
	seen := &exchange{}
	ctx = context.WithValue(ctx, exchangeKey{}, seen)
	request := clerk.NewAPIRequest(http.MethodPost, by.question.path)
	request.SetParams(by.question.params(credential))
	var answer clerk.APIResource
	err := by.backend.Call(ctx, request, &answer)
	// What it returns as an error may quote the whole answer, and is kept from everybody.
	var theirs *clerk.APIErrorResponse
	status := seen.status
	switch {
	case status == 0:
		return nil, newError(ErrBackendUnavailable, errors.New("backend api cannot be reached"))
	case status/100 == 2 && err != nil && answer.Response == nil:
		return nil, newError(ErrBackendUnavailable, errors.New("backend api did not finish its answer"))
	case status/100 == 2:
		if s, ok := readAnswer(k, string(answer.Response.RawJSON)); ok {
			return s.judge(by.question.object, a.opaque.now())
		}
	case status == http.StatusNotFound && errors.As(err, &theirs) && saysNotFound(string(theirs.Response.RawJSON)):
		return nil, &introspect.Refusal{Reason: newError(ErrTokenInvalid, nil)}
	case status == http.StatusUnauthorized:
		a.secretRefused(by.variable)
		return nil, &introspect.Closed{Reason: newError(ErrSecretKeyInvalid, nil), Unseen: pauseAfterRefusal, Seen: pauseSeen}
	case status == http.StatusTooManyRequests:
		why := newError(ErrBackendUnavailable, errors.New("backend api is asked too often"))
		why.RetryAfter = min(max(seen.retryAfter, pauseAfterLimit), maxPause)
		return nil, &introspect.TooMany{Reason: why, RetryAfter: why.RetryAfter}
	case status >= http.StatusInternalServerError:
		return nil, newError(ErrBackendUnavailable, fmt.Errorf("backend api answered %d", status))
	}
	why := newError(ErrBackendUnavailable, fmt.Errorf("backend api answered %d, which says nothing about the credential", status))
	why.RetryAfter = introspect.Remembered
	return nil, &introspect.Outage{Reason: why}
}

// exchange is what a call to Clerk came to.
type exchange struct {
	status     int // 0: there was no answer
	retryAfter time.Duration
}

type exchangeKey struct{}

// recorder is a transport that keeps what clerk-sdk-go does not tell of an answer,
// and cuts off one that is too long.
type recorder struct{ next http.RoundTripper }

func (t recorder) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if seen, ok := r.Context().Value(exchangeKey{}).(*exchange); ok {
		seen.status = resp.StatusCode
		// A number that is too large for the type is the largest of it.
		seconds, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 32)
		if err == nil || errors.Is(err, strconv.ErrRange) {
			seen.retryAfter = time.Duration(seconds) * time.Second
		}
	}
	resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswer)
	return resp, nil
}
