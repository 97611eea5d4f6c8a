// Package csrf tells which requests a page of another site may have caused.
package csrf

import (
	"net/http"
	"slices"
	"strings"

	"github.com/clerkauth/clerkauth/internal/weburl"
)

// Protection knows the origins whose requests are this application's own. It is immutable.
type Protection struct {
	origins *http.CrossOriginProtection
	trusted []string
	proxies weburl.Proxies
}

// New returns a Protection that trusts the given origins, beside the host of each request
// as proxies forward it. What is not an origin is left out.
func New(trusted []string, proxies weburl.Proxies) *Protection {
	p := &Protection{origins: http.NewCrossOriginProtection(), proxies: proxies}
	for _, origin := range trusted {
		if p.origins.AddTrustedOrigin(origin) == nil {
			p.trusted = append(p.trusted, origin)
		}
	}
	return p
}

// CrossSite reports whether a page of another site may have caused r, which a browser
// sends with the user's credential all the same. For methods that change state it is what
// [http.CrossOriginProtection] says. Because that allows every GET, and a page of any site
// can open a websocket, a request with Upgrade needs an Origin that is this server's or
// trusted. A GET that changes state is not protected. The host of this server's own origin
// is that of r, or what a trusted proxy says it is; pages of other sites can set no header
// that says so.
func (p *Protection) CrossSite(r *http.Request) bool {
	if _, host := p.proxies.Requested(r); host != r.Host {
		r = r.WithContext(r.Context()) // a copy
		r.Host = host
	}
	origins := r.Header["Origin"]
	switch {
	case p.origins.Check(r) != nil:
		return true
	case len(r.Header["Upgrade"]) == 0 && (len(origins) == 0 || r.Host != ""):
		return false
	case len(origins) != 1:
		return true
	case slices.Contains(p.trusted, origins[0]):
		return false
	default: // without a Host, no origin is this server's
		host := strings.ToLower(r.Host)
		return host == "" || origins[0] != "https://"+host && origins[0] != "http://"+host
	}
}
