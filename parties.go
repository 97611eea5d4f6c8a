package clerkauth

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/clerkauth/clerkauth/internal/claims"
	"github.com/clerkauth/clerkauth/internal/clerkkey"
	"github.com/clerkauth/clerkauth/internal/hint"
	"github.com/clerkauth/clerkauth/internal/weburl"
)

// MissingParty says from where tokens without an azp claim are accepted. With
// [Config.InsecureAnyParty] it has no effect; otherwise a token whose azp is empty or
// null is rejected in any case.
type MissingParty int

const (
	// RefuseMissing rejects them.
	RefuseMissing MissingParty = iota
	// AllowMissingFromHeader accepts them in an Authorization header. Tokens of native
	// apps, and those issued by the Backend API, have no origin to name.
	AllowMissingFromHeader
	// AllowMissingFromCookie accepts them in cookies. Tokens issued during a top-level
	// navigation may lack an azp.
	AllowMissingFromCookie
	// AllowMissing accepts them everywhere.
	AllowMissing
)

// allows reports whether a token without azp that came from there is accepted.
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

// parties are those to whom an accepted token may have been issued.
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
	case c.InsecureAnyParty || len(c.AuthorizedParties) > 0:
	case native && !c.Browser.Disabled:
		wrong.add("AuthorizedParties", errors.New(
			"it is nil, as for an API that only native apps call: set Browser.Disabled, too, because cookies of pages would be read"))
	case native:
	case c.AuthorizedParties != nil:
		wrong.add("AuthorizedParties", errors.New(
			"it is missing: the list is there and empty; name the origins of your pages, such as https://app.example.com"))
	default:
		wrong.add("AuthorizedParties", errors.New(
			"it is missing: set CLERK_AUTHORIZED_PARTIES to the origins of your pages, such as https://app.example.com; "+
				"if there are none, because all callers are native apps, set MissingParty to AllowMissingFromHeader and Browser.Disabled"))
	}
	if c.MissingParty < RefuseMissing || c.MissingParty > AllowMissing {
		wrong.add("MissingParty", errors.New("it is none of the constants"))
	}
	for _, party := range c.AuthorizedParties {
		wrong.add("AuthorizedParties "+hint.Quote(party), weburl.CheckOrigin(party))
	}
	return parties{slices.Clone(c.AuthorizedParties), c.InsecureAnyParty, c.MissingParty}
}

// partyFault is what is wrong with a token's azp: how it differs from the authorized
// party that is most like it. The zero value means that the azp is accepted.
type partyFault weburl.Difference

// partyMissing means that there is no azp.
const partyMissing = partyFault(1 << 31)

// err returns the cause of a refusal, for logs.
func (f partyFault) err() error {
	if f == partyMissing {
		return errNoParty
	}
	return fmt.Errorf("its azp is not an authorized party, and differs in: %v", weburl.Difference(f))
}

var errNoParty = errors.New("it carries no azp; Config.MissingParty says from where such tokens are accepted")

// check compares azp with the authorized parties byte for byte: RFC 6454 section 6.1
// gives an origin one spelling. It returns 0 if the token is accepted.
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
		return partyFault(weburl.DiffersInForm)
	case slices.Contains(p.list, s.Party):
		return 0
	default:
		return partyFault(weburl.Differ(s.Party, p.list))
	}
}

// tellOfPlainParties warns of authorized parties on plain http, whose pages anyone on
// the network between can change, if the instance is a live one.
func (a *core) tellOfPlainParties(c Config, of *clerkkey.Instance) {
	live := clerkkey.IsLive(c.SecretKey.reveal())
	if of != nil {
		live = of.Production
	}
	if !live {
		return
	}
	for _, party := range a.parties.list {
		if strings.HasPrefix(party, "http://") {
			a.log.Warn("clerkauth: a live instance has an authorized party on plain http, whose pages anyone on their network can change; use https",
				"party", party)
		}
	}
}
