package clerkauth_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

const webhookVariable = "CLERK_WEBHOOK_SIGNING_SECRET"

func TestWebhookFromEnv(t *testing.T) {
	const other = "whsec_dmVjdG9yc19zaWduaW5nX3NlY3JldF8zMmJ5dGVzX18="
	stamp := fmt.Sprint(testkit.VectorTime)
	signed := http.Header{"Svix-Id": {testkit.VectorID}, "Svix-Timestamp": {stamp}, "Svix-Signature": {testkit.VectorSignature}}
	for value, secrets := range map[string]int{
		testkit.VectorSecret:                                1,
		other + "," + testkit.VectorSecret:                  2,
		testkit.VectorSecret + "," + other:                  2,
		" " + other + " ,\t" + testkit.VectorSecret + " \n": 2,
		testkit.VectorSecret + ",":                          1,
		other:                                               -1, // valid, and of another endpoint
	} {
		t.Setenv(webhookVariable, value)
		c := clerkauth.WebhookFromEnv()
		c.Now = func() time.Time { return time.Unix(testkit.VectorTime, 0) }
		w, err := clerkauth.NewWebhook(c)
		if err != nil {
			t.Errorf("%q: %v", value, err)
			continue
		}
		if got := w.Verify(signed, []byte(testkit.VectorBody)) == nil; got != (secrets > 0) || len(c.Secrets) != max(secrets, -secrets) {
			t.Errorf("%q: %d secrets, accepted: %t", value, len(c.Secrets), got)
		}
	}
}

func TestWebhookFromEnvRefuses(t *testing.T) {
	for value, want := range map[string]string{
		"":                               webhookVariable,
		" \t\n":                          webhookVariable,
		" , ,":                           webhookVariable,
		testkit.VectorSecret + ",x":      "Secrets[1]",
		testkit.VectorSecret[6:]:         "Secrets[0]",
		`"` + testkit.VectorSecret + `"`: "Secrets[0]",
		testkit.VectorSecret + " " + testkit.VectorSecret: "Secrets[0]",
	} {
		t.Setenv(webhookVariable, value)
		w, err := clerkauth.NewWebhook(clerkauth.WebhookFromEnv())
		if err == nil || w != nil {
			t.Errorf("%q was accepted", value)
		} else if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "MfKQ") {
			t.Errorf("%q: %v", value, err)
		}
	}
}
