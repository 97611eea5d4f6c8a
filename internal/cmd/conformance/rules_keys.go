package main

import (
	"encoding/base64"
	"math/big"
	"slices"
)

// prototypeID holds for ids that the SDK finds in any object.
func prototypeID(r *reading) bool { return r.keys == keysPrototype }

// unusableKey holds where the published set has a key of the token's id that
// must not verify it, or no key that may verify anything.
func unusableKey(r *reading) bool {
	set, state := r.published()
	if r.keys == keysNotAsked || state != keyFound {
		return false
	}
	usable, named := 0, 0
	for _, key := range set {
		mine := key["kid"] == r.kid
		if mine {
			named++
		}
		if plainKey(key) {
			usable++
		} else if mine {
			return true
		}
	}
	return usable == 0 || named > 1
}

// plainKey tells whether a JWK is an RSA public key for RS256 signatures.
func plainKey(key map[string]any) bool {
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "crv", "x", "y"} {
		if _, ok := key[name]; ok {
			return false
		}
	}
	use, hasUse := key["use"]
	alg, hasAlg := key["alg"]
	ops, hasOps := key["key_ops"]
	list, _ := ops.([]any)
	kid, _ := key["kid"].(string)
	n, _ := key["n"].(string)
	e, _ := key["e"].(string)
	modulus, err1 := base64.RawURLEncoding.Strict().DecodeString(n)
	exponent, err2 := base64.RawURLEncoding.Strict().DecodeString(e)
	return key["kty"] == "RSA" && kid != "" && (!hasUse || use == "sig") && (!hasAlg || alg == "RS256") &&
		(!hasOps || slices.Contains(list, any("verify"))) && err1 == nil && err2 == nil &&
		len(modulus) >= 256 && len(modulus) <= 1024 && modulus[0] >= 0x80 && goodExponent(exponent)
}

// goodExponent tells whether e is an odd number from 3 to 2^31-1.
func goodExponent(e []byte) bool {
	n := new(big.Int).SetBytes(e)
	return len(e) > 0 && e[0] != 0 && n.Bit(0) == 1 && n.Cmp(big.NewInt(3)) >= 0 && n.BitLen() <= 31
}

// otherStatus holds for keys, or an error, that come with another success than
// 200.
func otherStatus(r *reading) bool {
	status := r.jwks().Status
	return r.keys != keysNotAsked && status/100 == 2 && status != 200
}

// staleKeys holds where the endpoint is down, or was when it was last asked: a
// known key is not held up by the request that finds out that it is back.
func staleKeys(r *reading) bool {
	return (r.keys == keysFailed || r.keys == keysBroken || r.keys == keyUnknown && r.wasDown) && r.good()
}

// publishes tells whether a set has a key that we would use for the token.
func (r *reading) publishes(set []map[string]any) bool {
	return slices.ContainsFunc(set, func(key map[string]any) bool { return key["kid"] == r.kid && plainKey(key) })
}

// withdrawnKey holds where the SDK has kept a key that a later set lacks: the one that
// is published now, or the last that was.
func withdrawnKey(r *reading) bool {
	set, state := r.published()
	if state != keyFound {
		set = r.before
	}
	return r.keys == keyFound && len(set) > 0 && !r.publishes(set)
}

// fetchLimited holds where an earlier case of the scope has made us ask, so that
// we do not ask again although there would be an answer.
func fetchLimited(r *reading) bool {
	set, state := r.published()
	return r.keys != keysNotAsked && r.askedBefore && state == keyFound && (r.keys != keyFound || r.publishes(set))
}

// outage holds where the SDK did not get as far as an answer it knows.
func outage(r *reading) bool { return r.keys == keysBroken }
