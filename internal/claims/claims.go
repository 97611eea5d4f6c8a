// Package claims reads the payload of Clerk's tokens: first hints, to distinguish kinds of
// tokens before anything is verified, and the claims after the signature has been verified.
//
// It checks the form of claims only. Whether a token is current, and meant for this
// application, is for the caller, which has a clock and a configuration.
package claims

import (
	"errors"
	"math"
	"strings"
	"sync"

	"github.com/clerkauth/clerkauth/internal/strictjson"
)

// ErrMalformed indicates that a payload is not a JSON object with unique names.
var ErrMalformed = errors.New("token payload is not a json object")

// maxTime is 9999-12-31T23:59:59Z. Later times could overflow calculations.
const maxTime = 253402300799

// maxID is the maximum length of a user or session id in bytes.
const maxID = 256

// Payload is the list of a token's claims.
type Payload []strictjson.Member

// Parse parses a payload and appends its claims to buf.
func Parse(data string, buf Payload) (Payload, error) {
	members, err := strictjson.Object(data, buf)
	if err != nil {
		return nil, ErrMalformed
	}
	return members, nil
}

// get returns the claim called name as written, or "" if it is absent.
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

// Values of the sts claim. A token without it belongs to an active session.
const (
	StatusActive  = "active"
	StatusPending = "pending"
)

// Presence is whether a token has a claim.
type Presence uint8

// A claim is absent, present and well formed, or present and malformed.
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

// Registered holds the claims that tokens of every kind have (RFC 7519 section 4.1). A
// claim of the wrong type or out of range is Malformed or empty, so that the caller can
// check claims in the order that Clerk's SDKs share.
type Registered struct {
	Subject    string // "" unless it is a usable id
	Issuer     string
	TokenID    string   // jti
	Audience   []string // aud, one or more
	AudienceIs Presence

	ExpiresAt, NotBefore, IssuedAt Time

	// Bound is whether cnf is present, with any value: the presenter of the token has to
	// prove possession of a key (RFC 7800 section 3.1).
	Bound bool
}

// read sets the claim called name, if it is a registered one.
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

// Session holds the claims of a session token of either of Clerk's versions. Of an unknown
// version it holds the claims that restrict, and none of those that grant, whose meaning is
// unknown.
type Session struct {
	Registered

	SessionID string // "" unless it is a usable id
	SID       string // sid as it is, whatever it is, "" if it is not text
	Party     string // azp
	PartyIs   Presence
	Status    string // sts: StatusActive, StatusPending, or "" if absent
	StatusIs  Presence

	Version int    // v: 1, also if it is absent or null, or 2; 0 for any other value
	Acted   bool   // act is present, with any value
	Actor   string // act as written, if it is an object
	Acting  *Actor // act as it is read, nil if it is absent

	Org  Org
	Ages Ages // fva

	// Grants are decoded when they are first used, which most requests do not do.
	fea, pla, per, fpm, orgPermissions string // as written
	odd                                bool   // see Understood
	once                               sync.Once
	grants                             grants
}

// Ages are the minutes since the first and the second factor were verified, or -1 for a
// factor that the user does not have.
type Ages struct {
	First, Second float64
	Known         bool // false if fva is absent or malformed
}

// ReadSession reads the claims of a session token. Malformed claims of organizations,
// features, plans and factors grant nothing, and are not a reason to reject a token.
func (p Payload) ReadSession() *Session {
	s := &Session{Version: 1}
	var org string
	for _, m := range p {
		switch m.Name {
		case "sid":
			s.SID, _ = strictjson.String(m.Value)
			s.SessionID, _ = readID(m.Value)
			if !strings.HasPrefix(s.SessionID, "sess_") {
				s.SessionID = ""
			}
		case "sts":
			s.Status, s.StatusIs = readStatus(m.Value)
		case "azp":
			s.Party, s.PartyIs = readParty(m.Value)
		case "v":
			if !strictjson.Null(m.Value) {
				s.Version = readVersion(m.Value)
			}
		case "act":
			s.Acted = true
			s.Actor, s.Acting = readActor(m.Value)
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

// readID reads an id, of a user or another object.
func readID(value string) (string, bool) {
	id, ok := strictjson.String(value)
	if !ok || !UsableID(id) {
		return "", false
	}
	return id, true
}

// UsableID reports whether an id consists of visible ASCII characters, so that it can be
// logged, compared and put into a URL safely.
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

// readTime reads a NumericDate (RFC 7519 section 2). It rounds down, which for an expiry is
// the safe direction.
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

// readAudience reads a string, or a list of strings, that is not empty (RFC 7519 section
// 4.1.3).
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

// readStrings reads a list of strings.
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

// readVersion returns 1 or 2, or 0 for an unknown version.
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
