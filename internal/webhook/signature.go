package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"

	svix "github.com/svix/svix-webhooks/go"
)

// Key is a key with which Svix signs the deliveries to an endpoint.
type Key struct {
	verifier    *svix.Webhook
	fingerprint string
}

// NewKey returns the Key of these bytes, which a signing secret holds.
func NewKey(key []byte) (Key, error) {
	verifier, err := svix.NewWebhookRaw(key)
	return Key{verifier, fingerprint(key)}, err
}

// fingerprint returns an identifier of the endpoint with that key. It discloses nothing
// about the key.
func fingerprint(key []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("clerkauth: webhook endpoint"))
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

// Fingerprints returns an identifier of an endpoint for each of its keys, which discloses
// nothing about them. Their order does not matter.
func Fingerprints(keys []Key) []string {
	var list []string
	for _, key := range keys {
		list = append(list, key.fingerprint)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// verify reports whether a delivery is signed with one of the keys.
func verify(keys []Key, h headers, body []byte) bool {
	// The Svix library falls back to other header names, and ignores what follows a
	// second comma, so it gets only what readHeaders has checked.
	checked := http.Header{"Svix-Id": {h.id}, "Svix-Timestamp": {h.timestamp}, "Svix-Signature": {h.signatures}}
	for _, key := range keys {
		if key.verifier.VerifyIgnoringTimestamp(body, checked) == nil {
			return true
		}
	}
	return false
}

// wellFormed returns the version 1 signatures in a list that have the form of one.
func wellFormed(signatures string) string {
	var kept []string
	for s := range strings.SplitSeq(signatures, " ") {
		if text, ok := strings.CutPrefix(s, "v1,"); ok && len(text) == base64.StdEncoding.EncodedLen(32) && !strings.Contains(text, ",") {
			kept = append(kept, s)
		}
	}
	return strings.Join(kept, " ")
}
