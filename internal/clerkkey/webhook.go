package clerkkey

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/clerkauth/clerkauth/internal/hint"
)

// minWebhook is the length in bytes of the shortest key that Standard Webhooks allows.
const minWebhook = 24

// ParseWebhook returns the key in a webhook endpoint's signing secret, whsec_….
func ParseWebhook(secret string) ([]byte, error) {
	text, ok := strings.CutPrefix(secret, "whsec_")
	if !ok {
		return nil, hint.Error("it must look like whsec_…", secret, "copy it from the endpoint's page")
	}
	key, err := decodeStrictly(base64.StdEncoding, text)
	if err != nil {
		return nil, hint.Error("what follows its prefix is not base64", secret, "copy it again, all of it")
	}
	if len(key) < minWebhook {
		return nil, fmt.Errorf("its key is shorter than %d bytes", minWebhook)
	}
	return key, nil
}
