package clerkauth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
)

// endpointFingerprint returns what tells the endpoint with that signing key from
// others, and nothing about the key.
func endpointFingerprint(key []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("clerkauth: webhook endpoint"))
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

// remember has w remember deliveries in store, apart from those of other endpoints.
func (w *webhook) remember(store Deliveries, fingerprints []string) {
	slices.Sort(fingerprints) // in whatever order the secrets stand
	fingerprints = slices.Compact(fingerprints)
	w.deliveries, w.scopes = store, []string{""}
	switch store := store.(type) {
	case nil:
		w.deliveries = newMemoryDeliveries(w.now) // nobody else's
	case EndpointDeliveries:
		w.deliveries = store.ForEndpoint(fingerprints)
	default:
		w.scopes = nil
		for _, f := range fingerprints {
			w.scopes = append(w.scopes, "."+f) // no svix-id has a dot
		}
	}
}

// claim has the store call handle once for the delivery and all scopes: what was
// handled while the endpoint had one secret is known while it has two, and then when
// it has the other.
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
			return nil // and is remembered in this scope, too
		}
		return err
	})
	if err == nil && before {
		return ErrHandled
	}
	return err
}
