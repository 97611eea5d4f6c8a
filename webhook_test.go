package clerkauth_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
)

// The vector that Standard Webhooks and Svix's libraries share.
const (
	vectorSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	vectorID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorTime      = 1614265330
	vectorBody      = `{"test": 2432232314}`
	vectorSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func vectorHeader() http.Header {
	return http.Header{"Svix-Id": {vectorID}, "Svix-Timestamp": {fmt.Sprint(vectorTime)}, "Svix-Signature": {vectorSignature}}
}

func newWebhook(t *testing.T, at time.Time, secrets ...string) *clerkauth.Webhook {
	t.Helper()
	w, err := clerkauth.NewWebhook(clerkauth.WebhookConfig{Secrets: secrets, Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestWebhookVector(t *testing.T) {
	w := newWebhook(t, time.Unix(vectorTime, 0), vectorSecret)
	if err := w.Verify(vectorHeader(), []byte(vectorBody)); err != nil {
		t.Fatal(err)
	}
	for i := range len(vectorBody) {
		body := []byte(vectorBody)
		body[i] ^= 1
		if w.Verify(vectorHeader(), body) == nil {
			t.Errorf("byte %d can be changed", i)
		}
	}
}

func TestWebhookToleranceIsFiveMinutes(t *testing.T) {
	for away, ok := range map[time.Duration]bool{0: true, 5 * time.Minute: true, -5 * time.Minute: true,
		5*time.Minute + time.Second: false, -5*time.Minute - time.Second: false} {
		err := newWebhook(t, time.Unix(vectorTime, 0).Add(away), vectorSecret).Verify(vectorHeader(), []byte(vectorBody))
		if (err == nil) != ok {
			t.Errorf("%v away: %v", away, err)
		}
	}
}

func TestWebhookHeadersHaveOneSpelling(t *testing.T) {
	w := newWebhook(t, time.Unix(vectorTime, 0), vectorSecret)
	for name, values := range map[string][][]string{
		"Svix-Id":        {nil, {""}, {" "}, {vectorID, vectorID}, {vectorID + ".1"}, {vectorID + "\n"}, {strings.Repeat("m", 200)}},
		"Svix-Timestamp": {nil, {""}, {"+1614265330"}, {"01614265330"}, {" 1614265330"}, {"1614265330.5"}, {"0x60"}, {"-1"}, {"9223372036854775808"}, {"1614265330", "1614265330"}},
		"Svix-Signature": {nil, {""}, {"v1,"}, {"v1"}, {vectorSignature[3:]}, {"v2" + vectorSignature[2:]}, {"v1a" + vectorSignature[2:]}, {"V1" + vectorSignature[2:]},
			{vectorSignature + ",junk"}, {vectorSignature[:40]}, {vectorSignature + "="}, {strings.Repeat("v1,x ", 40) + vectorSignature}, {vectorSignature, vectorSignature}},
	} {
		for _, v := range values {
			h := vectorHeader()
			h[name] = v
			var e *clerkauth.Error
			if err := w.Verify(h, []byte(vectorBody)); !errors.Is(err, clerkauth.ErrWebhook) || !errors.As(err, &e) || e.Status != 400 {
				t.Errorf("%s %.60q: %v", name, v, err)
			}
		}
	}
	other := http.Header{}
	for name, v := range vectorHeader() {
		other["Webhook"+strings.TrimPrefix(name, "Svix")] = v
	}
	if w.Verify(other, []byte(vectorBody)) == nil {
		t.Error("other header names were accepted")
	}
	h := vectorHeader()
	h["Svix-Signature"] = []string{"v1,bad v2,x " + vectorSignature}
	if err := w.Verify(h, []byte(vectorBody)); err != nil {
		t.Errorf("one good signature among others: %v", err)
	}
}

func TestWebhookSecretsRotate(t *testing.T) {
	const other = "whsec_dmVjdG9yc19zaWduaW5nX3NlY3JldF8zMmJ5dGVzX18="
	at := time.Unix(vectorTime, 0)
	for _, secrets := range [][]string{{vectorSecret, other}, {other, vectorSecret}} {
		if err := newWebhook(t, at, secrets...).Verify(vectorHeader(), []byte(vectorBody)); err != nil {
			t.Error(err)
		}
	}
	if newWebhook(t, at, other).Verify(vectorHeader(), []byte(vectorBody)) == nil {
		t.Error("a secret that was removed still verifies")
	}
}

func TestWebhookSecretsAreChecked(t *testing.T) {
	for _, secrets := range [][]string{nil, {}, {""}, {"whsec_"}, {"whsec_!!"}, {"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, {"whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
		{"whsec_c2hvcnQ="}, {vectorSecret + "\n"}, {vectorSecret + " "}, {vectorSecret, ""}} {
		w, err := clerkauth.NewWebhook(clerkauth.WebhookConfig{Secrets: secrets})
		if err == nil || w != nil {
			t.Errorf("%q was accepted", secrets)
		} else if strings.Contains(err.Error(), "MfKQ") {
			t.Errorf("the error holds the secret: %v", err)
		}
	}
}

func TestWebhookDoesNotPrint(t *testing.T) {
	w := newWebhook(t, time.Now(), vectorSecret)
	key := "31f290f6bf06298aab4f08d43c3f082cf648a362da2da4b0"
	out := fmt.Sprintf("%v %+v %#v %v %+v", w, w, w, *w, struct{ w clerkauth.Webhook }{*w})
	if strings.Contains(out, key[:16]) || strings.Contains(out, "49 242 144") {
		t.Errorf("printed the key: %s", out)
	}
}
