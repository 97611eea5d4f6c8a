package clerkauthtest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// signingKey is a key of the instance.
type signingKey struct {
	id      string
	private *rsa.PrivateKey
}

func newKey() signingKey { return signingKey{"ins_" + randomText(), newRSA()} }

func newRSA() *rsa.PrivateKey {
	return atRandom(func() *rsa.PrivateKey {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err) // crypto/rand never fails, and the size is valid
		}
		return key
	})
}

// SigningKey sets the first key of a Server, for tests of two instances whose keys have
// the same id. Defaults to a random key.
func SigningKey(kid string, key *rsa.PrivateKey) Option {
	return func(s *Server) { s.signing = signingKey{kid, key} }
}

// Key returns the key that signs tokens.
func (s *Server) Key() *rsa.PrivateKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.signing.private
}

// KeyID returns the id of the key that signs tokens.
func (s *Server) KeyID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.signing.id
}

// JWTKey returns the public half of the key that signs tokens, in PEM.
func (s *Server) JWTKey() string {
	der, err := x509.MarshalPKIXPublicKey(&s.Key().PublicKey)
	if err != nil {
		panic(err) // it is an RSA key
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// AddKey publishes a new key in addition to the others and returns its id. It signs from
// now on.
func (s *Server) AddKey() string {
	key := newKey()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append(s.keys, key)
	s.signing = key
	return key.id
}

// WithdrawKey stops publishing the key with that id. If it is the one that signs, it goes
// on signing tokens, which must be rejected.
func (s *Server) WithdrawKey(kid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = slices.DeleteFunc(s.keys, func(k signingKey) bool { return k.id == kid })
}

// RotateKeys withdraws all keys and publishes a new one, which signs from now on.
func (s *Server) RotateKeys() {
	key := newKey()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = []signingKey{key}
	s.signing = key
}

// ReplaceKey replaces the key that signs by a new one with the same id.
func (s *Server) ReplaceKey() {
	private := newRSA()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signing.private = private
	for i, k := range s.keys {
		if k.id == s.signing.id {
			s.keys[i] = s.signing
		}
	}
}

// SetKeySet serves body in place of the key set, or the instance's own keys again if it is
// nil.
func (s *Server) SetKeySet(body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keySet = slices.Clone(body)
}

// publicKeys returns the body of the key set.
func (s *Server) publicKeys() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keySet != nil {
		return s.keySet
	}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range s.keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{
			Key: &k.private.PublicKey, KeyID: k.id, Algorithm: string(jose.RS256), Use: "sig",
		})
	}
	body, err := json.Marshal(set)
	if err != nil {
		panic(err) // they are RSA keys
	}
	return body
}
