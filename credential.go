package clerkauth

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/clerkauth/clerkauth/internal/jws"
)

// callCredential calls Config.Credential. failed reports that it panicked.
func (a *core) callCredential(r *http.Request) (token string, failed bool) {
	failed = true // until it has returned
	defer func() {
		if failed {
			v := recover()
			// What was panicked with may hold the credential.
			a.log.Error("clerkauth: Config.Credential panicked; the caller gets 401", "type", fmt.Sprintf("%T", v))
		}
	}()
	token = a.credential(r)
	return token, false
}

// errCredentialPanicked is the cause of rejecting a request for which Config.Credential
// panicked.
var errCredentialPanicked = errors.New("the function that reads the credential panicked")

// authenticateOwn authenticates a request by what Config.Credential returned for it. A
// browser may send that by itself, wherever the request came from.
func (a *core) authenticateOwn(r *http.Request, p *presented) State {
	token := p.own
	switch {
	case p.failed:
		return rejected(newError(ErrTokenInvalid, errCredentialPanicked))
	case token == "":
		return State{}
	case len(token) <= jws.MaxLen && !oneWord(token): // such as "Bearer …"
		return rejected(newError(ErrTokenInvalid, nil))
	case p.cross:
		return anonymously(newError(ErrCrossSite, nil))
	}
	from := fromHeader
	if inCookie(r, token) {
		from = fromCookie
	}
	return a.authenticateToken(r.Context(), token, from)
}

// inCookie reports whether token is also the value of a cookie, as it is or decoded.
func inCookie(r *http.Request, token string) bool {
	for _, c := range r.Cookies() {
		if decoded, err := url.PathUnescape(c.Value); c.Value == token || err == nil && decoded == token {
			return true
		}
	}
	return false
}

// newOrigins returns the check of where requests came from that browsers may send with a
// credential by themselves. This server's own origin and authorized parties are trusted.
func newOrigins(trusted []string) *http.CrossOriginProtection {
	origins := http.NewCrossOriginProtection()
	for _, origin := range trusted {
		_ = origins.AddTrustedOrigin(origin) // New returns an error for what is not an origin
	}
	return origins
}

// crossSite reports whether a page of another site may have caused r, which a browser
// sends with the user's credential all the same. For methods that change state it is what
// [http.CrossOriginProtection] says, authorized parties being trusted. Because that allows
// every GET, and a page of any site can open a websocket, a request with Upgrade needs an
// Origin that is this server's or an authorized party. A GET that changes state is not
// protected. The host of this server's own origin is that of r, or what a trusted proxy
// says it is; pages of other sites can set no header that says so.
func (a *core) crossSite(r *http.Request) bool {
	if _, host := a.pages.proxies.Requested(r); host != r.Host {
		r = r.WithContext(r.Context()) // a copy
		r.Host = host
	}
	origins := r.Header["Origin"]
	switch {
	case a.origins.Check(r) != nil:
		return true
	case len(r.Header["Upgrade"]) == 0 && (len(origins) == 0 || r.Host != ""):
		return false
	case len(origins) != 1:
		return true
	case origins[0] == a.pages.site.Public || a.parties.lists(origins[0]):
		return false
	default: // without a Host, no origin is this server's
		host := strings.ToLower(r.Host)
		return host == "" || origins[0] != "https://"+host && origins[0] != "http://"+host
	}
}
