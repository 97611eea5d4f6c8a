package main

import (
	"encoding/base64"
	"math/big"
	"slices"
)

// prototypeID reports whether the key id is a name that the SDK finds in any object.
func prototypeID(r *reading) bool { return r.keys == keysPrototype }

// unusableKey reports whether the published set has a key with the token's key id that
// must not verify it, several with that id, or no usable key.
func unusableKey(r *reading) bool {
	set, state := r.published()
	if r.keys == keysNotNeeded || state != keyFound {
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

// plainKey reports whether a JWK is an RSA public key for RS256 signatures.
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

// goodExponent reports whether e is an odd number from 3 to 2^31-1.
func goodExponent(e []byte) bool {
	n := new(big.Int).SetBytes(e)
	return len(e) > 0 && e[0] != 0 && n.Bit(0) == 1 && n.Cmp(big.NewInt(3)) >= 0 && n.BitLen() <= 31
}

// otherStatus reports whether the key set comes with a status 2xx other than 200.
func otherStatus(r *reading) bool {
	status := r.jwks().Status
	return r.keys != keysNotNeeded && status/100 == 2 && status != 200
}

// staleKeys reports whether the endpoint is down, or was at the last fetch: the request
// that triggers the next fetch does not wait for it if the key is known.
func staleKeys(r *reading) bool {
	return (r.keys == keysFailed || r.keys == keysBroken || r.keys == keyUnknown && r.wasDown) && r.good()
}

// publishes reports whether a set has a usable key with the token's key id.
func (r *reading) publishes(set []map[string]any) bool {
	return slices.ContainsFunc(set, func(key map[string]any) bool { return key["kid"] == r.kid && plainKey(key) })
}

// withdrawnKey reports whether the SDK has cached a key that the newest published set
// lacks.
func withdrawnKey(r *reading) bool {
	set, state := r.published()
	if state != keyFound {
		set = r.before
	}
	return r.keys == keyFound && len(set) > 0 && !r.publishes(set)
}

// fetchLimited reports whether an earlier case of the scope has caused a fetch, so that we
// do not fetch the keys that are published now.
func fetchLimited(r *reading) bool {
	set, state := r.published()
	return r.keys != keysNotNeeded && r.failedBefore && state == keyFound && (r.keys != keyFound || r.publishes(set))
}

// outage reports whether the SDK fails to read the response to its request for keys.
func outage(r *reading) bool { return r.keys == keysBroken }
