package main

import (
	"cmp"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"sync"

	"github.com/clerkauth/clerkauth"
)

// The runner verifies tokens itself, so that rules about their claims do not depend on the
// library, which may be wrong.

// signed reports whether the token has a valid RS256 signature by JWTKey or, without
// JWTKey, by a key with its key id that is or was published.
func (r *reading) signed() bool {
	if r.genuine == nil {
		genuine := r.verifies()
		r.genuine = &genuine
	}
	return *r.genuine
}

func (r *reading) verifies() bool {
	if !r.decodes || r.h["alg"] != "RS256" {
		return false
	}
	i := strings.LastIndexByte(r.token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(r.token[i+1:], "="))
	if err != nil {
		return false
	}
	digest := sha256.Sum256([]byte(r.token[:i]))
	return slices.ContainsFunc(r.publicKeys(), func(key *rsa.PublicKey) bool {
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil
	})
}

// publicKeys returns the keys that may have signed the token.
func (r *reading) publicKeys() []*rsa.PublicKey {
	if text := r.text("jwtKey"); text != "" {
		if key, ok := pemKey(text); ok {
			return []*rsa.PublicKey{key}
		}
		return nil
	}
	var keys []*rsa.PublicKey
	for _, key := range r.seen {
		if kid, _ := key["kid"].(string); kid != "" && kid == r.kid && plainKey(key) {
			n, _ := key["n"].(string)
			e, _ := key["e"].(string)
			modulus, _ := base64.RawURLEncoding.DecodeString(n)
			exponent, _ := base64.RawURLEncoding.DecodeString(e)
			keys = append(keys, &rsa.PublicKey{
				N: new(big.Int).SetBytes(modulus), E: int(new(big.Int).SetBytes(exponent).Int64()),
			})
		}
	}
	return keys
}

// pemKey returns the RSA public key in a PEM block, whatever its line breaks.
func pemKey(text string) (*rsa.PublicKey, bool) {
	text = strings.TrimSpace(strings.ReplaceAll(text, `\n`, "\n"))
	for kind, parse := range map[string]func([]byte) (any, error){
		"PUBLIC KEY":     x509.ParsePKIXPublicKey,
		"RSA PUBLIC KEY": func(der []byte) (any, error) { return x509.ParsePKCS1PublicKey(der) },
	} {
		rest, begins := strings.CutPrefix(text, "-----BEGIN "+kind+"-----")
		body, ends := strings.CutSuffix(rest, "-----END "+kind+"-----")
		der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(body), ""))
		if !begins || !ends || err != nil {
			continue
		}
		key, err := parse(der)
		public, isRSA := key.(*rsa.PublicKey)
		return public, err == nil && isRSA
	}
	return nil, false
}

// good reports whether the credential is valid for us and for the SDK. Rules that grant
// more than the SDK use it, so that they excuse nothing else.
func (r *reading) good() bool {
	switch r.flow {
	case flowOpaque:
		return r.goodAnswer()
	case flowSession:
		return r.sound() && !noSessionID(r) && !unknownStatus(r) && r.p["sts"] != "pending"
	case flowJWT:
		return r.sound() && !noTokenID(r) && !malformedScopes(r) && !foreignSubject(r)
	default:
		return false
	}
}

// sound is the part of good that JWTs of users and of machines share.
func (r *reading) sound() bool {
	return r.signed() && r.sdkJudges() == "" && isID(r.p["sub"]) && !foreignIssuer(r) && !noAudience(r) &&
		!timesOutOfRange(r) && !confirmed(r)
}

// due returns the possible decisions about the token itself, however it was presented: to
// let the caller in, or every reason to reject it.
func (r *reading) due() (answers []clerkauth.Reason) {
	if r.good() {
		return []clerkauth.Reason{letIn}
	}
	if reason, _ := r.sdkRefuses(); reason != "" {
		answers = append(answers, reason)
	}
	for _, wrong := range []struct {
		is     bool
		answer clerkauth.Reason
	}{
		{moreThanOneToken(r) || unsigned(r), clerkauth.ErrTokenInvalid},
		{r.h["alg"] != "RS256", clerkauth.ErrTokenAlgorithm},
		{r.keys == keysBroken || r.keys == keysFailed, clerkauth.ErrKeysUnavailable},
		{r.keys == keyUnknown || r.keys == keysPrototype, clerkauth.ErrUnknownKey},
		{!r.signed(), clerkauth.ErrTokenSignature},
		{foreignIssuer(r), clerkauth.ErrTokenIssuer},
		{r.p["sts"] == "pending", clerkauth.ErrSessionPending},
	} {
		if wrong.is {
			answers = append(answers, wrong.answer)
		}
	}
	if r.signed() {
		answers = append(answers, cmp.Or(r.sdkJudges(), clerkauth.ErrTokenClaims))
	}
	return answers
}

// with returns the reading of the case with another value of an option.
func (r *reading) with(option string, value any) *reading {
	c := *r.authCase
	c.Options = maps.Clone(c.Options)
	c.Options[option] = value
	return newReading(&c, r.cache.clone())
}

// instanceKeys returns a key set for the case's instance: with JWTKey, or with a key that
// signed no token.
func (r *reading) instanceKeys() json.RawMessage {
	key, ok := pemKey(r.text("jwtKey"))
	if !ok {
		key = someKey()
	}
	enc := base64.RawURLEncoding
	n, e := enc.EncodeToString(key.N.Bytes()), enc.EncodeToString(big.NewInt(int64(key.E)).Bytes())
	return json.RawMessage(fmt.Sprintf(`{"keys":[{"kty":"RSA","use":"sig","alg":"RS256","kid":"ins_1","n":%q,"e":%q}]}`, n, e))
}

var someKey = sync.OnceValue(func() *rsa.PublicKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return &key.PublicKey
})
