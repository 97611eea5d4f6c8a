package clerkauth

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/clerkauth/clerkauth/internal/hint"
	"github.com/clerkauth/clerkauth/internal/weburl"
)

// Secret is a string that does not print: with any verb of fmt, in logs, and in JSON it
// is "[redacted]". The zero value is no secret. It is safe for concurrent use.
type Secret struct {
	// value is a pointer, so that fmt does not find the string by reflection in a
	// struct that holds a Secret in an unexported field: methods are not called there.
	value *string
}

// NewSecret returns s as a Secret. It returns the zero value for "", so that the value
// of an environment variable can be passed whether it is set or not.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{&s}
}

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.value == nil }

// reveal returns the secret itself.
func (s Secret) reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// String returns "[redacted]", or "" for the zero value.
func (s Secret) String() string {
	if s.value == nil {
		return ""
	}
	return "[redacted]"
}

// Format writes what String returns, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText returns what String returns, for encoding/json and others.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue returns what String returns.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// parsePublishableKey parses a pk_live_… or pk_test_… key: the standard base64, padded
// or not, of the Frontend API's host and a dollar sign. Nothing is trimmed.
func parsePublishableKey(key string) (instance, error) {
	if strings.HasPrefix(key, "sk_") {
		return instance{}, errors.New("it is a secret key: take care where it has been, and use the pk_ key")
	}
	if strings.HasPrefix(key, "ak_") {
		return instance{}, errors.New("it is a machine's secret key: take care where it has been, and use the pk_ key")
	}
	pieces := strings.Split(key, "_")
	if len(pieces) != 3 || pieces[0] != "pk" || pieces[1] != "live" && pieces[1] != "test" || pieces[2] == "" {
		return instance{}, hint.Error("it must look like pk_live_… or pk_test_…", key, "copy it from the API keys page of Clerk's dashboard")
	}
	encoding := base64.RawStdEncoding
	if strings.HasSuffix(pieces[2], "=") {
		encoding = base64.StdEncoding
	}
	decoded, err := decodeStrictly(encoding, pieces[2])
	if err != nil {
		return instance{}, hint.Error("what follows its prefix is not base64", key, "copy it again, all of it")
	}
	host, end, ok := strings.Cut(string(decoded), "$")
	if !ok || end != "" || !weburl.ValidFrontendHost(host) {
		return instance{}, hint.Error("it does not hold the host of a Frontend API", key, "copy it again, all of it")
	}
	return instance{production: pieces[1] == "live", host: host}, nil
}

// checkSecretKey checks the form of an instance's secret key, and that it is for the
// same kind of instance as the publishable key, if there is one. No error quotes it.
func checkSecretKey(key string, of *instance) error {
	if strings.HasPrefix(key, "pk_") {
		return errors.New("it is a publishable key; use the sk_ key")
	}
	if strings.HasPrefix(key, "ak_") {
		return errors.New("it is a machine's key; use the instance's sk_ key")
	}
	if !isLive(key) && !strings.HasPrefix(key, "sk_test_") && !strings.HasPrefix(key, "test_") {
		return hint.Error("it must look like sk_live_… or sk_test_…", key, "copy it from the API keys page of Clerk's dashboard")
	}
	if strings.HasSuffix(key, "_") {
		return errors.New("it ends after its prefix: the rest is missing; copy it again")
	}
	if err := checkSecretCharacters(key); err != nil {
		return err
	}
	if production := isLive(key); of != nil && of.production != production {
		kind := map[bool]string{true: "live", false: "test"}
		return fmt.Errorf("it is a sk_%s key, the publishable key is a pk_%s key: they belong to different instances",
			kind[production], kind[of.production])
	}
	return nil
}

// checkMachineSecretKey checks the form of a machine's secret key. No error quotes it.
func checkMachineSecretKey(key string) error {
	if !strings.HasPrefix(key, "ak_") {
		return hint.Error("it must look like ak_…: it is the machine's, not the instance's", key, "")
	}
	return checkSecretCharacters(key)
}

// isLive reports whether a secret key is one of a production instance. Keys of old
// instances have no sk_ in front.
func isLive(key string) bool {
	return strings.HasPrefix(key, "sk_live_") || strings.HasPrefix(key, "live_")
}

// checkSecretCharacters rejects keys with characters that no key has.
func checkSecretCharacters(key string) error {
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

// jwtKeyHint returns what to do about a value that is not a PEM block.
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

// minWebhookKey is the length in bytes of the shortest key that Standard Webhooks
// allows.
const minWebhookKey = 24

// parseWebhookSecret returns the key in a webhook endpoint's signing secret, whsec_….
func parseWebhookSecret(secret string) ([]byte, error) {
	text, ok := strings.CutPrefix(secret, "whsec_")
	if !ok {
		return nil, hint.Error("it must look like whsec_…", secret, "copy it from the endpoint's page")
	}
	key, err := decodeStrictly(base64.StdEncoding, text)
	if err != nil {
		return nil, hint.Error("what follows its prefix is not base64", secret, "copy it again, all of it")
	}
	if len(key) < minWebhookKey {
		return nil, fmt.Errorf("its key is shorter than %d bytes", minWebhookKey)
	}
	return key, nil
}

// decodeStrictly decodes text, and rejects the line breaks that encoding/base64 skips.
func decodeStrictly(encoding *base64.Encoding, text string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("it holds a line break")
	}
	return encoding.Strict().DecodeString(text)
}
