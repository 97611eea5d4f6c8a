package claims

import (
	"slices"
	"strings"

	"github.com/clerkauth/clerkauth/internal/jws"
	"github.com/clerkauth/clerkauth/internal/strictjson"
)

// Issuer is whether a payload names an issuer of this instance.
type Issuer uint8

// A payload has no issuer, one of the instance's, or another.
const (
	NoIssuer    Issuer = iota // iss is absent, or not a string
	OwnIssuer                 // iss is one of the instance's
	OtherIssuer               // iss is another string
)

// Hints are claims that are read before the signature is verified, to distinguish kinds of
// tokens, and those that are not of this instance. They must be used for nothing else.
type Hints struct {
	Machine bool // sub begins with mch_
	APIKey  bool // jti begins with ak_
	Session bool // sid is present, with any value
	Issuer  Issuer
}

// hintNames are the claims that Hints are read from.
var hintNames = []string{"sub", "iss", "jti", "sid"}

// Scan reads the hints in a payload. It allocates nothing. The error is ErrMalformed if the
// payload is not strict JSON, or has one of these claims twice; Parse finds duplicates of
// other names.
func Scan(data []byte, issuers []string) (Hints, error) {
	var h Hints
	var seen [4]bool // by index in hintNames
	s := strictjson.Scan(data)
	for name, value, ok := s.Next(); ok; name, value, ok = s.Next() {
		claim := strictjson.AnyOf(name, hintNames)
		if claim == "" {
			continue
		}
		i := slices.Index(hintNames, claim)
		if seen[i] {
			return Hints{}, ErrMalformed
		}
		seen[i] = true
		switch claim {
		case "sub":
			h.Machine = strictjson.HasPrefix(value, "mch_")
		case "jti":
			h.APIKey = strictjson.HasPrefix(value, "ak_")
		case "sid":
			h.Session = true
		case "iss":
			if strictjson.IsString(value) {
				h.Issuer = OtherIssuer
			}
			if slices.ContainsFunc(issuers, func(own string) bool { return strictjson.Equal(value, own) }) {
				h.Issuer = OwnIssuer
			}
		}
	}
	if s.Err() != nil {
		return Hints{}, ErrMalformed
	}
	return h, nil
}

// Hints returns what Scan returns for the same payload.
func (p Payload) Hints(issuers []string) Hints {
	h := Hints{
		Machine: strings.HasPrefix(p.text("sub"), "mch_"),
		APIKey:  strings.HasPrefix(p.text("jti"), "ak_"),
		Session: p.get("sid") != "",
	}
	if issuer, ok := strictjson.String(p.get("iss")); ok {
		h.Issuer = OtherIssuer
		if slices.Contains(issuers, issuer) {
			h.Issuer = OwnIssuer
		}
	}
	return h
}

// ScanToken reads the hints in the payload of a token. What it is decoded into is on the stack, so that a
// forged token costs no memory of its own size.
func ScanToken(t *jws.Token, issuers []string) (Hints, error) {
	const usual = 2 << 10
	if t.PayloadLen() > usual {
		return scanLong(t, issuers)
	}
	var room [usual]byte
	return scanInto(room[:0], t, issuers)
}

// scanLong is ScanToken with more room, which only payloads that need it should take.
//
//go:noinline
func scanLong(t *jws.Token, issuers []string) (Hints, error) {
	var room [jws.MaxLen]byte
	return scanInto(room[:0], t, issuers)
}

func scanInto(room []byte, t *jws.Token, issuers []string) (Hints, error) {
	payload, err := t.Payload(room)
	if err != nil {
		return Hints{}, err
	}
	return Scan(payload, issuers)
}
