// Package claims reads the payload of Clerk's tokens: first hints, to tell kinds of
// tokens apart before anything is verified, then, once the signature has been
// checked, the claims.
//
// It judges form alone. Whether a session is current, and meant for us, is for
// the caller, who has a clock and a configuration.
package claims

import (
	"errors"
	"math"
	"strings"
	"sync"

	"github.com/clerkauth/clerkauth/internal/strictjson"
)

// ErrMalformed says that a payload is not a JSON object with unique names.
var ErrMalformed = errors.New("token payload is not a json object")

// maxTime is 9999-12-31T23:59:59Z. A later time is a mistake or an attempt to
// overflow somebody's arithmetic.
const maxTime = 253402300799

// maxID is the length in bytes of the longest user or session id.
const maxID = 256

// Payload is a payload that has been split into its claims.
type Payload []strictjson.Member

// Parse splits data into claims, which are appended to buf.
func Parse(data string, buf Payload) (Payload, error) {
	members, err := strictjson.Object(data, buf)
	if err != nil {
		return nil, ErrMalformed
	}
	return members, nil
}

// get returns the claim called name as written, "" if it is absent.
func (p Payload) get(name string) string {
	for i := range p {
		if p[i].Name == name {
			return p[i].Value
		}
	}
	return ""
}

func (p Payload) text(name string) string {
	s, _ := strictjson.String(p.get(name))
	return s
}

// Status values of the sts claim. A token without it is of an active session.
const (
	StatusActive  = "active"
	StatusPending = "pending"
)

// Presence tells how a claim stands in a token.
type Presence uint8

// A claim is absent, present as it should be, or present as something else.
const (
	Absent Presence = iota
	Present
	Malformed
)

// Time is a NumericDate claim in whole seconds since 1970.
type Time struct {
	Unix int64
	Is   Presence
}

// Registered holds the claims that every kind of token has (RFC 7519 section
// 4.1). A claim of a wrong type or out of range is Malformed or empty here, so that the
// caller can judge the claims in the order that Clerk's SDKs agree on.
type Registered struct {
	Subject    string // "" unless it is a usable id
	Issuer     string
	TokenID    string   // jti
	Audience   []string // aud, one or more
	AudienceIs Presence

	ExpiresAt, NotBefore, IssuedAt Time

	// Bound says that cnf is present, whatever it is: whoever presents the token has
	// to prove that they hold a key (RFC 7800 section 3.1).
	Bound bool
}

// read reads a claim if it is one of these.
func (r *Registered) read(name, value string) {
	switch name {
	case "sub":
		r.Subject, _ = readID(value)
	case "iss":
		r.Issuer, _ = strictjson.String(value)
	case "jti":
		r.TokenID, _ = strictjson.String(value)
	case "aud":
		r.Audience, r.AudienceIs = readAudience(value)
	case "exp":
		r.ExpiresAt = readTime(value)
	case "nbf":
		r.NotBefore = readTime(value)
	case "iat":
		r.IssuedAt = readTime(value)
	case "cnf":
		r.Bound = true
	}
}

// Session holds the claims of a session token in both of Clerk's versions, as
// [Registered] does those that it shares with others. Of a version that is not
// known it has the claims that restrict, and none of those that grant: what they
// mean there is not known.
type Session struct {
	Registered

	SessionID string // "" unless it is a usable id
	Party     string // azp
	PartyIs   Presence
	Status    string // sts: StatusActive, StatusPending, or "" if absent
	StatusIs  Presence

	Version int    // v: 1, also where it is absent, or 2; 0 if it is something else
	Acted   bool   // act is present, whatever it is
	Actor   string // act as written, if it is an object
	ActorID string // act.sub

	Org  Org
	Ages Ages // fva

	// What is read when it is first asked for: most requests ask for none of it.
	fea, pla, per, fpm, orgPermissions string // as written
	once                               sync.Once
	grants                             grants
}

// Ages are minutes since the first and the second factor were verified, -1 for
// a factor that the user does not have.
type Ages struct {
	First, Second float64
	Known         bool // false where fva is absent or not two such numbers
}

