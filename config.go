package clerkauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/clerkauth/clerkauth/internal/clerkapi"
	"github.com/clerkauth/clerkauth/internal/keyset"
)

// Config says which Clerk instance to trust and which callers to let in. It is
// checked as a whole by [New]; the zero value of every field is the safe choice.
type Config struct {
	// PublishableKey is the instance's pk_live_… or pk_test_… key. It names the
	// issuer of tokens and the host of the Frontend API. It is no secret.
	PublishableKey string

	// SecretKey is the instance's sk_live_… or sk_test_… key. With it, keys are
	// fetched from the Backend API, and the rest of that API can be called.
	// Without it, sessions are verified all the same. It has to be of the instance
	// that PublishableKey or JWTKey is of: one of another instance is not used.
	SecretKey Secret

	// JWTKey is the instance's RSA public key as PEM. With it, tokens are
	// verified without any network; the key ids in them are irrelevant then,
	// and a rotated key takes a restart.
	JWTKey string

	// AuthorizedParties are the origins whose pages may present tokens here,
	// compared exactly with the azp claim: scheme, host, and port where it is
	// not the scheme's own. Required unless InsecureAnyParty. Nil is accepted with
	// AllowMissingFromHeader as MissingParty, for an API that native apps alone
	// call: tokens that carry an azp are rejected then.
	AuthorizedParties []string

	// InsecureAnyParty accepts tokens whatever origin they were issued to. Any site
	// that can obtain a token of this instance can then use it here.
	InsecureAnyParty bool

	// MissingParty says what to do with tokens that carry no azp. Clerk mints
	// them in top-level navigations, for native apps and through the Backend
	// API. The zero value refuses them.
	MissingParty MissingParty

	// Issuers are accepted beside the one that PublishableKey names.
	Issuers []string

	// Audience, if not empty, demands that a token's aud holds one of these. A
	// token without aud is refused then. It is asked of JWTs of every kind and of
	// opaque OAuth tokens; opaque API keys and machine-to-machine tokens have none. Of
	// OAuth tokens inside of a described [Resource] the resource's URL is asked instead.
	Audience []string

	// Accept names the kinds of credentials that the program accepts at all. It is
	// a ceiling: which of them a route takes is said by its [Access]. Nil means
	// session tokens alone.
	Accept []TokenType

	// ClockSkew is how far our clock and Clerk's may be apart. 0 means 5 s;
	// NoClockSkew means none; the most is 5 min.
	ClockSkew time.Duration

	// AllowPending lets users in whose session is pending: signed in, with a
	// task such as choosing an organization still to do.
	AllowPending bool

	// Browser says where people sign in and how browsers reach this server.
	Browser BrowserConfig

	// Machines says how the credentials of machines are verified.
	Machines MachineConfig

	// HideUnauthorized makes guarded routes look like paths where nothing is to
	// callers who may not use them: instead of 401, 403, a redirect, a challenge or
	// the 400 for CONNECT they get what NotFound answers, and ErrorHandler is not
	// called. With [ServeMux], which answers 404 instead of 405 and redirects below
	// the prefixes of guarded patterns then, and with [Authenticator.Protect], if
	// NotFound is the router's own handler, the whole response is that of a path
	// where nothing is. Adapters answer with their framework's own.
	//
	// It does not hide a reverification, whose caller meets everything else, 503, how
	// long an answer takes, the 401 for a bad token on public routes, and what a
	// router answers by itself around [Authenticator.Require], or behind a public
	// rule of Protect, such as 405 and redirects. Defaults to false.
	HideUnauthorized bool

	// NotFound answers what HideUnauthorized hides. Its status is 404 unless it says
	// otherwise. Defaults to http.NotFound.
	NotFound http.Handler

	// ErrorHandler writes refusals in your own way. Redirects do not come here.
	// Status-independent security headers, WWW-Authenticate and Retry-After are
	// set already; where it chooses no status, the error's is sent. Nil writes
	// problem details (RFC 9457).
	ErrorHandler func(http.ResponseWriter, *http.Request, *Error)

	// Logger gets what an operator should know: what lasts once a minute at most, and
	// each check of the application's that fails.
	// Nil means slog.Default().
	Logger *slog.Logger

	// BackendURL and FrontendURL replace https://api.clerk.com and the host in
	// PublishableKey as the places to fetch from. Plain http is accepted for
	// loopback addresses alone. FrontendURL is also where OAuth clients are sent
	// for tokens, unless a [Resource] says otherwise.
	BackendURL, FrontendURL string

	// Transport carries the calls to Clerk. Nil means http.DefaultTransport.
	Transport http.RoundTripper

	// Now is the clock. Nil means time.Now.
	Now func() time.Time

	frontEnd *frontEndKey // as FromEnv found it; behind a pointer, so that it does not print
}

