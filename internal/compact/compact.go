// Package compact reads and verifies JSON Web Signatures in compact
// serialisation (RFC 7515 section 7.1), RS256 alone.
//
// It knows no other algorithm, no other serialisation and no encryption, so
// none of them can be confused with it. Everything that can be wrong with a
// token's form is found by Parse, before a key is looked up.
package compact

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/clerkauth/clerkauth/internal/strictjson"
)

// MaxLen is the length in bytes of the longest token that is looked at. Clerk's
// session tokens stay below 4 KiB, because browsers allow a cookie no more.
const MaxLen = 16 << 10

// rs256 is the one algorithm there is (RFC 7518 section 3.3).
const rs256 = "RS256"

// maxKeyID is the length of the longest key id that is looked up.
const maxKeyID = 256

// Errors of Parse and Verify.
var (
	ErrMalformed = errors.New("token is not a compact jws with a plain header")
	ErrAlgorithm = errors.New("token is not signed with RS256")
	ErrSignature = errors.New("signature does not match")
)

// Token is a token that has been read and not verified.
type Token struct {
	Header    Header
	Payload   string // decoded, not yet known to be JSON
	signed    string // header.payload as sent
	signature []byte
}

// Header holds the header members that mean something to Clerk (RFC 7515
// section 4.1 and Clerk's own cat and oiat).
type Header struct {
	KeyID    string  // "" where kid is absent or no string
	Type     string  // typ
	Category string  // cat
	HasType  bool    // typ is present, of whatever kind; Type is "" if it is no string
	HasCat   bool    // cat is present, of whatever kind; Category is "" if it is no string
	OrigIAT  float64 // oiat: when the first token of this lineage was issued; 0 if absent or no number
	alg      string
}

// Parse reads token: three parts of canonical base64url without padding (RFC
// 7515 section 2, RFC 4648 section 3.5), a header that is a JSON object with
// unique names, none of the members that would change how it is verified.
//
// The algorithm is for CheckAlgorithm, so that a caller can tell kinds of
// tokens apart first.
func Parse(token string) (Token, error) {
	if len(token) > MaxLen {
		return Token{}, ErrMalformed
	}
	first := strings.IndexByte(token, '.')
	last := strings.LastIndexByte(token, '.')
	if first <= 0 || last == first {
		return Token{}, ErrMalformed
	}
	// The decoder below skips CR and LF even when it is strict, so the alphabet
	// is checked first; that finds a fourth part, too.
	for i := range len(token) {
		if alphabet[token[i]] == 0 && i != first && i != last {
			return Token{}, ErrMalformed
		}
	}
	buf := make([]byte, 0, base64.RawURLEncoding.DecodedLen(len(token)))
	buf, err1 := strictEncoding.AppendDecode(buf, []byte(token[:first]))
	dot := len(buf)
	buf, err2 := strictEncoding.AppendDecode(buf, []byte(token[first+1:last]))
	text := string(buf)
	signature, err3 := strictEncoding.AppendDecode(buf[len(buf):], []byte(token[last+1:]))
	if err1 != nil || err2 != nil || err3 != nil || len(text) == dot {
		return Token{}, ErrMalformed
	}
	h, err := parseHeader(text[:dot])
	if err != nil {
		return Token{}, err
	}
	// Only the algorithm "none" leaves the signature empty, and that is
	// CheckAlgorithm's to name.
	if len(signature) == 0 && h.alg == rs256 {
		return Token{}, ErrMalformed
	}
	return Token{Header: h, Payload: text[dot:], signed: token[:last], signature: signature}, nil
}

var strictEncoding = base64.RawURLEncoding.Strict()

// alphabet is base64url's (RFC 4648 section 5).
var alphabet = func() (t [256]byte) {
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
		t[c] = 1
	}
	return t
}()

func parseHeader(data string) (h Header, err error) {
	var buf [8]strictjson.Member
	members, err := strictjson.Object(data, buf[:0])
	if err != nil {
		return Header{}, ErrMalformed
	}
	for _, m := range members {
		switch m.Name {
		case "alg":
			h.alg = word(m.Value)
		case "kid":
			// A kid of another type, or too long to be one, is no kid: which
			// key is meant is not known then.
			h.KeyID, _ = strictjson.String(m.Value)
			if len(h.KeyID) > maxKeyID {
				h.KeyID = ""
			}
		case "typ":
			h.HasType = true
			h.Type = word(m.Value)
		case "cat":
			h.HasCat = true
			h.Category = word(m.Value)
		case "oiat":
			h.OrigIAT, _ = strictjson.Number(m.Value)
		case "crit", "b64", "zip", "enc", "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256":
			// Extensions that must be understood (RFC 7515 section 4.1.11,
			// RFC 7797), compression and encryption are not; a key or the
			// place of one is never taken from a token (RFC 8725 section 3.10).
			return Header{}, ErrMalformed
		}
	}
	return h, nil
}

// word reads a string; the usual ones are constants and cost no allocation.
func word(value string) string {
	switch value {
	case `"RS256"`:
		return rs256
	case `"JWT"`:
		return "JWT"
	case `"cl_B7d4PD111AAA"`:
		return "cl_B7d4PD111AAA"
	}
	s, _ := strictjson.String(value)
	return s
}

// CheckAlgorithm returns ErrAlgorithm unless the header says RS256, byte for
// byte (RFC 8725 section 3.1).
func (t *Token) CheckAlgorithm() error {
	if t.Header.alg != rs256 {
		return ErrAlgorithm
	}
	return nil
}

// Verify checks the signature with key: RSASSA-PKCS1-v1_5 with SHA-256 (RFC
// 7518 section 3.3), whatever the header says; a header that says something
// else is refused.
func (t *Token) Verify(key *rsa.PublicKey) error {
	if err := t.CheckAlgorithm(); err != nil {
		return err
	}
	digest := sha256.Sum256([]byte(t.signed))
	if rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], t.signature) != nil {
		return ErrSignature
	}
	return nil
}
