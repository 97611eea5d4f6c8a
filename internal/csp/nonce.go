package csp

import (
	"crypto/rand"
	"encoding/base64"
)

// NewNonce returns 16 random bytes in base64.
func NewNonce() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	return base64.StdEncoding.EncodeToString(b[:])
}
