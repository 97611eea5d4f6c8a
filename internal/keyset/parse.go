package keyset

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/clerkauth/clerkauth/internal/strictjson"
)

// Bounds of a usable key. A smaller modulus can be broken, a larger one makes each
// verification too expensive; an RSA exponent is odd and at least 3.
const (
	minBits     = 2048
	maxBits     = 8192
	maxExponent = 1<<31 - 1
	maxKeyID    = 256
)

var (
	// errNoKeys indicates a key set that lists no key at all, which no instance
	// publishes.
	errNoKeys = errors.New("key set lists no keys")
	// errUnusable indicates a key set that lists keys, none of which can be used.
	errUnusable = errors.New("key set holds no usable RS256 key")
)

// skippedKey is a key of a set that is not used.
type skippedKey struct {
	kid    string // "" if it has none; not logged, because it may be an instance id
	place  int    // in the set, from 0
	reason string
}

// parseSet reads a JSON Web Key Set (RFC 7517 section 5). A malformed key is skipped and
// does not disable the others; of two keys with one id both are skipped, because the id
// is ambiguous. With errUnusable it returns the skipped keys as well.
func parseSet(body []byte) (map[string]*rsa.PublicKey, []skippedKey, error) {
	members, err := strictjson.Object(string(body), nil)
	if err != nil {
		return nil, nil, errors.New("key set is not a json object")
	}
	var list string
	for _, m := range members {
		if m.Name == "keys" {
			list = m.Value
		}
	}
	elements, err := strictjson.Array(list)
	if err != nil {
		return nil, nil, errors.New("key set has no list of keys")
	}
	keys := make(map[string]*rsa.PublicKey, len(elements))
	seen := make(map[string]bool, len(elements))
	var skipped []skippedKey
	for i, e := range elements {
		kid, key, err := parseKey(e)
		if kid != "" && seen[kid] {
			delete(keys, kid)
			err = errors.New("its id is not unique")
		}
		seen[kid] = true
		if err != nil {
			skipped = append(skipped, skippedKey{kid, i, err.Error()})
			continue
		}
		keys[kid] = key
	}
	switch {
	case len(elements) == 0:
		return nil, nil, errNoKeys
	case len(keys) == 0:
		return nil, skipped, errUnusable
	}
	return keys, skipped, nil
}

// parseKey reads one key of a set, which must be fit to verify RS256. It returns the id
// of a key that cannot be used as well, which still makes the id ambiguous.
func parseKey(raw string) (kid string, key *rsa.PublicKey, err error) {
	var buf [12]strictjson.Member
	members, err := strictjson.Object(raw, buf[:0])
	if err != nil {
		return "", nil, errors.New("it is not an object")
	}
	var kty, use, alg, n, e string
	var hasKid, hasUse, hasAlg, hasOps bool
	var ops string
	for _, m := range members {
		switch m.Name {
		case "kid":
			kid, hasKid = strictjson.String(m.Value)
		case "kty":
			kty, _ = strictjson.String(m.Value)
		case "use":
			use, _ = strictjson.String(m.Value)
			hasUse = true
		case "alg":
			alg, _ = strictjson.String(m.Value)
			hasAlg = true
		case "key_ops":
			ops, hasOps = m.Value, true
		case "n":
			n, _ = strictjson.String(m.Value)
		case "e":
			e, _ = strictjson.String(m.Value)
		case "d", "p", "q", "dp", "dq", "qi", "oth", "k":
			err = errors.New("it has private members: anyone who can read the set can sign with it")
		case "crv", "x", "y":
			err = errors.New("it has members of another key type")
		}
	}
	switch {
	case !hasKid || kid == "" || len(kid) > maxKeyID:
		return "", nil, errors.New("it has no usable id")
	case err != nil:
	case kty != "RSA":
		err = errors.New("it is not an RSA key")
	case hasUse && use != "sig":
		err = errors.New("its use is not sig")
	case hasAlg && alg != "RS256":
		err = errors.New("its alg is not RS256")
	case hasOps && !allowsVerify(ops):
		err = errors.New("its key_ops do not allow verify")
	case !canonicalUint(n, maxBits) || !canonicalUint(e, 31):
		err = errors.New("its n or e is not a canonical number in range")
	}
	if err != nil {
		return kid, nil, err
	}
	// go-jose gets the members that were checked and nothing else: it would reject a key
	// for certificates that are not used here.
	plain, err := json.Marshal(map[string]string{"kty": kty, "kid": kid, "n": n, "e": e})
	if err != nil {
		return kid, nil, err
	}
	var jwk jose.JSONWebKey
	if jwk.UnmarshalJSON(plain) == nil {
		if key, ok := jwk.Key.(*rsa.PublicKey); ok {
			return kid, key, checkRSA(key)
		}
	}
	// go-jose reads moduli of up to 4096 bits; n and e have been checked above.
	key = &rsa.PublicKey{N: decodeUint(n), E: int(decodeUint(e).Int64())}
	return kid, key, checkRSA(key)
}

