package catalogue

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"testing"

	"github.com/clerkauth/clerkauth"
)

// These rows test signatures that were not made with the instance's key.
var _ = addRows(rows{
	"43/malformed_signature_bytes": compactSignatureForms,
	"44/forged_pkcs1_padding":      compactForgedPadding,
})

func compactSignatureForms(t *testing.T) {
	r := newTokenRow(t)
	h, p, _ := compactParts(r.token())
	input := h + "." + p
	good := r.signature(input)
	size, modulus := len(good), r.srv.Key().N
	refuses := func(what, input string, signature []byte) {
		r.refuses(what, input+"."+tokenBase64(signature), clerkauth.ErrTokenSignature)
	}
	for what, signature := range map[string][]byte{
		"a byte short":       good[:size-1],
		"a byte short ahead": good[1:],
		"a zero ahead":       append([]byte{0}, good...),
		"a zero behind":      append(slices.Clone(good), 0),
		"twice as long":      append(make([]byte, size), good...),
		"twice":              append(slices.Clone(good), good...),
		"zeros":              make([]byte, size),
		"one":                append(make([]byte, size-1), 1),
		"all ones":           bytes.Repeat([]byte{0xff}, size),
		"the modulus":        modulus.Bytes(),
		"the modulus less 1": new(big.Int).Sub(modulus, big.NewInt(1)).Bytes(),
		"one byte":           {1},
		"negative":           new(big.Int).Sub(modulus, new(big.Int).SetBytes(good)).FillBytes(make([]byte, size)),
		"more by n, longer":  new(big.Int).Add(new(big.Int).SetBytes(good), modulus).FillBytes(make([]byte, size+1)),
	} {
		refuses(what, input, signature)
	}
	for i := range good {
		flipped := slices.Clone(good)
		flipped[i] ^= 1 << (i % 8)
		r.static.refuses(fmt.Sprintf("byte %d flipped", i), input+"."+tokenBase64(flipped), clerkauth.ErrTokenSignature)
	}
	r.accepts("control", input+"."+tokenBase64(good))

	// Signatures that keep their value without their first byte, or to which n can be
	// added in as many bytes, are rare.
	var cut, raised bool
	for i := 0; i < 10_000 && !(cut && raised); i++ {
		input := h + "." + tokenBase64(fmt.Appendf(tokenPart(input, 1), "%*s", i, ""))
		signature := r.signature(input)
		if sum := new(big.Int).Add(new(big.Int).SetBytes(signature), modulus); !raised && sum.BitLen() <= 8*size {
			refuses("more by n", input, sum.Bytes())
			raised = true
		}
		if !cut && signature[0] == 0 {
			refuses("without its zero ahead", input, signature[1:])
			r.accepts("with its zero ahead", input+"."+tokenBase64(signature))
			cut = true
		}
	}
	if !cut || !raised {
		t.Errorf("there was no signature that begins with zero (%v) or has room for n (%v)", cut, raised)
	}
}

// compactForgedPadding applies the instance's own key to messages, so that only
// their padding is wrong (RFC 8017 section 9.2).
func compactForgedPadding(t *testing.T) {
	r := newTokenRow(t)
	h, p, _ := compactParts(r.token())
	input := h + "." + p
	digest := sha256.Sum256([]byte(input))
	key := r.srv.Key()
	token := func(message []byte) string { return input + "." + tokenBase64(signatureApply(key, message)) }
	forged := signatureForged(key.Size(), digest[:])
	if len(forged) < 213 {
		t.Errorf("only %d messages", len(forged))
	}
	for what, message := range forged {
		r.refuses(what, token(message), clerkauth.ErrTokenSignature)
	}
	r.accepts("control", token(signaturePadded(key.Size(), signatureInfo, digest[:])))
}

// signatureInfo is the DigestInfo prefix of SHA-256.
var signatureInfo = signatureHex("3031300d060960864801650304020105000420")

func signatureHex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// signaturePadded pads text to size bytes.
func signaturePadded(size int, text ...[]byte) []byte {
	tail := slices.Concat(text...)
	return slices.Concat([]byte{0, 1}, bytes.Repeat([]byte{0xff}, size-3-len(tail)), []byte{0}, tail)
}

