package clerkauth

import (
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// instance is what a publishable key says: which Clerk instance, and of which
// kind.
type instance struct {
	production bool
	host       string // of the Frontend API
}

// issuer is the iss claim of every token of the instance.
func (i instance) issuer() string { return "https://" + i.host }

// accountsURL is the origin of Clerk's hosted account portal of the instance.
func (i instance) accountsURL() string {
	host := strings.Replace(i.host, "clerk.accountsstage.", "accountsstage.", 1)
	if cut := strings.Replace(host, "clerk.accounts.", "accounts.", 1); cut != host {
		host = cut
	} else {
		host = strings.Replace(host, "clerk.", "accounts.", 1)
	}
	return "https://" + host
}

// hostPattern is a host name with at least one dot, and a port only where a
// local instance has one.
var hostPattern = regexp.MustCompile(`\A[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)+(:[0-9]{1,5})?\z`)

// parsePublishableKey reads pk_live_… and pk_test_…: the standard base64 of the
// Frontend API's host and a dollar sign, padded or not. Nothing is trimmed and
// nothing else is a key.
func parsePublishableKey(key string) (instance, error) {
	if strings.HasPrefix(key, "sk_") {
		return instance{}, errors.New("it is a secret key: take care where it has been, and use the pk_ key")
	}
	if strings.HasPrefix(key, "ak_") {
		return instance{}, errors.New("it is a machine's secret key: take care where it has been, and use the pk_ key")
	}
	pieces := strings.Split(key, "_")
	if len(pieces) != 3 || pieces[0] != "pk" || pieces[1] != "live" && pieces[1] != "test" || pieces[2] == "" {
		return instance{}, explained("it must look like pk_live_… or pk_test_…", key, "copy it from the API keys page of Clerk's dashboard")
	}
	encoding := base64.RawStdEncoding
	if strings.HasSuffix(pieces[2], "=") {
		encoding = base64.StdEncoding
	}
	decoded, err := encoding.Strict().DecodeString(pieces[2])
	if err != nil || strings.ContainsAny(pieces[2], "\r\n") {
		return instance{}, explained("what follows its prefix is not base64", key, "copy it again, all of it")
	}
	host, end, ok := strings.Cut(string(decoded), "$")
	if !ok || end != "" || !hostPattern.MatchString(host) {
		return instance{}, explained("it does not hold the host of a Frontend API", key, "copy it again, all of it")
	}
	return instance{production: pieces[1] == "live", host: host}, nil
}

// checkSecretKey looks at an instance secret key's form, and at whether it is of
// the same kind of instance as the publishable key, if that is known. No error
// holds any of it.
func checkSecretKey(key string, of *instance) error {
	if strings.HasPrefix(key, "pk_") {
		return errors.New("it is a publishable key; use the sk_ key")
	}
	if strings.HasPrefix(key, "ak_") {
		return errors.New("it is a machine's key; use the instance's sk_ key")
	}
	var production bool
	switch {
	case strings.HasPrefix(key, "sk_live_"), strings.HasPrefix(key, "live_"):
		production = true
	case strings.HasPrefix(key, "sk_test_"), strings.HasPrefix(key, "test_"):
	default:
		return explained("it must look like sk_live_… or sk_test_…", key, "copy it from the API keys page of Clerk's dashboard")
	}
	if strings.HasSuffix(key, "_") {
		return errors.New("it ends after its prefix: the rest is missing; copy it again")
	}
	if err := checkSecretCharacters(key); err != nil {
		return err
	}
	if of != nil && of.production != production {
		kind := map[bool]string{true: "live", false: "test"}
		return fmt.Errorf("it is a sk_%s key, the publishable key is a pk_%s key: they belong to different instances",
			kind[production], kind[of.production])
	}
	return nil
}

// checkSecretCharacters finds what a key has got by being copied.
func checkSecretCharacters(key string) error {
	for _, c := range []byte(key) {
		if c <= ' ' || c > '~' {
			return explained("it holds a space, a line break or another character that no key has", key, "copy it again")
		}
	}
	if why := copied(key); why != "" {
		return errors.New(why)
	}
	return nil
}

// jwtKeyHint returns what another key in JWTKey's place is.
func jwtKeyHint(key string) string {
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