// decodeUint decodes a number that canonicalUint has accepted.
func decodeUint(s string) *big.Int {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return new(big.Int)
	}
	return new(big.Int).SetBytes(b)
}

// allowsVerify reports whether key_ops (RFC 7517 section 4.3) names verify.
func allowsVerify(ops string) bool {
	elements, err := strictjson.Array(ops)
	if err != nil {
		return false
	}
	for _, e := range elements {
		if op, ok := strictjson.String(e); ok && op == "verify" {
			return true
		}
	}
	return false
}

// canonicalUint reports whether s is a Base64urlUInt (RFC 7518 section 2) of at most bits
// bits, without padding, leading zero byte or stray bits. Its length is checked before it
// is decoded.
func canonicalUint(s string, bits int) bool {
	if s == "" || len(s) > base64.RawURLEncoding.EncodedLen((bits+7)/8) || strings.ContainsAny(s, "\r\n") {
		return false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && b[0] != 0
}

// checkRSA returns an error for a key that is out of bounds.
func checkRSA(key *rsa.PublicKey) error {
	switch bits := key.N.BitLen(); {
	case bits < minBits || bits > maxBits:
		return fmt.Errorf("its modulus has %d bits, not %d to %d", bits, minBits, maxBits)
	case key.N.Bit(0) == 0:
		return errors.New("its modulus is even")
	case key.E < 3 || key.E > maxExponent || key.E%2 == 0:
		return errors.New("its exponent is not an odd number from 3 to 2^31-1")
	}
	return nil
}

// ParsePEM parses the public key of an instance as it is found in environment variables:
// a PEM block (RFC 7468) of a SubjectPublicKeyInfo or a PKCS #1 key, whose lines are
// separated by LF, CRLF, the two characters \n or nothing, or the base64 text of either
// without the lines around it.
func ParsePEM(text string) (*rsa.PublicKey, error) {
	text = strings.TrimSpace(strings.NewReplacer(`\r`, "\r", `\n`, "\n").Replace(text))
	label, body := "", text
	if strings.Contains(text, "-----") {
		m := pemBlock.FindStringSubmatch(text)
		if m == nil {
			return nil, errors.New("it is not one PEM block and nothing else")
		}
		if m[1] != m[3] {
			return nil, errors.New("its PEM block begins and ends with different labels")
		}
		label, body = m[1], m[2]
	}
	switch {
	case label == "" || label == "PUBLIC KEY" || label == "RSA PUBLIC KEY":
	case strings.HasSuffix(label, "PRIVATE KEY"):
		return nil, errors.New("it is a private key: revoke it, and use the public one")
	case strings.HasSuffix(label, "CERTIFICATE"):
		return nil, errors.New("it is a certificate, not a public key")
	default:
		return nil, errors.New("it is neither a PUBLIC KEY nor an RSA PUBLIC KEY")
	}
	der, err := base64.StdEncoding.Strict().DecodeString(strings.Join(strings.Fields(body), ""))
	if err != nil || len(der) == 0 {
		return nil, errors.New("it is not base64")
	}
	key, err := parseDER(label, der)
	if err != nil {
		return nil, err
	}
	return key, checkRSA(key)
}

var pemBlock = regexp.MustCompile(`\A-----BEGIN ([A-Z0-9 ]+)-----([A-Za-z0-9+/=\s]*)-----END ([A-Z0-9 ]+)-----\z`)

func parseDER(label string, der []byte) (*rsa.PublicKey, error) {
	if label != "RSA PUBLIC KEY" {
		public, err := x509.ParsePKIXPublicKey(der)
		if key, ok := public.(*rsa.PublicKey); ok {
			return key, nil
		}
		if err == nil {
			return nil, errors.New("it is not an RSA key")
		}
	}
	if label != "PUBLIC KEY" {
		if key, err := x509.ParsePKCS1PublicKey(der); err == nil {
			return key, nil
		}
	}
	return nil, errors.New("it holds no RSA public key")
}

// same reports whether a and b are equal.
func same(a, b *rsa.PublicKey) bool {
	return a == b || a.E == b.E && bytes.Equal(a.N.Bytes(), b.N.Bytes())
}
