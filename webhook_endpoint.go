package clerkauth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
)

// endpointFingerprint returns an identifier of the endpoint with that signing key. It
// discloses nothing about the key.
func endpointFingerprint(key []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("clerkauth: webhook endpoint"))
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

// remember sets the store of w, or memory if it is nil, and how it keeps the deliveries
// of this endpoint apart from those of others.
func (w *webhook) remember(store Deliveries, fingerprints []string) {
	slices.Sort(fingerprints) // the order of the secrets does not matter
	fingerprints = slices.Compact(fingerprints)
	w.deliveries, w.scopes = store, []string{""}
	switch store := store.(type) {
	case nil:
		w.deliveries = newMemoryDeliveries(w.now) // never shared
	case EndpointDeliveries:
		w.deliveries = store.ForEndpoint(fingerprints)
	default:
		w.scopes = nil
		for _, f := range fingerprints {
			w.scopes = append(w.scopes, "."+f) // unambiguous: no svix-id has a dot
		}
	}
}

// claim calls the store's Once for the delivery in every scope, nested. So what was
// handled while the endpoint had one secret is recognized while it has two, and later
// with the other one alone.
func (w *webhook) claim(ctx context.Context, id string, scopes []string, handle func(context.Context) error) error {
	if len(scopes) == 1 {
		return w.deliveries.Once(ctx, id+scopes[0], handle)
	}
	before, called := false, false
	err := w.deliveries.Once(ctx, id+scopes[0], func(ctx context.Context) error {
		err := w.claim(ctx, id, scopes[1:], func(ctx context.Context) error {
			called = true
			return handle(ctx)
		})
		if before = !called && errors.Is(err, ErrHandled); before {
			return nil // so that it is remembered in this scope, too
		}
		return err
	})
	if err == nil && before {
		return ErrHandled
	}
	return err
}
