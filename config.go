package clerkauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/clerkauth/clerkauth/internal/clerkapi"
	"github.com/clerkauth/clerkauth/internal/clerkkey"
	"github.com/clerkauth/clerkauth/internal/csrf"
	"github.com/clerkauth/clerkauth/internal/hint"
	"github.com/clerkauth/clerkauth/internal/keyset"
	"github.com/clerkauth/clerkauth/internal/notice"
	"github.com/clerkauth/clerkauth/internal/weburl"
)

// Config configures an [Authenticator]. [New] checks it as a whole. The zero value of
// every field is the safe choice.
type Config struct {
	// PublishableKey is the instance's pk_live_… or pk_test_… key. It determines the
	// issuer of tokens and the host of the Frontend API. It is not a secret. Required
	// unless Issuers is set.
	PublishableKey string

	// SecretKey is the instance's sk_live_… or sk_test_… key. With it, signing keys are
	// fetched from the Backend API, and the rest of that API can be called; sessions
	// are verified without it, too. It must belong to the instance of PublishableKey
	// or JWTKey: a key of another instance is not used. Defaults to none.
	SecretKey Secret

	// JWTKey is the instance's RSA public key in PEM. With it, JWTs are verified
	// without network access and whatever key id they carry, and replacing a rotated
	// key takes a restart. Defaults to none: keys are fetched and cached.
	JWTKey string

	// AuthorizedParties are the origins whose pages may present tokens here, compared
	// byte for byte with the azp claim: scheme, host, and a port other than the
	// scheme's own. Required unless InsecureAnyParty is set, or MissingParty is
	// AllowMissingFromHeader and Browser.Disabled is set, as for an API that only native
	// apps call: with nil, tokens that have an azp are rejected then.
	AuthorizedParties []string

	// InsecureAnyParty accepts tokens whatever origin they were issued to. Any site
	// that can obtain a token of this instance can then use it here. Defaults to false.
	InsecureAnyParty bool

	// MissingParty says from where tokens without an azp are accepted. Clerk issues
	// them in top-level navigations, to native apps, and through the Backend API.
	// Defaults to RefuseMissing.
	MissingParty MissingParty

	// Issuers are accepted in addition to the issuer that PublishableKey determines.
	// They are compared byte for byte with the iss claim. Defaults to none.
	Issuers []string

	// Audience, if not nil, requires the aud claim to contain one of these values. It
	// applies to JWTs of every kind and to opaque OAuth tokens; opaque API keys and
	// machine-to-machine tokens have no audience. Inside a described [Resource], OAuth
	// tokens must name the resource's URL instead. Defaults to no requirement; an
	// empty list is an error.
	Audience []string

	// ClockSkew is how far this machine's clock and Clerk's may differ. Defaults to
	// 5 seconds; the maximum is 5 minutes. NoClockSkew disables the tolerance.
	ClockSkew time.Duration

	// AllowPending counts users whose session is pending as signed in. They have a
	// task left, such as choosing an organization. Defaults to false.
	AllowPending bool

	// Accept lists the kinds of credentials that the program accepts at all. Which of
	// them a route accepts is decided by its [Access]. Defaults to session tokens
	// alone; an empty list is an error.
	Accept []TokenType

	// Browser configures where people sign in and how browsers reach this server.
	Browser BrowserConfig

	// Machines configures how machine credentials are verified.
	Machines MachineConfig

	// HideUnauthorized makes guarded routes look like paths without a route to callers
	// who may not use them: instead of 401, 403, a redirect, a challenge, or the 400
	// for CONNECT, they get the response of NotFound, and ErrorHandler is not called.
	// The whole response is that of a path without a route on a [ServeMux], which then
	// answers 404 instead of 405 and of redirects below the prefixes of guarded
	// patterns, and behind [Authenticator.Protect] if NotFound is the router's own
	// handler. Adapters respond with the not-found response of their framework.
	//
	// It does not hide a required reverification from callers who meet everything
	// else, 503, the time that a response takes, the 401 for an invalid token on public
	// routes, and what a router answers by itself, such as 405 and redirects, around
	// [Authenticator.Require] or behind a public rule of Protect. Defaults to false.
	HideUnauthorized bool

	// NotFound writes the responses that HideUnauthorized puts in place of refusals.
	// Their status is 404 unless it sets another. Defaults to http.NotFound.
	NotFound http.Handler

	// Credential returns the token of a request without an Authorization header, from
	// wherever else it is: a websocket's subprotocol, a header of the application's own.
	// It returns "" if there is none. It is called once by every guard that a request
	// passes, and must not read the body. If it panics, the caller gets 401. It returns
	// the token alone: with "Bearer " before it, it is rejected.
	//
	// Because a browser may send such a token by itself, requests from other sites are
	// rejected, or anonymous on public routes: for unsafe methods by the rules of
	// [http.CrossOriginProtection], authorized parties being trusted, and for websockets by
	// their Origin. MissingParty is honored as for a cookie if the token is also in one.
	// Responses have "Vary: *", because they may depend on anything in the request.
	// Defaults to none.
	Credential func(*http.Request) string

	// ErrorHandler writes refusals. It is not called for redirects. Security headers,
	// WWW-Authenticate and Retry-After are set before it is called; if it sets no
	// status, that of the error is sent. Defaults to problem details (RFC 9457).
	ErrorHandler func(http.ResponseWriter, *http.Request, *Error)

	// Logger receives what an operator should know: lasting conditions, each at most
	// once a minute, and every failure of a check of the application's. Defaults to
	// slog.Default().
	Logger *slog.Logger

	// BackendURL and FrontendURL replace https://api.clerk.com and the host in
	// PublishableKey as the places that are called. Plain http is accepted for loopback
	// addresses only. FrontendURL is also the authorization server of a [Resource] that
	// names none.
	BackendURL, FrontendURL string

	// Transport carries the calls to Clerk. Defaults to http.DefaultTransport.
	Transport http.RoundTripper

	// Now is the clock. Defaults to time.Now.
	Now func() time.Time

	// frontEnd is what FromEnv found. It is a pointer, so that it does not print.
	frontEnd *clerkkey.FrontEnd
}

