package main

import (
	"crypto"
	"crypto/rsa"
	_ "crypto/sha256" // RS256
	_ "crypto/sha512" // RS384 and RS512
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/clerkauth/clerkauth"
)

// as returns the reading of a token of the case as a session's, from wherever it comes.
func (r *reading) as(token string) *reading { return r.asOf(flowSession, token) }

// asHandshake returns the reading of a token of the case as a handshake's.
func (r *reading) asHandshake(token string) *reading { return r.asOf(flowHandshake, token) }

func (r *reading) asOf(f flow, token string) *reading {
	key := fmt.Sprint(f, token)
	if s := r.others[key]; s != nil {
		return s
	}
	s := &reading{authCase: r.authCase, cache: r.cache, token: token, flow: f, requested: clerkauth.SessionToken}
	s.decode()
	s.kind = s.sdkKind()
	if s.decodes && s.text("jwtKey") == "" && s.text("secretKey") != "" {
		s.kid, _ = s.h["kid"].(string)
		cache := r.cache.clone()
		cache.remember(s)
		s.keys = cache.lookUp(s)
	}
	if r.others == nil {
		r.others = map[string]*reading{}
	}
	r.others[key] = s
	return s
}

// otherType reports whether the SDK tells by its form that the token is none of a session.
func (r *reading) otherType() bool { return r.kind != "" && !r.opaque() || r.foreign() }

// sdkVerifies returns the SDK's reason to reject the token as a session's, or "" if it
// accepts it.
func (r *reading) sdkVerifies() clerkauth.Reason {
	if reason := r.sdkAuthentic(); reason != "" {
		return reason
	}
	if r.payload == nil {
		return clerkauth.ErrBackendUnavailable
	}
	return r.sdkJudges()
}

// sdkAuthentic returns the SDK's reason to reject the token before it reads any claim.
func (r *reading) sdkAuthentic() clerkauth.Reason {
	if r.inauthentic == nil {
		reason := r.sdkInauthentic()
		r.inauthentic = &reason
	}
	return *r.inauthentic
}

func (r *reading) sdkInauthentic() clerkauth.Reason {
	typ, hasType := r.h["typ"]
	switch {
	case !r.decodes, r.h["cat"] == "cl_B7d4PD333AAA":
		return clerkauth.ErrTokenInvalid
	case r.keys == keyUnknown:
		return clerkauth.ErrUnknownKey
	case r.keys == keysFailed && r.secretRefused():
		return clerkauth.ErrSecretKeyInvalid
	case r.keys == keysFailed:
		return clerkauth.ErrKeysUnavailable
	case r.keys == keysBroken:
		return clerkauth.ErrBackendUnavailable
	case r.keys == keysPrototype:
		return clerkauth.ErrTokenClaims
	case hasType && typ != "JWT":
		return clerkauth.ErrTokenInvalid
	}
	return r.sdkSignature()
}

// secretRefused reports whether the Backend API says that the secret key is wrong.
func (r *reading) secretRefused() bool {
	var body struct {
		Errors []struct {
			Code string `json:"code"`
		} `json:"errors"`
	}
	_ = json.Unmarshal(r.jwks().body(), &body)
	return len(body.Errors) > 0 && body.Errors[0].Code == "clerk_key_invalid"
}

// hashes are the algorithms that the SDK accepts.
var hashes = map[any]crypto.Hash{"RS256": crypto.SHA256, "RS384": crypto.SHA384, "RS512": crypto.SHA512}

// sdkSignature is sdkAuthentic for the algorithm and the signature.
func (r *reading) sdkSignature() clerkauth.Reason {
	alg, _ := r.h["alg"].(string)
	hash, ok := hashes[alg]
	if !ok {
		return clerkauth.ErrTokenAlgorithm
	}
	key, reason := r.sdkKey(alg)
	if reason != "" {
		return reason
	}
	i := strings.LastIndexByte(r.token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(r.token[i+1:], "="))
	h := hash.New()
	h.Write([]byte(r.token[:i]))
	if err != nil || rsa.VerifyPKCS1v15(key, hash, h.Sum(nil), signature) != nil {
		return clerkauth.ErrTokenSignature
	}
	return ""
}

// sdkKey returns the key with which the SDK verifies the token.
func (r *reading) sdkKey(alg string) (*rsa.PublicKey, clerkauth.Reason) {
	if text := r.text("jwtKey"); text != "" {
		key, ok := pemKey(text)
		switch {
		case alg != "RS256":
			return nil, clerkauth.ErrTokenClaims
		case !ok || !sdkReadable(text):
			return nil, clerkauth.ErrTokenSignature
		}
		return key, ""
	}
	var jwk map[string]any
	for _, key := range r.seen {
		if key["kid"] == r.kid {
			jwk = key
		}
	}
	use, hasUse := jwk["use"]
	ops, hasOps := jwk["key_ops"]
	list, _ := ops.([]any)
	other, _ := jwk["alg"].(string)
	if jwk["kty"] != "RSA" || hasUse && use != "sig" || hasOps && !slices.Contains(list, any("verify")) ||
		len(other) > 3 && other[2:] != alg[2:] {
		return nil, clerkauth.ErrTokenClaims
	}
	n, hasModulus := jwk["n"].(string)
	e, hasExponent := jwk["e"].(string)
	if !hasModulus || !hasExponent {
		return nil, clerkauth.ErrTokenClaims
	}
	modulus, err1 := base64.RawURLEncoding.DecodeString(n)
	exponent, err2 := base64.RawURLEncoding.DecodeString(e)
	if err1 != nil || err2 != nil || len(exponent) > 4 {
		return nil, clerkauth.ErrTokenSignature
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: int(new(big.Int).SetBytes(exponent).Int64())}, ""
}

// sdkReadable reports whether the SDK reads this JWTKey as what it is: it takes the text
// between two constants for the modulus.
func sdkReadable(text string) bool {
	for _, s := range []string{"-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----"} {
		text = strings.ReplaceAll(text, s, "")
	}
	text = strings.Join(strings.Fields(text), "")
	const prefix, suffix = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA", "IDAQAB"
	return strings.HasPrefix(text, prefix) && strings.HasSuffix(text, suffix)
}