// ReadSession reads the claims of a session token. Malformed organization, feature,
// plan or factor claims give nothing; they are no reason to refuse a user.
func (p Payload) ReadSession() *Session {
	s := &Session{Version: 1}
	var org string
	for _, m := range p {
		switch m.Name {
		case "sid":
			s.SessionID, _ = readID(m.Value)
			if !strings.HasPrefix(s.SessionID, "sess_") {
				s.SessionID = ""
			}
		case "sts":
			s.Status, s.StatusIs = readStatus(m.Value)
		case "azp":
			s.Party, s.PartyIs = readParty(m.Value)
		case "v":
			s.Version = readVersion(m.Value)
		case "act":
			s.Acted = true
			s.Actor, s.ActorID = readActor(m.Value)
		case "fva":
			s.Ages = readAges(m.Value)
		case "o":
			org = m.Value
		case "fea":
			s.fea = m.Value
		case "pla":
			s.pla = m.Value
		default:
			s.read(m.Name, m.Value)
		}
	}
	switch s.Version {
	case 2:
		s.readOrg(org)
	case 1:
		s.readOrgV1(p)
	default:
		s.grantNothing()
	}
	return s
}

// readID reads the id of a user or something else.
func readID(value string) (string, bool) {
	id, ok := strictjson.String(value)
	if !ok || !UsableID(id) {
		return "", false
	}
	return id, true
}

// UsableID tells whether an id is of visible ASCII, so that it can be logged,
// compared and put into a URL without surprises.
func UsableID(id string) bool {
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return id != "" && len(id) <= maxID
}

func readStatus(value string) (string, Presence) {
	if s, _ := strictjson.String(value); s == StatusActive || s == StatusPending {
		return s, Present
	}
	return "", Malformed
}

// readTime reads a NumericDate (RFC 7519 section 2). A fraction is cut off,
// which for an expiry is the safe direction.
func readTime(value string) Time {
	f, ok := strictjson.Number(value)
	if !ok || f < 0 || f > maxTime {
		return Time{Is: Malformed}
	}
	return Time{Unix: int64(f), Is: Present}
}

func readParty(value string) (string, Presence) {
	if s, ok := strictjson.String(value); ok && s != "" {
		return s, Present
	}
	return "", Malformed
}

// readAudience reads a string or a list of strings (RFC 7519 section 4.1.3).
func readAudience(value string) ([]string, Presence) {
	if s, ok := strictjson.String(value); ok {
		if s == "" {
			return nil, Malformed
		}
		return []string{s}, Present
	}
	list, ok := readStrings(value)
	if !ok || len(list) == 0 {
		return nil, Malformed
	}
	return list, Present
}

// readStrings reads a list that holds nothing but strings.
func readStrings(value string) ([]string, bool) {
	elements, err := strictjson.Array(value)
	if err != nil {
		return nil, false
	}
	list := make([]string, len(elements))
	for i, e := range elements {
		s, ok := strictjson.String(e)
		if !ok {
			return nil, false
		}
		list[i] = s
	}
	return list, true
}

// readVersion returns 1 or 2, and 0 for a version that is not known.
func readVersion(value string) int {
	switch f, _ := strictjson.Number(value); f {
	case 1:
		return 1
	case 2:
		return 2
	default:
		return 0
	}
}

func readActor(value string) (act, id string) {
	var buf [4]strictjson.Member
	members, err := strictjson.Object(value, buf[:0])
	if err != nil {
		return "", ""
	}
	return value, Payload(members).text("sub")
}

func readAges(value string) Ages {
	elements, err := strictjson.Array(value)
	if err != nil || len(elements) != 2 {
		return Ages{}
	}
	var ages [2]float64
	for i, e := range elements {
		f, ok := strictjson.Number(e)
		if !ok || math.IsInf(f, 0) || f < 0 && f != -1 {
			return Ages{}
		}
		ages[i] = f
	}
	return Ages{First: ages[0], Second: ages[1], Known: true}
}
