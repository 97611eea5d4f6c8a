package clerkauth

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/clerkauth/clerkauth/internal/browser"
	"github.com/clerkauth/clerkauth/internal/clerkapi"
	"github.com/clerkauth/clerkauth/internal/clerkkey"
	"github.com/clerkauth/clerkauth/internal/hint"
	"github.com/clerkauth/clerkauth/internal/route"
	"github.com/clerkauth/clerkauth/internal/weburl"
)

// BrowserConfig configures the sessions of browsers: how their cookies are renewed, where
// people sign in, and how browsers reach this server. The zero value of every field is the
// safe choice.
type BrowserConfig struct {
	// Disabled makes the Authenticator read no cookie and start no handshake: an API for
	// programs. Without a [Config.PublishableKey] no cookie is read either. Defaults to
	// false.
	Disabled bool

	// SignInURL and SignUpURL are the application's own pages: a path on this server or
	// an absolute URL. Default to the instance's account portal or, without a
	// PublishableKey, to none: page requests are then refused with 401.
	SignInURL, SignUpURL string

	// PublicOrigin is this server's origin as browsers know it. Defaults to the
	// authorized party that has the request's host or, with InsecureAnyParty, to the
	// request's own host, which TrustedProxies affects. It determines return URLs.
	PublicOrigin string

	// TrustedProxies are the addresses of the reverse proxies that connect to this
	// server. What they say in X-Forwarded-Proto and -Host or in Forwarded (RFC 7239)
	// replaces the scheme and host of a request where PublicOrigin is not set, and the host
	// that its Origin is compared with; it does not extend the origins above, and rules
	// ignore it. X-Forwarded-For or Forwarded names the client to Clerk. Of several entries
	// the last counts. Malformed headers, and X-Forwarded-* and Forwarded that contradict
	// each other, are ignored.
	//
	// Proxies must overwrite, append to or remove each of these headers, because clients
	// can send them, too. Their address is [http.Request.RemoteAddr] as net/http sets it,
	// which no middleware before may replace by what a header says; one without a port,
	// or that of a Unix socket, is not trusted. All addresses (0.0.0.0/0, ::/0) are an
	// error: where those of proxies are not known, set PublicOrigin. Defaults to none.
	TrustedProxies []netip.Prefix

	// ProxyURL is the URL of the application's proxy of the Frontend API: an absolute
	// https URL, or a path on PublicOrigin or else on the only authorized party that is
	// a web origin. Browsers are sent there for handshakes, and tokens may name it as
	// their issuer. Keys are not fetched through it. [Authenticator.FrontendAPIProxy] is such
	// a proxy. Defaults to none.
	ProxyURL string

	// Domain is the domain of a satellite application, such as example.net, whose Frontend
	// API is then at clerk.example.net in production. It has no effect without Satellite.
	// Defaults to none.
	Domain string

	// Satellite declares that this application is on another domain than the one where
	// people sign in, and takes their session over from there. Requires Domain or
	// ProxyURL, and SignInURL as an absolute URL of the primary application in
	// development. Defaults to false.
	Satellite bool

	// SatelliteAutoSync makes a satellite ask the primary application for a session when a
	// browser without cookies first requests a document. Defaults to false: it does so
	// only for requests with __clerk_synced=false in their query, which return URLs of
	// sign-in pages have.
	SatelliteAutoSync bool

	// Satellites are the origins of the satellites of this primary application. Browsers
	// may be sent back there in development, and pages of theirs may cause requests here
	// that change state with the user's session. Defaults to none.
	Satellites []string

	// Organizations changes the active organization to the one that the path of a document
	// names. Defaults to leaving it alone.
	Organizations OrganizationSync

	// DebugHeaders adds X-Clerk-Auth-Status, -Reason and -Message to responses for callers
	// who are not signed in. They tell attackers, too. Defaults to false.
	DebugHeaders bool
}