// signatureForged returns messages that careless verifiers accept as a signature of
// digest.
func signatureForged(size int, digest []byte) map[string][]byte {
	good := signaturePadded(size, signatureInfo, digest)
	forged := make(map[string][]byte)
	set := func(what string, at int, to byte) {
		m := slices.Clone(good)
		m[at] = to
		forged[what] = m
	}
	start := size - len(signatureInfo) - len(digest)
	for i := 2; i < start-1; i++ {
		set(fmt.Sprintf("padding byte %d", i), i, []byte{0, 0xfe, 1, 0x7f}[i%4])
	}
	for i := start; i < size; i++ {
		set(fmt.Sprintf("message byte %d", i), i, good[i]^1)
	}
	set("first byte", 0, 1)
	for _, kind := range []byte{0, 2, 0xff} {
		set(fmt.Sprintf("block type %d", kind), 1, kind)
	}
	set("no separator", start-1, 0xff)
	set("other separator", start-1, 1)
	for _, n := range []int{0, 1, 7, 8, 9, 50, 100, 200, 201} { // Bleichenbacher's attack
		head := slices.Concat([]byte{0, 1}, bytes.Repeat([]byte{0xff}, n), []byte{0}, signatureInfo, digest)
		forged[fmt.Sprintf("zeros behind %d bytes of padding", n)] = append(head, make([]byte, size-len(head))...)
		forged[fmt.Sprintf("ones behind %d bytes of padding", n)] = append(slices.Clip(head), bytes.Repeat([]byte{0xff}, size-len(head))...)
		forged[fmt.Sprintf("digest again behind %d bytes of padding", n)] = append(slices.Clip(head), good[len(head):]...)
	}
	for what, info := range map[string]string{
		"no parameters":               "302f300b0609608648016503040201" + "0420",
		"no parameters, old length":   "3031300b0609608648016503040201" + "0420",
		"parameters with long length": "3032300e060960864801650304020105810000" + "0420",
		"other parameters":            "3033300f060960864801650304020105020000" + "0420",
		"sequence with long length":   "308131300d060960864801650304020105000420",
		"inner with long length":      "303230810d060960864801650304020105000420",
		"digest with long length":     "3032300d06096086480165030402010500048120",
		"indefinite length":           "3080300d060960864801650304020105000420",
		"bit string":                  "3031300d060960864801650304020105000320",
		"set":                         "3131300d060960864801650304020105000420",
		"SHA-1":                       "302d300906052b0e03021a05000420",
		"SHA-224":                     "3031300d060960864801650304020405000420",
		"SHA-384":                     "3031300d060960864801650304020205000420",
		"SHA-512":                     "3031300d060960864801650304020305000420",
		"SHA-512/256":                 "3031300d060960864801650304020605000420",
		"SHA3-256":                    "3031300d060960864801650304020805000420",
		"MD5":                         "3030300c06082a864886f70d020505000420",
		"object id of no hash":        "3031300d060960864801650304020005000420",
		"digest alone":                "",
		"digest in a string alone":    "0420",
	} {
		forged[what] = signaturePadded(size, signatureHex(info), digest)
	}
	forged["digest cut"] = signaturePadded(size, signatureInfo, digest[:31])
	forged["digest and a zero"] = signaturePadded(size, signatureInfo, digest, []byte{0})
	forged["zero and digest"] = signaturePadded(size, []byte{0}, signatureInfo, digest)
	forged["nothing"] = signaturePadded(size)
	forged["digest info alone"] = signaturePadded(size, signatureInfo)
	forged["NULL behind"] = signaturePadded(size, signatureHex("3033"), signatureInfo[2:], digest, signatureHex("0500"))
	forged["not padded"] = append(make([]byte, start), good[start:]...)
	return forged
}

// signatureApply applies the private key to a message without padding it.
func signatureApply(key *rsa.PrivateKey, message []byte) []byte {
	m, one := new(big.Int).SetBytes(message), big.NewInt(1)
	p, q := key.Primes[0], key.Primes[1]
	power := func(prime *big.Int) *big.Int {
		d := new(big.Int).Mod(key.D, new(big.Int).Sub(prime, one))
		return new(big.Int).Exp(m, d, prime)
	}
	sp, sq := power(p), power(q)
	h := new(big.Int).Sub(sp, sq)
	h.Mul(h, new(big.Int).ModInverse(q, p)).Mod(h, p)
	return h.Mul(h, q).Add(h, sq).FillBytes(make([]byte, key.Size()))
}