// MachineConfig configures how machine credentials are verified. The zero value of
// every field is the safe choice.
type MachineConfig struct {
	// SecretKey is the ak_… key of the machine that this program is. Opaque
	// machine-to-machine tokens are verified with it, and Clerk then refuses those for
	// other machines. Defaults to [Config.SecretKey], with which Clerk accepts the
	// tokens for every machine of the instance; see ID.
	SecretKey Secret

	// ID is the mch_… id of the machine that this program is. Machine-to-machine
	// tokens are rejected unless their scopes contain it. Defaults to accepting tokens
	// for any machine of the instance.
	ID string

	// CacheTTL is how long a successful verification of an opaque credential is
	// cached, and so how long a revocation may go unnoticed. Defaults to 30 seconds;
	// the maximum is 5 minutes. [AskEveryTime] disables caching: a result is then
	// shared only by requests that arrive while the call is in flight, 3 seconds at
	// most. Rejections are cached for 5 seconds in any case. JWTs are verified without
	// a call and are accepted until they expire.
	CacheTTL time.Duration

	// Cache shares verifications of opaque credentials with other replicas of the
	// program. It is bypassed while it fails. Defaults to none.
	Cache MachineCache
}

// AskEveryTime is a [MachineConfig.CacheTTL] that disables caching beyond sharing an
// in-flight call.
const AskEveryTime time.Duration = -1

// NoClockSkew is a [Config.ClockSkew] that disables clock-skew tolerance.
const NoClockSkew time.Duration = -1

const (
	defaultClockSkew = 5 * time.Second // as in Clerk's SDKs
	maxClockSkew     = 5 * time.Minute
	maxMachineTTL    = 5 * time.Minute
	defaultBackend   = "https://api.clerk.com"
)

// summary holds what may be shown of a Config.
type summary struct {
	PublishableKey    string      `json:"publishable_key,omitempty"`
	SecretKey         Secret      `json:"secret_key,omitzero"`
	MachineSecretKey  Secret      `json:"machine_secret_key,omitzero"`
	AuthorizedParties []string    `json:"authorized_parties,omitempty"`
	InsecureAnyParty  bool        `json:"insecure_any_party,omitempty"`
	Issuers           []string    `json:"issuers,omitempty"`
	Audience          []string    `json:"audience,omitempty"`
	Accept            []TokenType `json:"accept,omitempty"`
}

func (c Config) summary() summary {
	publishable := c.PublishableKey
	if !strings.HasPrefix(publishable, "pk_") {
		publishable = "" // it may be a secret key in the wrong field
	}
	return summary{publishable, c.SecretKey, c.Machines.SecretKey, hint.Mask(c.AuthorizedParties), c.InsecureAnyParty, hint.Mask(c.Issuers), c.Audience, c.Accept}
}

// MarshalJSON returns which instance and callers c is for. It holds no secret.
func (c Config) MarshalJSON() ([]byte, error) { return json.Marshal(c.summary()) }

// Format writes what MarshalJSON returns, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "%+v", c.summary()) }

// LogValue returns what MarshalJSON returns.
func (c Config) LogValue() slog.Value { return slog.AnyValue(c.summary()) }

