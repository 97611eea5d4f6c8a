package clerkkey

import (
	"errors"
	"fmt"
	"strings"

	"github.com/clerkauth/clerkauth/internal/hint"
)

// CheckSecret checks the form of an instance's secret key, and that it is for the same
// kind of instance as the publishable key, if there is one.
func CheckSecret(key string, of *Instance) error {
	if strings.HasPrefix(key, "pk_") {
		return errors.New("it is a publishable key; use the sk_ key")
	}
	if strings.HasPrefix(key, "ak_") {
		return errors.New("it is a machine's key; use the instance's sk_ key")
	}
	if !IsLive(key) && !strings.HasPrefix(key, "sk_test_") && !strings.HasPrefix(key, "test_") {
		return hint.Error("it must look like sk_live_… or sk_test_…", key, "copy it from the API keys page of Clerk's dashboard")
	}
	if strings.HasSuffix(key, "_") {
		return errors.New("it ends after its prefix: the rest is missing; copy it again")
	}
	if err := checkCharacters(key); err != nil {
		return err
	}
	if production := IsLive(key); of != nil && of.Production != production {
		kind := map[bool]string{true: "live", false: "test"}
		return fmt.Errorf("it is a sk_%s key, the publishable key is a pk_%s key: they belong to different instances",
			kind[production], kind[of.Production])
	}
	return nil
}

// CheckMachineSecret checks the form of a machine's secret key.
func CheckMachineSecret(key string) error {
	if !strings.HasPrefix(key, "ak_") {
		return hint.Error("it must look like ak_…: it is the machine's, not the instance's", key, "")
	}
	return checkCharacters(key)
}

// IsLive reports whether a secret key is one of a production instance. Keys of old
// instances have no sk_ in front.
func IsLive(key string) bool {
	return strings.HasPrefix(key, "sk_live_") || strings.HasPrefix(key, "live_")
}

// checkCharacters rejects keys with characters that no key has.
func checkCharacters(key string) error {
	for _, c := range []byte(key) {
		if c <= ' ' || c > '~' {
			return hint.Error("it holds a space, a line break or another character that no key has", key, "copy it again")
		}
	}
	if why := hint.Of(key); why != "" {
		return errors.New(why)
	}
	return nil
}

// JWTHint returns what to do about a value of a JWT key that is not a PEM block.
func JWTHint(key string) string {
	switch {
	case strings.HasPrefix(key, "pk_"):
		return "it is a publishable key; set CLERK_PUBLISHABLE_KEY to it"
	case strings.HasPrefix(key, "sk_"), strings.HasPrefix(key, "ak_"):
		return "it is a secret key; set CLERK_SECRET_KEY to it"
	case strings.HasPrefix(key, "{"):
		return "it is JSON; use the PEM form of the key"
	default:
		return "copy it again, from BEGIN PUBLIC KEY to END PUBLIC KEY"
	}
}
