package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/clerkauth/clerkauth"
)

// authCase is a request to be authenticated.
type authCase struct {
	ID      string         `json:"id"`
	Now     int64          `json:"now"` // milliseconds since 1970
	Options map[string]any `json:"options"`
	Request struct {
		Method  string              `json:"method"`
		URL     string              `json:"url"`
		Href    string              `json:"href"` // the URL as a browser sends it, if that differs
		Headers map[string][]string `json:"headers"`
	} `json:"request"`
	BAPI  []bapiAnswer `json:"bapi"`
	Scope string       `json:"scope"` // cases of one scope share a client, in their order
}

// The outcomes of a decision.
const (
	outcomeIn       = "in"
	outcomeRedirect = "redirect"
	outcomeRefuse   = "refuse"
)

// The runner's own reasons: New rejects the configuration, net/http rejects the request,
// or the library panics, which no rule excuses.
const (
	reasonConfiguration = "configuration"
	reasonRequest       = "bad-request"
	reasonPanic         = "panic"
)

// answer is our decision about a request, with the field names of the SDK's auth
// object.
type answer struct {
	File      string         `json:"file"`
	ID        string         `json:"id"`
	Outcome   string         `json:"outcome"`
	Reason    nullable       `json:"reason"`
	TokenType nullable       `json:"token_type"`
	Auth      map[string]any `json:"auth"`
	SetCookie []string       `json:"set_cookie"`
	Location  nullable       `json:"location"`
	Rule      string         `json:"rule,omitempty"`

	excuses effect // of the rule
}

// nullable is a string whose empty value is null in JSON.
type nullable string

// MarshalJSON writes the string, or null.
func (s nullable) MarshalJSON() ([]byte, error) {
	if s == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(s))
}

// client is shared by the cases of one scope.
type client struct {
	product
	auth   *clerkauth.Authenticator
	config error
	bapi   *fakeBAPI
	now    atomic.Int64
}

func newClient(p product, of *authCase) *client {
	c := &client{product: p, bapi: &fakeBAPI{}}
	config, err := configure(of)
	if err != nil {
		c.config = err
		return c
	}
	config.Now = func() time.Time { return time.UnixMilli(c.now.Load()) }
	config.Transport = c.bapi
	config.Logger = slog.New(slog.DiscardHandler)
	c.auth, c.config = p.newAuth(config)
	return c
}

func openAuthenticate(p product, f corpusFile) func(json.RawMessage) (decision, error) {
	clients := map[string]*client{}
	caches := map[string]*sdkKeys{}
	return func(raw json.RawMessage) (decision, error) {
		var c authCase
		if err := json.Unmarshal(raw, &c); err != nil {
			return nil, err
		}
		cl, cache := clientFor(p, clients, caches, &c)
		r := newReading(&c, cache)
		a := cl.answer(r)
		a.File, a.ID = f.Name, c.ID
		a.Rule, a.excuses = ruleFor(r, a)
		return a, nil
	}
}

// clientFor returns our client for a case, and the SDK's key cache. The SDK caches keys
// per scope. Ours has an Authenticator for each set of options in a scope, and a new one
// for each case that must not use cached keys.
func clientFor(p product, clients map[string]*client, caches map[string]*sdkKeys, c *authCase) (*client, *sdkKeys) {
	if c.Scope == "" {
		return newClient(p, c), &sdkKeys{}
	}
	cache := caches[c.Scope]
	if cache == nil {
		cache = &sdkKeys{}
		caches[c.Scope] = cache
	}
	if c.Options["skipJwksCache"] == true {
		return newClient(p, c), cache
	}
	key := c.Scope + fmt.Sprint(c.Options) // fmt prints maps in the order of their keys
	if clients[key] == nil {
		clients[key] = newClient(p, c)
	}
	return clients[key], cache
}

// answer decides a case. The token type in a refusal is the one that the SDK gives:
// ours gives none.
func (cl *client) answer(of *reading) *answer {
	c := of.authCase
	if cl.config != nil {
		return &answer{Outcome: outcomeRefuse, Reason: reasonConfiguration, SetCookie: []string{}}
	}
	refused := &answer{Outcome: outcomeRefuse, TokenType: nullable(of.requested), Auth: signedOut(of.requested, ""), SetCookie: []string{}}
	r, err := httpRequest(c)
	if err != nil {
		refused.Reason = reasonRequest
		return refused
	}
	cl.now.Store(c.Now)
	cl.bapi.play(c.BAPI, of)
	before := runtime.NumGoroutine()
	who, header, err := cl.authenticate(cl.auth, r, c.accepted())
	settle(before)
	cookies := append([]string{}, header["Set-Cookie"]...)
	refused.SetCookie = cookies
	var e *clerkauth.Error
	switch isError := errors.As(err, &e); {
	case header.Get("Location") != "":
		to := &answer{Outcome: outcomeRedirect, TokenType: nullable(of.requested), SetCookie: cookies, Location: nullable(header.Get("Location"))}
		if isError && e.Reason != clerkauth.ErrSessionPending { // that is signed in for the SDK
			to.Reason = nullable(e.Reason)
		}
		return to
	case isError:
		refused.Reason = nullable(e.Reason)
		if e.Reason == clerkauth.ErrSessionPending {
			refused.Auth = signedOut(of.requested, clerkauth.SessionPending)
		}
		return refused
	case err != nil:
		refused.Reason = reasonPanic
		return refused
	}
	in := &answer{Outcome: outcomeIn, TokenType: nullable(who.TokenType), SetCookie: cookies}
	if who.TokenType == clerkauth.SessionToken {
		in.Auth = signedIn(who)
	} else {
		in.Auth = machine(who, of)
	}
	return in
}

// settle waits until the library's goroutines have ended: keys are refreshed ahead of
// time in the background, and the next case must see the result.
func settle(before int) {
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(deadline); {
		time.Sleep(20 * time.Microsecond)
	}
}