// New returns an Authenticator for c. The error joins everything that is wrong with c.
//
// New makes no call to Clerk. Guarded requests are answered with 503 while the instance
// cannot be reached, and recover by themselves.
func New(c Config) (*Authenticator, error) {
	var wrong mistakes
	a := &core{
		rules:        rules{audience: slices.Clone(c.Audience), allowPending: c.AllowPending},
		hide:         c.HideUnauthorized,
		notFound:     c.NotFound,
		errorHandler: c.ErrorHandler,
		credential:   c.Credential,
		vary:         "Authorization",
		seed:         maphash.MakeSeed(),
		log:          c.Logger,
		now:          c.Now,
		secret:       c.SecretKey,
	}
	if a.notFound == nil {
		a.notFound = http.NotFoundHandler()
	}
	if a.log == nil {
		a.log = slog.Default()
	}
	if a.credential != nil {
		a.vary = "*" // it may look anywhere
	}
	if a.now == nil {
		a.now = time.Now
	}

	of := c.instance(a.log, &wrong)
	if of != nil {
		a.issuers = append(a.issuers, of.Issuer())
	}
	if !c.SecretKey.IsZero() {
		wrong.add("SecretKey", clerkkey.CheckSecret(c.SecretKey.reveal(), of))
	}
	for _, issuer := range c.Issuers {
		wrong.add("Issuers "+hint.Quote(issuer), weburl.CheckIssuer(issuer))
		a.issuers = append(a.issuers, issuer)
	}
	a.skew = checkSkew(c.ClockSkew, &wrong)
	a.parties = newParties(c, &wrong)
	a.configureProxy(c, of, &wrong)
	a.frontends = frontendOrigins(c, of, a.proxy.url)
	if c.Audience != nil && len(c.Audience) == 0 {
		wrong.add("Audience", errors.New("it is empty: leave it nil to demand none"))
	}
	for _, audience := range c.Audience {
		if audience == "" {
			wrong.add("Audience", errors.New("it holds an empty entry"))
		}
	}
	a.notices = notice.New(a.log, a.now, noticeCount)
	a.operator = &operator{Log: a.notices, clockLimit: max(a.skew, defaultClockSkew) + time.Second}
	a.pages = newPages(c, of, a.parties, &wrong)
	a.csrf = csrf.New(slices.Concat(a.parties.list, c.Browser.Satellites, []string{c.Browser.PublicOrigin}), a.pages.proxies)
	a.configureKeys(c, of, &wrong)
	a.configureMachines(c, &wrong)
	a.browsers = a.newBrowsers(c, of, &wrong)
	if a.browsers != nil && a.credential == nil {
		a.vary = "Authorization, Cookie"
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("clerkauth: configuration: %w", err)
	}
	a.tellOfOpaque(c)
	a.tellOfPlainParties(c, of)
	return &Authenticator{a}, nil
}

func checkSkew(skew time.Duration, wrong *mistakes) time.Duration {
	switch {
	case skew == 0:
		return defaultClockSkew
	case skew == NoClockSkew:
		return 0
	case skew < 0 || skew > maxClockSkew:
		wrong.add("ClockSkew", fmt.Errorf("it must be NoClockSkew or from 0 to %v", maxClockSkew))
	}
	return skew
}

// configureKeys decides where keys come from: JWTKey, or the Backend API with the secret
// key and the Frontend API's public set, as [keyset.Sources] describes. Of JWTKey and the
// secret key, the former verifies tokens and the latter is compared with it.
func (a *core) configureKeys(c Config, of *clerkkey.Instance, wrong *mistakes) {
	if c.JWTKey != "" {
		key, err := keyset.ParsePEM(c.JWTKey)
		if err != nil {
			err = hint.Error(err.Error(), c.JWTKey, clerkkey.JWTHint(c.JWTKey))
		}
		wrong.add("JWTKey", err)
		a.jwtKey = key
	}
	backend := c.BackendURL
	if backend == "" {
		backend = defaultBackend
	}
	var err error
	a.backend, err = weburl.ParseBackend(backend)
	wrong.add("BackendURL", err)
	a.transport = c.Transport
	if a.transport == nil {
		a.transport = http.DefaultTransport
	}

	from := keyset.Sources{Foreign: a.secretForeign}
	dated := clerkapi.Dated(a.transport, a.now, a.operator.compareClock)
	if !c.SecretKey.IsZero() && a.backend != nil {
		from.Backend = a.secretSource(clerkapi.BackendKeySet(dated, a.backend, c.SecretKey.reveal()))
	}
	frontend := c.FrontendURL
	if frontend == "" && of != nil {
		frontend = of.Issuer()
	}
	a.authorizationServer = frontend
	if frontend != "" {
		base, err := weburl.ParseBase(frontend)
		wrong.add("FrontendURL", err)
		if err == nil {
			a.frontendHost = base.Host
			from.Public = clerkapi.PublicKeySet(dated, base)
		}
	}
	if from.Backend == nil && from.Public == nil && c.JWTKey == "" && len(*wrong) == 0 {
		wrong.add("SecretKey", errors.New("there is no way to get keys: set a publishable key, a secret key or JWTKey"))
	}
	if a.jwtKey != nil {
		from.Pinned, from.Public = a.jwtKey, nil
	}
	a.keys = keyset.New(from, a.now, a.log)
}
