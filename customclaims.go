package clerkauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/clerkauth/clerkauth/internal/claims"
)

// ClaimsAs decodes the claims of the caller's verified token into a T, and so reads
// custom claims. Of an opaque credential, it decodes the claims that the credential was
// created with.
//
// The error is [ErrUnauthenticated] if who has no verified token. It is
// [ErrTokenClaims] if the claims do not fit a T, or if two claims whose names differ
// only in case are for one field of T: encoding/json would keep the last.
func ClaimsAs[T any](who Auth) (T, error) {
	var into T
	if who.proof == nil {
		return into, newError(ErrUnauthenticated, errors.New("there is no verified token"))
	}
	payload := []byte(who.proof.payload)
	if claims.Ambiguous(payload, reflect.TypeFor[T]()) {
		return into, newError(ErrTokenClaims, errors.New("two claims have names that differ only in case"))
	}
	if err := json.Unmarshal(payload, &into); err != nil {
		// err may quote the claims.
		return into, newError(ErrTokenClaims, fmt.Errorf("claims do not fit into %T", into))
	}
	return into, nil
}