// OrganizationSync names the paths whose documents belong to an organization or to a
// user's personal account, as patterns in the grammar of [Rules]. If the session's active
// organization is another one, the browser is sent through a handshake that changes it.
// It decides which organization is active and never what is allowed: guard such routes
// with [OrganizationParam].
type OrganizationSync struct {
	// Organizations are patterns with a parameter called id (org_…) or slug, such as
	// /orgs/{slug}/{rest...} or /orgs/:slug/(.*). They are tried first, in this order.
	Organizations []string
	// Personal are patterns of paths for which no organization is active.
	Personal []string
}

// newBrowsers returns nil if no cookie is to be read.
func (a *core) newBrowsers(c Config, of *clerkkey.Instance, wrong *mistakes) *browsers {
	bc := c.Browser
	s := browser.Settings{Satellite: bc.Satellite, AutoSync: bc.SatelliteAutoSync, SignInURL: bc.SignInURL, Satellites: slices.Clone(bc.Satellites)}
	for _, origin := range bc.Satellites {
		wrong.add("Browser.Satellites "+hint.Quote(origin), weburl.CheckOrigin(origin))
	}
	s.Organizations.Organizations = newCaptures("Browser.Organizations.Organizations", bc.Organizations.Organizations, wrong)
	s.Organizations.Personal = newCaptures("Browser.Organizations.Personal", bc.Organizations.Personal, wrong)
	if bc.Domain != "" && !weburl.ValidHost(bc.Domain) {
		wrong.add("Browser.Domain", hint.Error("it must be a lower-case host, without a scheme and a path", bc.Domain, ""))
	}
	if bc.Satellite {
		checkSatellite(c, of, wrong)
	}
	if bc.Disabled || of == nil || !a.accept.has(kindSession) {
		return nil
	}
	s.Production, s.Host, s.Suffix = of.Production, of.Host, browser.Suffix(c.PublishableKey)
	if of.Production && bc.Satellite && bc.Domain != "" {
		s.Host = "clerk." + bc.Domain
		a.issuers = append(a.issuers, "https://"+s.Host)
	}
	s.Frontend = "https://" + s.Host
	s.Accounts = clerkkey.Instance{Host: s.Host}.AccountsURL()
	switch {
	case a.proxy.url != nil:
		s.Frontend, s.Accounts = a.proxy.url.String(), ""
	case c.FrontendURL != "":
		s.Frontend = strings.TrimRight(c.FrontendURL, "/")
	}
	b := &browsers{Settings: s, debug: bc.DebugHeaders}
	if !c.SecretKey.IsZero() && a.backend != nil {
		b.backend = clerkapi.NewBrowsers(clerkapi.Checked(a.transport, a.checkInstance), a.backend, c.SecretKey.reveal())
	}
	b.NoNonce = b.backend == nil
	return b
}

// newCaptures compiles the patterns in a field of the configuration.
func newCaptures(field string, patterns []string, wrong *mistakes) (list []browser.Capturer) {
	for _, pattern := range patterns {
		capture, err := route.NewCapture(pattern)
		wrong.add(field, err)
		list = append(list, capture)
	}
	return list
}

// checkSatellite checks what a satellite application needs.
func checkSatellite(c Config, of *clerkkey.Instance, wrong *mistakes) {
	if c.Browser.Domain == "" && c.Browser.ProxyURL == "" {
		wrong.add("Browser.Satellite", errors.New("a satellite needs Browser.Domain or Browser.ProxyURL, where its Frontend API is"))
	}
	signIn, err := url.Parse(c.Browser.SignInURL)
	switch {
	case of != nil && !of.Production && c.Browser.SignInURL == "":
		wrong.add("Browser.SignInURL", errors.New("a satellite in development needs the URL of the primary application's sign-in page"))
	case c.Browser.SignInURL != "" && (err != nil || signIn.Host == ""):
		wrong.add("Browser.SignInURL", errors.New("a satellite needs an absolute URL, of the primary application"))
	case signIn != nil && signIn.Host != "" && signIn.Scheme+"://"+signIn.Host == c.Browser.PublicOrigin:
		wrong.add("Browser.SignInURL", fmt.Errorf("it is on this application's own origin %s: a satellite's users sign in at the primary application", hint.Quote(c.Browser.PublicOrigin)))
	}
}
