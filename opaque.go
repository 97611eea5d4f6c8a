package clerkauth

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"
	"github.com/clerk/clerk-sdk-go/v2/apikey"
	"github.com/clerk/clerk-sdk-go/v2/m2m_token"

	"github.com/clerkauth/clerkauth/internal/claims"
	"github.com/clerkauth/clerkauth/internal/introspect"
	"github.com/clerkauth/clerkauth/internal/strictjson"
	"github.com/clerkauth/clerkauth/internal/unixtime"
)

const (
	opaqueTimeout = 3 * time.Second
	// maxAnswer is how much of an answer about a credential is read.
	maxAnswer = 64 << 10
	// defaultMachineTTL is how late a revocation is seen.
	defaultMachineTTL = 30 * time.Second
	// pauseAfterRefusal is how long Clerk is not asked after it has refused our
	// secret key, and pauseAfterLimit after it has said that we ask too much, if it
	// has not said how long.
	pauseAfterRefusal = 5 * time.Second
	pauseAfterLimit   = time.Second
	maxPause          = time.Minute
)

var opaqueLimits = introspect.Limits{
	Calls:      32,
	Strangers:  24,
	Recalls:    256,
	Timeout:    opaqueTimeout,
	Remembered: 10_000,
	Bytes:      32 << 20,
	Refused:    5 * time.Second,
	// Clerk's own limit is 1,000 requests in 10 s for all that an instance does.
	RefusedPerSecond: 20,
	RefusedAtOnce:    500,
	Probe:            time.Second,
}

// opaquePattern is what opaque credentials look like. What does not is never
// sent to anybody.
var opaquePattern = regexp.MustCompile(`\A(ak|mt|oat)_[A-Za-z0-9_-]{1,512}\z`)

// opaque verifies credentials that say nothing about themselves, by asking
// Clerk's Backend API.
type opaque struct {
	now     func() time.Time
	ttl     time.Duration // 0: an answer is not repeated
	shared  *sharedCache  // nil: there is none
	secret  *verifier     // nil: there is no secret key
	machine *verifier     // for machine-to-machine tokens
}

// verifier is a secret key to ask with, and what was said to who asked with it.
type verifier struct {
	variable string // in the environment
	config   *clerk.ClientConfig
	seal     seal
	desk     *introspect.Desk[*machine]
}

func newOpaque(a *core, c Config) *opaque {
	// The monotonic clock stands still while a machine is suspended; answers grow
	// older all the same.
	o := &opaque{
		ttl: max(cmp.Or(c.MachineTTL, defaultMachineTTL), 0),
		now: func() time.Time { return a.now().Round(0) },
	}
	if a.backend == nil {
		return o // New has noticed
	}
	client := *a.client
	client.Transport = recorder{client.Transport}
	with := func(variable string, key Secret) *verifier {
		if key.IsZero() {
			return nil
		}
		config := &clerk.ClientConfig{}
		config.HTTPClient = &client
		config.URL = clerk.String(a.backend.String()) // these paths have no version
		config.Key = clerk.String(key.reveal())
		return &verifier{variable, config, newSeal(key), introspect.New(opaqueLimits, o.now, (*machine).size)}
	}
	o.secret = with("CLERK_SECRET_KEY", c.SecretKey)
	o.machine = cmp.Or(with("CLERK_MACHINE_SECRET_KEY", c.MachineSecretKey), o.secret)
	if c.MachineCache != nil {
		o.shared = &sharedCache{store: c.MachineCache, notices: a.notices, now: o.now, places: make(chan struct{}, sharedPlaces)}
	}
	return o
}

