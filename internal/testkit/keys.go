package testkit

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"maps"
	"math/big"
	"strings"
	"sync"

	"github.com/clerkauth/clerkauth"
)

// KeyID is the id of the key with which the instance of a Rig signs.
const KeyID = "ins_rig"

// Key is the signing key of the instances of all Rigs. It is shared because
// generating a key is slow.
var Key = sync.OnceValue(NewKey)

// OtherKey is a key that no instance publishes unless it is added.
var OtherKey = sync.OnceValue(NewKey)

// NewKey returns a new key of 2,048 bits.
func NewKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

// PEM is the public half of a key that signs nothing, in the form of
// [clerkauth.Config.JWTKey].
var PEM = sync.OnceValue(func() string {
	der, err := x509.MarshalPKIXPublicKey(&NewKey().PublicKey)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
})

// JWK returns a key as a member of a set, with some of its own members changed; a
// nil value removes one.
func JWK(kid string, key *rsa.PublicKey, change map[string]any) map[string]any {
	m := map[string]any{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": Base64URLUint(key.N), "e": Base64URLUint(big.NewInt(int64(key.E)))}
	maps.Copy(m, change)
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	return m
}

// KeySet returns a key set's body.
func KeySet(keys ...map[string]any) []byte { return []byte(JSON(map[string]any{"keys": keys})) }

// Base64URLUint returns n as a Base64urlUInt (RFC 7518 section 2).
func Base64URLUint(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }

// WithKeyID returns token with another key id and the old signature, for tokens that
// are rejected before any signature is verified.
func WithKeyID(token, kid string) string {
	_, rest, _ := strings.Cut(token, ".")
	header := JSON(map[string]string{"alg": "RS256", "typ": "JWT", "kid": kid})
	return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + rest
}

// Config returns a valid configuration of an instance that does not exist.
func Config() clerkauth.Config {
	return clerkauth.Config{
		PublishableKey:    PublishableKey("live", "clerk.example.com$"),
		SecretKey:         clerkauth.NewSecret("sk_live_abc"),
		AuthorizedParties: []string{"https://app.example.com"},
	}
}

// PublishableKey returns a publishable key, live or test, that holds content.
func PublishableKey(kind, content string) string {
	return "pk_" + kind + "_" + base64.RawStdEncoding.EncodeToString([]byte(content))
}

// Unexported is a struct of another package with secrets in unexported fields, whose
// methods fmt cannot call.
type Unexported struct {
	config clerkauth.Config
	secret clerkauth.Secret
	auth   *clerkauth.Authenticator
	value  clerkauth.Authenticator
}

// NewUnexported returns its arguments and the secret key in an Unexported.
func NewUnexported(config clerkauth.Config, auth *clerkauth.Authenticator) Unexported {
	return Unexported{config, config.SecretKey, auth, *auth}
}