// BrowserConfig says where people sign in and how browsers reach this server. The
// zero value of every field is the safe choice.
type BrowserConfig struct {
	// SignInURL and SignUpURL are your own pages for that: a path on this server
	// or a URL. The zero value means the instance's account portal, or, without a
	// publishable key, none: pages get 401 then.
	SignInURL, SignUpURL string

	// PublicOrigin is this server's origin as browsers know it. The zero value
	// means the authorized party that has the request's host, or, with
	// InsecureAnyParty, the request's host as it came.
	PublicOrigin string

	// ProxyURL is where the Frontend API is reached through a proxy of yours: an
	// absolute https URL, or a path on PublicOrigin or on the one authorized party
	// that is a web origin. Browsers are sent there, and tokens may name it as their
	// issuer; keys are fetched from the host in PublishableKey all the same.
	// Defaults to none.
	ProxyURL string
}

// MachineConfig says how the credentials of machines are verified. The zero value of
// every field is the safe choice.
type MachineConfig struct {
	// SecretKey is the ak_… key of the machine that this program is, with
	// which opaque machine-to-machine tokens are verified: those for other machines
	// are refused by Clerk then. The zero value means SecretKey, with which all are
	// good; see ID.
	SecretKey Secret

	// ID is the mch_… id of the machine that this program is. A
	// machine-to-machine token is refused then unless its scopes name it. The zero
	// value takes those for any machine of the instance.
	ID string

	// CacheTTL is how late it may be seen that an opaque machine credential was
	// revoked, because the last answer about it is repeated for so long. 0 means
	// 30 s; AskEveryTime means that a good answer is only for those who came while
	// it was waited for, 3 s at the most; more than 5 min is an error. That a credential
	// is not good is repeated for 5 s in any case. JWTs are verified without asking,
	// and are good until they expire.
	CacheTTL time.Duration

	// Cache shares what Clerk said about opaque credentials with other
	// replicas of the program. Nil means that each keeps its own. While it fails, it is
	// passed by.
	Cache MachineCache
}

// AskEveryTime is the [MachineConfig.CacheTTL] of somebody for whom no revocation may
// be seen late.
const AskEveryTime time.Duration = -1

// NoClockSkew is the [Config.ClockSkew] of somebody whose clock is right.
const NoClockSkew time.Duration = -1

const (
	defaultClockSkew = 5 * time.Second // as in Clerk's SDKs
	maxClockSkew     = 5 * time.Minute
	maxMachineTTL    = 5 * time.Minute
	defaultBackend   = "https://api.clerk.com"
)

// summary is what may be shown of a Config.
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
		publishable = "" // it may be the secret key, by mistake
	}
	return summary{publishable, c.SecretKey, c.Machines.SecretKey, masked(c.AuthorizedParties), c.InsecureAnyParty, masked(c.Issuers), c.Audience, c.Accept}
}

// MarshalJSON shows which instance and callers c is for, and no secret.
func (c Config) MarshalJSON() ([]byte, error) { return json.Marshal(c.summary()) }

// Format prints what MarshalJSON shows, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "%+v", c.summary()) }

// LogValue logs what MarshalJSON shows.
func (c Config) LogValue() slog.Value { return slog.AnyValue(c.summary()) }