// verifyOpaque verifies an opaque credential: by what Clerk said about it lately,
// or says now.
func (a *core) verifyOpaque(ctx context.Context, u *unverified) (*machine, error) {
	o := a.opaque
	by := o.secret
	if u.kind == kindM2M {
		by = o.machine
	}
	if by == nil {
		return nil, newError(ErrTokenType, nil) // JWTs alone are accepted
	}
	if !opaquePattern.MatchString(u.raw) {
		return nil, newError(ErrTokenInvalid, nil)
	}
	if by == o.secret {
		if err := a.provenSecret(ctx); err != nil {
			return nil, err
		}
	}
	key := by.seal.digest(u.raw)
	var recall introspect.Recall[*machine]
	if o.shared != nil && o.ttl > 0 {
		recall = func(ctx context.Context) (*machine, time.Time, bool) {
			m, asked := o.shared.get(ctx, by.seal, key, u.kind.name())
			until := asked.Add(o.ttl)
			return m, until, m != nil && until.After(o.now())
		}
	}
	m, err := by.desk.Tell(ctx, key, recall, func(ctx context.Context) (*machine, time.Time, error) {
		asked := o.now()
		m, err := a.askClerk(ctx, u.kind, u.raw, by)
		if err != nil {
			return nil, time.Time{}, err
		}
		until := asked.Add(o.ttl)
		if !m.ExpiresAt.IsZero() && m.ExpiresAt.Before(until) {
			until = m.ExpiresAt
		}
		now := o.now()
		if asked.After(now) { // the clock went back: how old the answer is cannot be told
			return m, now, nil
		}
		if until.After(now) {
			o.shared.put(ctx, by.seal, key, m, asked, until)
		}
		return m, until, nil
	})
	if err != nil {
		return nil, opaqueError(err)
	}
	if !m.ExpiresAt.IsZero() && !m.ExpiresAt.After(o.now()) {
		return nil, newError(ErrTokenExpired, nil)
	}
	if u.kind == kindOAuth {
		// RFC 9068 section 4 for what is no JWT: Clerk tells the audience.
		is := claims.Absent
		if len(m.Audience) > 0 {
			is = claims.Present
		}
		if !a.checkAudience(is, m.Audience) {
			return nil, newError(ErrTokenClaims, nil)
		}
	}
	return m, nil
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

// askClerk verifies a credential with the Backend API.
func (a *core) askClerk(ctx context.Context, k kind, credential string, by *verifier) (*machine, error) {
	seen := &exchange{}
	ctx = context.WithValue(ctx, exchangeKey{}, seen)
	var (
		said said
		raw  clerk.APIResource
		err  error
	)
	// What these clients return as an error may quote the whole answer: it is only
	// asked whether it is one of Clerk's.
	switch k {
	case kindAPIKey:
		var key *clerk.APIKey
		key, err = apikey.NewClient(by.config).Verify(ctx, &apikey.VerifyParams{Secret: credential})
		if err == nil {
			raw = key.APIResource
			said = saidOf("api_key", key.Object, key.Revoked, key.Expired, key.Expiration, key.CreatedAt,
				machine{ID: key.ID, Subject: key.Subject, Name: key.Name, Scopes: key.Scopes, Claims: key.Claims})
		}
	case kindM2M:
		var token *clerk.M2MToken
		token, err = m2m_token.NewClient(by.config).Verify(ctx, &m2m_token.VerifyParams{Token: credential})
		if err == nil {
			raw = token.APIResource
			said = saidOf("machine_to_machine_token", token.Object, token.Revoked, token.Expired, token.Expiration, token.CreatedAt,
				machine{ID: token.ID, Subject: token.Subject, Scopes: token.Scopes, Claims: token.Claims})
		}
	default:
		token := &oauthAccessToken{}
		request := clerk.NewAPIRequest(http.MethodPost, "/oauth_applications/access_tokens/verify")
		request.SetParams(&oauthVerifyParams{AccessToken: credential})
		err = clerk.NewBackend(&by.config.BackendConfig).Call(ctx, request, token)
		if err == nil {
			raw = token.APIResource
			said = saidOf("clerk_idp_oauth_access_token", token.Object, token.Revoked, token.Expired, token.Expiration, token.CreatedAt,
				machine{ID: token.ID, Subject: token.Subject, ClientID: token.ClientID, Scopes: token.Scopes, Audience: token.Audience})
		}
	}
	var theirs *clerk.APIErrorResponse
	switch {
	case err == nil && seen.status < 300 && isObject(raw.Response):
		said.machine.Type = k.name()
		return said.judge(a.opaque.now())
	case seen.status == http.StatusNotFound && errors.As(err, &theirs): // with Clerk's errors: not another server's
		return nil, &introspect.Refusal{Reason: newError(ErrTokenInvalid, nil)}
	case seen.status == http.StatusUnauthorized:
		a.secretRefused(by.variable)
		why := newError(ErrSecretKeyInvalid, nil)
		by.desk.Pause(pauseAfterRefusal, why)
		return nil, why
	case seen.status == http.StatusTooManyRequests:
		why := newError(ErrBackendUnavailable, errors.New("backend api is asked too often"))
		why.RetryAfter = min(max(seen.retryAfter, pauseAfterLimit), maxPause)
		by.desk.Pause(why.RetryAfter, why)
		return nil, why
	case seen.status != 0:
		return nil, newError(ErrBackendUnavailable, fmt.Errorf("backend api answered %d, which says nothing about the credential", seen.status))
	default:
		return nil, newError(ErrBackendUnavailable, errors.New("backend api cannot be reached"))
	}
}

// said is what Clerk says about a credential.
type said struct {
	object           string // what the answer has to be, and what it is
	is               string
	revoked, expired bool
	machine          machine
}

func saidOf(object, is string, revoked, expired bool, expiration *int64, createdAt int64, m machine) said {
	// In milliseconds; those of OAuth tokens are in seconds.
	if expiration != nil {
		m.ExpiresAt = unixtime.Read(max(*expiration, 0)) // Go's zero time would be never
	}
	if createdAt > 0 {
		m.IssuedAt = unixtime.Read(createdAt)
	}
	m.Scopes = slices.DeleteFunc(m.Scopes, func(s string) bool { return s == "" }) // null in a list, too
	return said{object, is, revoked, expired, m}
}

// judge refuses what Clerk says is no longer good, whatever the status with which
// it says so, and what is not about such a credential.
func (s said) judge(now time.Time) (*machine, error) {
	var reason Reason
	switch {
	case s.is != s.object, s.revoked, !claims.UsableID(s.machine.ID), !claims.UsableID(s.machine.Subject):
		reason = ErrTokenInvalid
	case s.expired, !s.machine.ExpiresAt.IsZero() && !s.machine.ExpiresAt.After(now):
		reason = ErrTokenExpired
	default:
		return &s.machine, nil
	}
	return nil, &introspect.Refusal{Reason: newError(reason, nil)}
}

// isObject tells whether an answer is a JSON object in which no name stands twice, in
// whatever case, as encoding/json reads it: who read the first and who the last would
// see two credentials.
func isObject(r *clerk.APIResponse) bool {
	if r == nil {
		return false
	}
	members, err := strictjson.Object(string(r.RawJSON), nil)
	return err == nil && !twins(members)
}

// oauthAccessToken is what the Backend API says about an OAuth access token, for
// which clerk-sdk-go has no type.
type oauthAccessToken struct {
	clerk.APIResource
	Object     string   `json:"object"`
	ID         string   `json:"id"`
	ClientID   string   `json:"client_id"`
	Subject    string   `json:"subject"`
	Scopes     []string `json:"scopes"`
	Audience   audience `json:"aud"`
	Revoked    bool     `json:"revoked"`
	Expired    bool     `json:"expired"`
	Expiration *int64   `json:"expiration"`
	CreatedAt  int64    `json:"created_at"`
}

type oauthVerifyParams struct {
	clerk.APIParams
	AccessToken string `json:"access_token"`
}

// audience is a string or a list of strings; anything else is as good as none.
type audience []string

func (a *audience) UnmarshalJSON(data []byte) error {
	var one string
	var list []string
	switch {
	case json.Unmarshal(data, &one) == nil && one != "":
		*a = audience{one}
	case json.Unmarshal(data, &list) == nil && !slices.Contains(list, ""):
		*a = list
	}
	return nil
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
