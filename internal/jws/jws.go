// Package jws reads and verifies JSON Web Signatures in compact
// serialisation (RFC 7515 section 7.1), RS256 alone.
//
// It knows no other algorithm, no other serialisation and no encryption, so
// none of them can be confused with it. Everything that can be wrong with a
// token's form is found by Parse and Payload, before a key is looked up, at a
// cost that is bounded whatever the token holds.
package jws

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

// A header has at most this many bytes, and members, those of objects in it
// included. Clerk's have about 150, and five.
const (
	maxHeader  = 4 << 10
	maxMembers = 32
)

// maxSignature is the length of a signature by the longest RSA key that is used,
// of 8192 bits.
const maxSignature = 1 << 10

// rs256 is the one algorithm there is (RFC 7518 section 3.3).
const rs256 = "RS256"

// maxWord is the length of the longest key id that is looked up, and of any other
// value of the header that means something.
const maxWord = 256

// Errors of Parse and Verify.
var (
	ErrParts     = errors.New("token does not have three parts")
	ErrMalformed = errors.New("token is not a compact jws with a plain header")
	ErrAlgorithm = errors.New("token is not signed with RS256")
	ErrSignature = errors.New("signature does not match")
)

// Token is a token that has been read and not verified.
type Token struct {
	Header Header

	signed             string // header.payload as sent
	payload, signature string // as sent
}

// Header holds the header members that mean something to Clerk (RFC 7515
// section 4.1 and Clerk's own cat and oiat).
type Header struct {
	KeyID    string  // "" where kid is absent, no string, or too long
	Type     string  // typ
	Category string  // cat
	HasType  bool    // typ is present, of whatever kind; Type is "" if it is no string, or too long
	HasCat   bool    // cat is present, of whatever kind; Category is "" if it is no string, or too long
	Extended bool    // there are members that would change how it is verified, or with which key
	OrigIAT  float64 // oiat: when the first token of this lineage was issued; 0 if absent, no number, or too long
	alg      string
}

// Parse reads token: three parts of canonical base64url without padding (RFC
// 7515 section 2, RFC 4648 section 3.5), a header that is a JSON object with
// unique names. What is not in three parts is ErrParts, anything else that is wrong
// ErrMalformed.
//
// The payload is for Payload to read, and the header for CheckHeader and
// CheckAlgorithm to judge, so that a caller can tell kinds of tokens apart first.
func Parse(token string) (Token, error) {
	if len(token) > MaxLen {
		return Token{}, ErrMalformed
	}
	first := strings.IndexByte(token, '.')
	last := strings.LastIndexByte(token, '.')
	if first < 0 || last == first || strings.IndexByte(token[first+1:last], '.') >= 0 {
		return Token{}, ErrParts
	}
	// The decoder skips CR and LF even when it is strict.
	if strings.IndexByte(token, '\n') >= 0 || strings.IndexByte(token, '\r') >= 0 {
		return Token{}, ErrMalformed
	}
	t := Token{signed: token[:last], payload: token[first+1 : last], signature: token[last+1:]}
	if t.payload == "" || !decodes(t.signature) {
		return Token{}, ErrMalformed
	}
	var err error
	if t.Header, err = parseHeader(token[:first]); err != nil {
		return Token{}, err
	}
	// Only the algorithm "none" leaves the signature empty, and that is
	// CheckAlgorithm's to name.
	if t.signature == "" && t.Header.alg == rs256 {
		return Token{}, ErrMalformed
	}
	return t, nil
}

// decodes reports whether part is canonical base64url.
func decodes(part string) bool {
	var room [maxSignature]byte
	const piece = maxSignature / 3 * 4
	for len(part) > piece {
		if _, err := strictEncoding.AppendDecode(room[:0], []byte(part[:piece])); err != nil {
			return false
		}
		part = part[piece:]
	}
	_, err := strictEncoding.AppendDecode(room[:0], []byte(part))
	return err == nil
}

