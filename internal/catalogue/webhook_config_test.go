package catalogue

import (
	"fmt"
	"strings"
	"testing"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// These rows are about a webhook's configuration.
var _ = addRows(rows{"258/webhook_secrets_in_unexported_field": row258UnexportedField})

// fmt calls no methods of values in unexported fields, so redaction by methods alone does
// not protect them.
func row258UnexportedField(t *testing.T) {
	t.Setenv("CLERK_WEBHOOK_SIGNING_SECRET", testkit.VectorSecret)
	c := clerkauth.WebhookConfig{Secrets: testkit.Secrets(testkit.VectorSecret)}
	w, err := clerkauth.NewWebhook(c)
	if err != nil {
		t.Fatal(err)
	}
	// The key is printed as text, in hexadecimal, or as a list of bytes.
	const secret = testkit.VectorSecret
	spellings := []string{secret[6:], fmt.Sprintf("%x", secret[6:]), fmt.Sprintf("%X", secret[6:]), fmt.Sprint([]byte(secret[6:14]))}
	shown := func(v any) (found []string) {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			for _, spelling := range spellings {
				if strings.Contains(fmt.Sprintf(verb, v), strings.Trim(spelling, "[]")) {
					found = append(found, verb)
				}
			}
		}
		return found
	}
	for name, v := range map[string]any{
		"by value":    struct{ c clerkauth.WebhookConfig }{c},
		"by pointer":  struct{ c *clerkauth.WebhookConfig }{&c},
		"its secrets": struct{ s []clerkauth.Secret }{c.Secrets},
		"an array":    struct{ s [1]clerkauth.Secret }{[1]clerkauth.Secret(c.Secrets)},
		"a map": struct {
			m map[string]clerkauth.WebhookConfig
		}{map[string]clerkauth.WebhookConfig{"a": c}},
		"in an interface":    struct{ v any }{c},
		"of the environment": struct{ c clerkauth.WebhookConfig }{clerkauth.WebhookFromEnv()},
		"deeper": struct {
			s struct{ c clerkauth.WebhookConfig }
		}{struct{ c clerkauth.WebhookConfig }{c}},
		"what is made of it":   struct{ w clerkauth.Webhook }{*w},
		"a pointer to that":    struct{ w *clerkauth.Webhook }{w},
		"in an exported field": struct{ C clerkauth.WebhookConfig }{c},
	} {
		if verbs := shown(v); verbs != nil {
			t.Errorf("%s: the secret is shown by %v", name, verbs)
		}
	}
	// Strings in such a field are found.
	if verbs := shown(struct{ c struct{ Secrets []string } }{struct{ Secrets []string }{[]string{secret}}}); len(verbs) < 4 {
		t.Errorf("a string is shown by %v alone", verbs)
	}
}
