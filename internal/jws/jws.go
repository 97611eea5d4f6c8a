// Package jws parses and verifies JSON Web Signatures in compact serialization (RFC 7515
// section 7.1) with RS256.
//
// It implements no other algorithm, no other serialization and no encryption, so that none
// of them can be confused with it. Parse and Payload reject every token that is malformed,
// before a key is looked up, at a cost that is bounded for any input.
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

// MaxLen is the maximum length of a token in bytes. Clerk's session tokens have less than
// 4 KiB, the limit of browsers for a cookie.
const MaxLen = 16 << 10

// A header has at most maxHeader bytes and maxMembers members, including those of objects
// in it. Clerk's headers have about 150 bytes and five members.
const (
	maxHeader  = 4 << 10
	maxMembers = 32
)

// maxSignature is the length in bytes of a signature by the longest accepted RSA key, of
// 8192 bits.
const maxSignature = 1 << 10

// rs256 is the only algorithm (RFC 7518 section 3.3).
const rs256 = "RS256"

// maxValue is the maximum length in bytes of a key id, and of the other values in a Header.
const maxValue = 256

// Errors of Parse and Verify.
var (
	ErrParts     = errors.New("token does not have three parts")
	ErrMalformed = errors.New("token is not a compact jws with a plain header")
	ErrAlgorithm = errors.New("token is not signed with RS256")
	ErrSignature = errors.New("signature does not match")
)

// Token is a token that has been parsed and not verified.
type Token struct {
	Header Header

	signed             string // header.payload as sent
	payload, signature string // as sent
}

// Header holds the header members that Clerk uses (RFC 7515 section 4.1, and Clerk's own
// cat and oiat). A value that is not a string, or too long, is "".
type Header struct {
	KeyID    string  // kid
	Type     string  // typ
	Category string  // cat
	HasType  bool    // typ is present, with any value
	HasCat   bool    // cat is present, with any value
	Extended bool    // there are members that would change how the token is verified, or with which key
	OrigIAT  float64 // oiat: when the first token of this lineage was issued; 0 if it is absent or not a number
	alg      string
}

// Parse parses a token: three parts in canonical base64url without padding (RFC 7515
// section 2, RFC 4648 section 3.5), of which the first is a JSON object with unique names.
// The error is ErrParts if there are not three parts, and ErrMalformed if anything else is
// wrong.
//
// Parse does not decode the payload; see Payload. It does not check the header either, so
// that a caller can distinguish kinds of tokens first; see CheckHeader and CheckAlgorithm.
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
	// With another algorithm, such as "none", CheckAlgorithm returns the error.
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

// PayloadLen returns how many bytes Payload appends.
func (t *Token) PayloadLen() int { return strictEncoding.DecodedLen(len(t.payload)) }

// Payload decodes the payload and appends it to buf. It need not be JSON, and is not
// authentic unless Verify has succeeded.
func (t *Token) Payload(buf []byte) ([]byte, error) {
	buf, err := strictEncoding.AppendDecode(buf, []byte(t.payload))
	if err != nil {
		return nil, ErrMalformed
	}
	return buf, nil
}

// Text is Payload for a token that has been verified.
func (t *Token) Text() (string, error) {
	var room [2 << 10]byte // a longer payload is allocated twice
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
			h.alg = stringValue(value)
		case "kid":
			h.KeyID = stringValue(value)
		case "typ":
			h.HasType = true
			h.Type = stringValue(value)
		case "cat":
			h.HasCat = true
			h.Category = stringValue(value)
		case "oiat":
			if len(value) <= maxValue {
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

// headerNames are the names of the members in a Header, and of those that make it Extended.
var headerNames = []string{
	"alg", "kid", "typ", "cat", "oiat", "crit", "b64", "zip", "enc", "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256",
}

// usual are frequent values, for which stringValue does not allocate.
var usual = []string{rs256, "JWT", "cl_B7d4PD111AAA"}

// stringValue returns a string of at most maxValue bytes, and "" for any other value.
func stringValue(value []byte) string {
	for _, s := range usual {
		if strictjson.Equal(value, s) {
			return s
		}
	}
	const escaped = len(`\u0000`) // the longest encoding of a byte
	if len(value) > escaped*maxValue {
		return ""
	}
	s, _ := strictjson.String(string(value))
	if len(s) > maxValue {
		return ""
	}
	return s
}

// CheckHeader returns ErrMalformed if the header is Extended. Critical extensions (RFC 7515
// section 4.1.11, RFC 7797), compression and encryption are not implemented, and neither a
// key nor the URL of one is ever taken from a token (RFC 8725 section 3.10).
func (t *Token) CheckHeader() error {
	if t.Header.Extended {
		return ErrMalformed
	}
	return nil
}

// CheckAlgorithm returns ErrAlgorithm unless alg is RS256, byte for byte (RFC 8725 section
// 3.1).
func (t *Token) CheckAlgorithm() error {
	if t.Header.alg != rs256 {
		return ErrAlgorithm
	}
	return nil
}

// Verify verifies the signature with key by RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518
// section 3.3). It rejects a header that does not pass CheckHeader and CheckAlgorithm.
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

// digest returns the SHA-256 of what was signed. It copies the string in pieces, so that it
// allocates nothing.
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
