// Package clerkkey reads Clerk's keys: it checks the form of each kind, tells which
// instance a publishable key belongs to, and finds that key among the environment variables
// of front ends. Its errors say what to do about a key, and quote none.
package clerkkey

import (
	"encoding/base64"
	"errors"
	"strings"

	"github.com/clerkauth/clerkauth/internal/hint"
	"github.com/clerkauth/clerkauth/internal/weburl"
)

// Instance is the Clerk instance that a publishable key belongs to.
type Instance struct {
	Production bool
	Host       string // of the Frontend API
}

// Issuer returns the iss claim of the instance's tokens.
func (i Instance) Issuer() string { return "https://" + i.Host }

// AccountsURL returns the origin of the instance's account portal, which Clerk hosts.
func (i Instance) AccountsURL() string {
	host := strings.Replace(i.Host, "clerk.accountsstage.", "accountsstage.", 1)
	if cut := strings.Replace(host, "clerk.accounts.", "accounts.", 1); cut != host {
		host = cut
	} else {
		host = strings.Replace(host, "clerk.", "accounts.", 1)
	}
	return "https://" + host
}

// ParsePublishable parses a pk_live_… or pk_test_… key: the standard base64, padded or
// not, of the Frontend API's host and a dollar sign. Nothing is trimmed.
func ParsePublishable(key string) (Instance, error) {
	if strings.HasPrefix(key, "sk_") {
		return Instance{}, errors.New("it is a secret key: take care where it has been, and use the pk_ key")
	}
	if strings.HasPrefix(key, "ak_") {
		return Instance{}, errors.New("it is a machine's secret key: take care where it has been, and use the pk_ key")
	}
	pieces := strings.Split(key, "_")
	if len(pieces) != 3 || pieces[0] != "pk" || pieces[1] != "live" && pieces[1] != "test" || pieces[2] == "" {
		return Instance{}, hint.Error("it must look like pk_live_… or pk_test_…", key, "copy it from the API keys page of Clerk's dashboard")
	}
	encoding := base64.RawStdEncoding
	if strings.HasSuffix(pieces[2], "=") {
		encoding = base64.StdEncoding
	}
	decoded, err := decodeStrictly(encoding, pieces[2])
	if err != nil {
		return Instance{}, hint.Error("what follows its prefix is not base64", key, "copy it again, all of it")
	}
	host, end, ok := strings.Cut(string(decoded), "$")
	if !ok || end != "" || !weburl.ValidFrontendHost(host) {
		return Instance{}, hint.Error("it does not hold the host of a Frontend API", key, "copy it again, all of it")
	}
	return Instance{Production: pieces[1] == "live", Host: host}, nil
}

// decodeStrictly decodes text, and rejects the line breaks that encoding/base64 skips.
func decodeStrictly(encoding *base64.Encoding, text string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("it holds a line break")
	}
	return encoding.Strict().DecodeString(text)
}
