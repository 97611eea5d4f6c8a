package clerkauth

import (
	"errors"
	"fmt"
	"math/bits"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/clerkauth/clerkauth/internal/claims"
)

// MissingParty says what becomes of tokens without azp while AuthorizedParties
// are configured. A token whose azp is empty or null is refused in any case.
type MissingParty int

const (
	// RefuseMissing refuses them.
	RefuseMissing MissingParty = iota
	// AllowMissingFromHeader accepts them as bearer tokens: native apps, and
	// tokens minted by the Backend API, have no origin to name.
	AllowMissingFromHeader
	// AllowMissingFromCookie accepts them from cookies: tokens minted during a
	// top-level navigation may lack azp.
	AllowMissingFromCookie
	// AllowMissing accepts them from anywhere.
	AllowMissing
)

// allows tells whether a token without azp is accepted from there.
func (m MissingParty) allows(from carrier) bool {
	switch m {
	case AllowMissing:
		return true
	case AllowMissingFromHeader:
		return from == fromHeader
	case AllowMissingFromCookie:
		return from == fromCookie
	default:
		return false
	}
}

// parties decides whom a token was issued to.
type parties struct {
	list    []string
	any     bool
	missing MissingParty
}

func newParties(c Config, wrong *mistakes) parties {
	native := c.AuthorizedParties == nil && c.MissingParty == AllowMissingFromHeader
	switch {
	case c.InsecureAnyParty && len(c.AuthorizedParties) > 0:
		wrong.add("InsecureAnyParty", errors.New("it contradicts AuthorizedParties: leave one of them out"))
	case c.InsecureAnyParty || len(c.AuthorizedParties) > 0 || native:
	case c.AuthorizedParties != nil:
		wrong.add("AuthorizedParties", errors.New(
			"it is missing: the list is there and empty; name the origins of your pages, such as https://app.example.com"))
	default:
		wrong.add("AuthorizedParties", errors.New(
			"it is missing: set CLERK_AUTHORIZED_PARTIES to the origins of your pages, such as https://app.example.com; "+
				"if there are none, because all callers are native apps, set MissingParty to AllowMissingFromHeader"))
	}
	if c.MissingParty < RefuseMissing || c.MissingParty > AllowMissing {
		wrong.add("MissingParty", errors.New("it is none of the constants"))
	}
	for _, party := range c.AuthorizedParties {
		wrong.add("AuthorizedParties "+shown(party), checkOrigin(party))
	}
	return parties{slices.Clone(c.AuthorizedParties), c.InsecureAnyParty, c.MissingParty}
}

// partyFault is what is wrong with a token's azp: nothing, or one or more of the
// constants.
type partyFault uint32

const (
	partyMissing partyFault = 1 << iota // there is none
	partyScheme                         // an authorized party has another scheme,
	partyWWW                            // or the same host but for www.,
	partyPort                           // or another port
	partyHost                           // no authorized party has that host
	partyForm                           // it is not an origin
)

var partyFaultNames = []string{"missing", "scheme", "www.", "port", "host", "form"}

// String names the faults in f.
func (f partyFault) String() string {
	var names []string
	for i, name := range partyFaultNames {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// err returns f as the cause of a refusal, for logs.
func (f partyFault) err() error {
	if f == partyMissing {
		return errNoParty
	}
	return fmt.Errorf("its azp is not an authorized party, and differs in: %v", f)
}

var errNoParty = errors.New("it carries no azp; Config.MissingParty says from where such tokens are accepted")

// check compares azp with the parties, byte for byte (RFC 6454 section 6.1 gives
// an origin one spelling). It returns 0 if the token is accepted.
func (p parties) check(s *claims.Session, from carrier) partyFault {
	switch {
	case p.any:
		return 0
	case s.PartyIs == claims.Absent:
		if p.missing.allows(from) {
			return 0
		}
		return partyMissing
	case s.PartyIs != claims.Present:
		return partyForm
	case slices.Contains(p.list, s.Party):
		return 0
	default:
		return p.difference(s.Party)
	}
}

// difference returns in what party differs from the authorized party that is most
// like it.
func (p parties) difference(party string) partyFault {
	u, err := url.Parse(party)
	if err != nil || u.Host == "" || party != u.Scheme+"://"+u.Host {
		return partyForm
	}
	least := partyHost
	for _, known := range p.list {
		k, err := url.Parse(known)
		if err != nil {
			continue // New has parsed it
		}
		var faults partyFault
		if host, own := k.Hostname(), u.Hostname(); host != own {
			if strings.TrimPrefix(host, "www.") != strings.TrimPrefix(own, "www.") {
				continue
			}
			faults |= partyWWW
		}
		if k.Scheme != u.Scheme {
			faults |= partyScheme
		}
		if k.Port() != u.Port() {
			faults |= partyPort
		}
		if least == partyHost || bits.OnesCount32(uint32(faults)) < bits.OnesCount32(uint32(least)) {
			least = faults
		}
	}
	if least == 0 {
		return partyForm // the same origin in another spelling
	}
	return least
}

var schemePattern = regexp.MustCompile(`\A[a-z][a-z0-9+.-]*\z`)

// checkOrigin tells what keeps s from being an origin as a browser would
// serialise it (RFC 6454 section 6.2). Anything else could never equal an azp,
// or would promise a pattern where a comparison is made.
func checkOrigin(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || !schemePattern.MatchString(u.Scheme) || strings.ContainsAny(s, ",;") {
		return fmt.Errorf("it is not an origin such as https://app.example.com%s", originHint(s))
	}
	if want := u.Scheme + "://" + strings.ToLower(u.Host); strings.EqualFold(s, want) && s != want {
		return fmt.Errorf("an origin is lower-case: use %s", shown(want))
	} else if s != want {
		return fmt.Errorf("an origin has no path, query or credentials: use %s", shown(want))
	}
	host, port, err := net.SplitHostPort(u.Host)
	if err != nil {
		host, port = u.Host, ""
	}
	switch {
	case !validHost(u.Host):
		return errors.New("its host must be lower-case ASCII (punycode for others), without a trailing dot or wildcard")
	case port != "" && !validPort(port):
		return errors.New("its port must be a number from 1 to 65535, without a zero in front")
	case strings.HasSuffix(u.Host, ":"), u.Scheme == "https" && port == "443", u.Scheme == "http" && port == "80":
		return fmt.Errorf("an origin leaves out its scheme's own port: use %s", shown(u.Scheme+"://"+host))
	}
	return nil
}

// validPort tells whether port is written as a browser writes one.
func validPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0 && port[0] != '0'
}

var namePattern = regexp.MustCompile(`\A[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*(:[0-9]{0,5})?\z`)

// validHost tells whether hostport is a plain lower-case host, with or without a
// port: nothing in it can be taken for another part of a URL.
func validHost(hostport string) bool {
	if namePattern.MatchString(hostport) {
		return true
	}
	rest, ok := strings.CutPrefix(hostport, "[")
	if !ok {
		return false
	}
	ip, port, ok := strings.Cut(rest, "]")
	return ok && net.ParseIP(ip) != nil && !strings.Contains(ip, "%") && (port == "" || namePattern.MatchString("h"+port))
}