// New returns an Authenticator for c, or every mistake in c joined in one error.
// It makes no call: an instance that cannot be reached is found out, and
// recovered from, by the requests that need it.
func New(c Config) (*Authenticator, error) {
	var wrong mistakes
	a := &core{
		rules:        rules{audience: slices.Clone(c.Audience), allowPending: c.AllowPending},
		hide:         c.HideUnauthorized,
		notFound:     c.NotFound,
		errorHandler: c.ErrorHandler,
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
	if a.now == nil {
		a.now = time.Now
	}

	of := c.instance(a.log, &wrong)
	if of != nil {
		a.issuers = append(a.issuers, of.issuer())
	}
	if !c.SecretKey.IsZero() {
		wrong.add("SecretKey", checkSecretKey(c.SecretKey.reveal(), of))
	}
	for _, issuer := range c.Issuers {
		_, err := parseBaseURL(issuer, true)
		if err == nil && strings.HasSuffix(issuer, "/") {
			err = errors.New("it must not end in a slash")
		}
		wrong.add("Issuers "+shown(issuer), err)
		a.issuers = append(a.issuers, issuer)
	}
	a.skew = checkSkew(c.ClockSkew, &wrong)
	a.parties = newParties(c, &wrong)
	a.configureProxy(c, &wrong)
	if c.Audience != nil && len(c.Audience) == 0 {
		wrong.add("Audience", errors.New("it is empty: leave it nil to demand none"))
	}
	for _, audience := range c.Audience {
		if audience == "" {
			wrong.add("Audience", errors.New("it holds an empty entry"))
		}
	}
	a.notices = newNotices(a.log, a.now)
	a.operator = &operator{notices: a.notices, clockLimit: max(a.skew, defaultClockSkew) + time.Second}
	a.pages = newPages(c, of, a.parties, &wrong)
	a.configureKeys(c, of, &wrong)
	a.configureMachines(c, &wrong)
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
func (a *core) configureKeys(c Config, of *instance, wrong *mistakes) {
	if c.JWTKey != "" {
		key, err := keyset.ParsePEM(c.JWTKey)
		if err != nil {
			err = explained(err.Error(), c.JWTKey, jwtKeyHint(c.JWTKey))
		}
		wrong.add("JWTKey", err)
		a.jwtKey = key
	}
	backend := c.BackendURL
	if backend == "" {
		backend = defaultBackend
	}
	var err error
	a.backend, err = parseBackendURL(backend)
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
		frontend = of.issuer()
	}
	a.authorizationServer = frontend
	if frontend != "" {
		base, err := parseBaseURL(frontend, false)
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

// configureProxy reads ProxyURL. The proxy is an issuer beside the key's host if it
// is https; nothing is fetched through it.
func (a *core) configureProxy(c Config, wrong *mistakes) {
	if c.Browser.ProxyURL == "" {
		return
	}
	proxy := c.Browser.ProxyURL
	if strings.HasPrefix(proxy, "/") && !strings.HasPrefix(proxy, "//") {
		origin, err := c.ownOrigin()
		if err != nil {
			wrong.add("Browser.ProxyURL", err)
			return
		}
		proxy = origin + proxy
	}
	u, err := parseBaseURL(proxy, false)
	if err == nil && !validHost(u.Host) {
		err = errors.New("its host must be lower-case ASCII (punycode for others), without a trailing dot or wildcard")
	}
	if err == nil && u.JoinPath().Path != u.Path && u.Path != "" {
		err = errors.New("its path must be clean: without . and .. and repeated slashes")
	}
	if err != nil {
		wrong.add("Browser.ProxyURL", err)
		return
	}
	a.proxy = strings.TrimRight(proxy, "/")
	if u.Scheme == "https" {
		a.issuers = append(a.issuers, a.proxy)
	}
}

// ownOrigin returns the origin of this server as far as the configuration tells it.
func (c Config) ownOrigin() (string, error) {
	if c.Browser.PublicOrigin != "" {
		return c.Browser.PublicOrigin, checkOrigin(c.Browser.PublicOrigin)
	}
	var web []string
	for _, party := range c.AuthorizedParties {
		if strings.HasPrefix(party, "https://") || strings.HasPrefix(party, "http://") {
			web = append(web, party)
		}
	}
	if len(web) != 1 {
		return "", errors.New("it is a path, and nothing says of which origin: set Browser.PublicOrigin, or write an absolute https URL")
	}
	return web[0], nil
}

// tellOfPlainParties warns of parties that anybody on the network can speak for.
func (a *core) tellOfPlainParties(c Config, of *instance) {
	live := strings.HasPrefix(strings.TrimPrefix(c.SecretKey.reveal(), "sk_"), "live_")
	if of != nil {
		live = of.production
	}
	if !live {
		return
	}
	for _, party := range a.parties.list {
		if strings.HasPrefix(party, "http://") {
			a.log.Warn("clerkauth: a live instance has an authorized party on plain http, whose pages anybody on their network can change; use https",
				"party", party)
		}
	}
}