// PayloadLen is how many bytes Payload appends.
func (t *Token) PayloadLen() int { return strictEncoding.DecodedLen(len(t.payload)) }

// Payload decodes the payload and appends it to buf. It is not yet known to be
// JSON, nor to be authentic: see Verify.
func (t *Token) Payload(buf []byte) ([]byte, error) {
	buf, err := strictEncoding.AppendDecode(buf, []byte(t.payload))
	if err != nil {
		return nil, ErrMalformed
	}
	return buf, nil
}

// Text is Payload for a token that has been verified.
func (t *Token) Text() (string, error) {
	var room [2 << 10]byte // what is longer is on the heap twice for a while
	text, err := t.Payload(room[:0])
	return string(text), err
}

var strictEncoding = base64.RawURLEncoding.Strict()

func parseHeader(part string) (h Header, err error) {
	if len(part) > strictEncoding.EncodedLen(maxHeader) {
		return Header{}, ErrMalformed
	}
	var room [maxHeader]byte
	text, err := strictEncoding.AppendDecode(room[:0], []byte(part))
	if err != nil {
		return Header{}, ErrMalformed
	}
	s := strictjson.ScanFew(text, maxMembers)
	for {
		name, value, ok := s.Next()
		if !ok {
			break
		}
		switch strictjson.AnyOf(name, headerNames) {
		case "alg":
			h.alg = word(value)
		case "kid":
			// A kid of another type, or too long to be one, is no kid: which
			// key is meant is not known then.
			h.KeyID = word(value)
		case "typ":
			h.HasType = true
			h.Type = word(value)
		case "cat":
			h.HasCat = true
			h.Category = word(value)
		case "oiat":
			if len(value) <= maxWord {
				h.OrigIAT, _ = strictjson.Number(string(value))
			}
		case "":
		default:
			h.Extended = true
		}
	}
	if s.Err() != nil {
		return Header{}, ErrMalformed
	}
	return h, nil
}

// headerNames are of the members that a Header has, and of those that make it
// Extended.
var headerNames = []string{
	"alg", "kid", "typ", "cat", "oiat", "crit", "b64", "zip", "enc", "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256",
}

// words are usual values, which cost no allocation.
var words = []string{rs256, "JWT", "cl_B7d4PD111AAA"}

// word reads a string of at most maxWord bytes; another value is "".
func word(value []byte) string {
	for _, w := range words {
		if strictjson.Equal(value, w) {
			return w
		}
	}
	const escaped = len(`\u0000`) // the longest way to write a byte
	if len(value) > escaped*maxWord {
		return ""
	}
	s, _ := strictjson.String(string(value))
	if len(s) > maxWord {
		return ""
	}
	return s
}

// CheckHeader returns ErrMalformed if the header is Extended. Extensions that must be
// understood (RFC 7515 section 4.1.11, RFC 7797), compression and encryption are not;
// a key or the place of one is never taken from a token (RFC 8725 section 3.10).
func (t *Token) CheckHeader() error {
	if t.Header.Extended {
		return ErrMalformed
	}
	return nil
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
	if err := t.CheckHeader(); err != nil {
		return err
	}
	if err := t.CheckAlgorithm(); err != nil {
		return err
	}
	var room [maxSignature]byte
	if len(t.signature) > strictEncoding.EncodedLen(len(room)) {
		return ErrSignature
	}
	signature, err := strictEncoding.AppendDecode(room[:0], []byte(t.signature))
	if err != nil {
		return ErrSignature
	}
	if digest := t.digest(); rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) != nil {
		return ErrSignature
	}
	return nil
}

// digest returns the SHA-256 of what was signed. It is hashed in pieces, because a
// string is copied to become bytes.
func (t *Token) digest() (digest [sha256.Size]byte) {
	var room [1 << 10]byte
	hash := sha256.New()
	for rest := t.signed; rest != ""; {
		n := copy(room[:], rest)
		hash.Write(room[:n])
		rest = rest[n:]
	}
	hash.Sum(digest[:0])
	return digest
}
