package clerkauth_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

func vectorHeader() http.Header {
	return http.Header{"Svix-Id": {testkit.VectorID}, "Svix-Timestamp": {fmt.Sprint(testkit.VectorTime)}, "Svix-Signature": {testkit.VectorSignature}}
}

func newWebhook(t *testing.T, at time.Time, secrets ...string) *clerkauth.Webhook {
	t.Helper()
	w, err := clerkauth.NewWebhook(clerkauth.WebhookConfig{Secrets: testkit.Secrets(secrets...), Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestWebhookVector(t *testing.T) {
	w := newWebhook(t, time.Unix(testkit.VectorTime, 0), testkit.VectorSecret)
	if err := w.Verify(vectorHeader(), []byte(testkit.VectorBody)); err != nil {
		t.Fatal(err)
	}
	for i := range len(testkit.VectorBody) {
		body := []byte(testkit.VectorBody)
		body[i] ^= 1
		if w.Verify(vectorHeader(), body) == nil {
			t.Errorf("byte %d can be changed", i)
		}
	}
}

func TestWebhookToleranceIsFiveMinutes(t *testing.T) {
	for away, ok := range map[time.Duration]bool{0: true, 5 * time.Minute: true, -5 * time.Minute: true,
		5*time.Minute + 999*time.Millisecond: true, -5*time.Minute - time.Millisecond: false, // a clock of whole seconds, as Clerk's
		5*time.Minute + time.Second: false, -5*time.Minute - time.Second: false} {
		err := newWebhook(t, time.Unix(testkit.VectorTime, 0).Add(away), testkit.VectorSecret).Verify(vectorHeader(), []byte(testkit.VectorBody))
		if (err == nil) != ok {
			t.Errorf("%v away: %v", away, err)
		}
	}
}

func TestWebhookHeadersHaveOneSpelling(t *testing.T) {
	w := newWebhook(t, time.Unix(testkit.VectorTime, 0), testkit.VectorSecret)
	for name, values := range map[string][][]string{
		"Svix-Id":        {nil, {""}, {" "}, {testkit.VectorID, testkit.VectorID}, {testkit.VectorID + ".1"}, {testkit.VectorID + "\n"}, {strings.Repeat("m", 200)}},
		"Svix-Timestamp": {nil, {""}, {"+1614265330"}, {"01614265330"}, {" 1614265330"}, {"1614265330.5"}, {"0x60"}, {"-1"}, {"9223372036854775808"}, {"1614265330", "1614265330"}},
		"Svix-Signature": {nil, {""}, {"v1,"}, {"v1"}, {testkit.VectorSignature[3:]}, {"v2" + testkit.VectorSignature[2:]}, {"v1a" + testkit.VectorSignature[2:]}, {"V1" + testkit.VectorSignature[2:]},
			{testkit.VectorSignature + ",junk"}, {testkit.VectorSignature[:40]}, {testkit.VectorSignature + "="}, {strings.Repeat("v1,x ", 40) + testkit.VectorSignature}, {testkit.VectorSignature, testkit.VectorSignature}},
	} {
		for _, v := range values {
			h := vectorHeader()
			h[name] = v
			var e *clerkauth.Error
			if err := w.Verify(h, []byte(testkit.VectorBody)); !errors.Is(err, clerkauth.ErrWebhook) || !errors.As(err, &e) || e.Status != 400 {
				t.Errorf("%s %.60q: %v", name, v, err)
			}
		}
	}
	other := http.Header{}
	for name, v := range vectorHeader() {
		other["Webhook"+strings.TrimPrefix(name, "Svix")] = v
	}
	if w.Verify(other, []byte(testkit.VectorBody)) == nil {
		t.Error("other header names were accepted")
	}
	h := vectorHeader()
	h["Svix-Signature"] = []string{"v1,bad v2,x " + testkit.VectorSignature}
	if err := w.Verify(h, []byte(testkit.VectorBody)); err != nil {
		t.Errorf("one good signature among others: %v", err)
	}
}

func TestWebhookSecretsRotate(t *testing.T) {
	const other = "whsec_dmVjdG9yc19zaWduaW5nX3NlY3JldF8zMmJ5dGVzX18="
	at := time.Unix(testkit.VectorTime, 0)
	for _, secrets := range [][]string{{testkit.VectorSecret, other}, {other, testkit.VectorSecret}} {
		if err := newWebhook(t, at, secrets...).Verify(vectorHeader(), []byte(testkit.VectorBody)); err != nil {
			t.Error(err)
		}
	}
	if newWebhook(t, at, other).Verify(vectorHeader(), []byte(testkit.VectorBody)) == nil {
		t.Error("a secret that was removed still verifies")
	}
}

func TestWebhookSecretsAreChecked(t *testing.T) {
	for _, secrets := range [][]string{nil, {}, {""}, {"whsec_"}, {"whsec_!!"}, {"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, {"whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
		{"whsec_c2hvcnQ="}, {testkit.VectorSecret + "\n"}, {testkit.VectorSecret + " "}, {testkit.VectorSecret, ""}} {
		w, err := clerkauth.NewWebhook(clerkauth.WebhookConfig{Secrets: testkit.Secrets(secrets...)})
		if err == nil || w != nil {
			t.Errorf("%q was accepted", secrets)
		} else if strings.Contains(err.Error(), "MfKQ") {
			t.Errorf("the error holds the secret: %v", err)
		}
	}
}

// TestWebhookWorkedExample checks the example of Clerk's protocol.
func TestWebhookWorkedExample(t *testing.T) {
	const body = `{"type":"user.created","object":"event","data":{"id":"user_1"},"event_attributes":{"http_request":{"client_ip":"1.2.3.4","user_agent":"x"}}}`
	w := newWebhook(t, time.Unix(1790000000, 0), "whsec_dmVjdG9yc19zaWduaW5nX3NlY3JldF8zMmJ5dGVzX18=")
	h := http.Header{"Svix-Id": {"m1"}, "Svix-Timestamp": {"1790000000"}, "Svix-Signature": {"v1,22TU1qcHNai94bYSh6SLU5bq2u2N/8t2M+s76TtmgRc="}}
	if err := w.Verify(h, []byte(body)); err != nil {
		t.Error(err)
	}
}

func TestWebhookSecretsDoNotPrint(t *testing.T) {
	c := clerkauth.WebhookConfig{Secrets: []clerkauth.Secret{clerkauth.NewSecret(testkit.VectorSecret)}}
	text, err := json.Marshal(map[string]any{"secrets": c.Secrets})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("configured", "config", c, "secrets", c.Secrets, "pointer", &c)
	}
	out := fmt.Sprintf("%v %+v %#v %s %q %x %d %v %+v %s", c, c, c, c.Secrets, c.Secrets, c.Secrets, c.Secrets, &c, struct{ c clerkauth.WebhookConfig }{c}, text) + log.String()
	if strings.Contains(out, testkit.VectorSecret[6:]) || strings.Contains(out, fmt.Sprintf("%x", testkit.VectorSecret[6:])) || !strings.Contains(out, "[redacted]") {
		t.Errorf("printed the secrets: %s", out)
	}
}

// FuzzWebhook: a delivery is accepted if and only if its headers are canonical and
// one of its signatures is the HMAC of exactly the bytes sent.
func FuzzWebhook(f *testing.F) {
	for _, id := range []string{testkit.VectorID, "m", "", "msg_1.2", "a.1614265330.b", " m", "m\n", "mé", strings.Repeat("m", 128), strings.Repeat("m", 129)} {
		f.Add(id, "1614265330", testkit.Sign(id, "1614265330", testkit.VectorBody), testkit.VectorBody)
	}
	for _, stamp := range []string{"", "+1614265330", "01614265330", "1614265330.5", "1e9", "0x60", " 1614265330", "1614265030", "1614265029", "1614265630", "1614265631", "-1", "0", "9223372036854775808"} {
		f.Add(testkit.VectorID, stamp, testkit.Sign(testkit.VectorID, stamp, testkit.VectorBody), testkit.VectorBody)
		f.Add(testkit.VectorID, stamp, testkit.VectorSignature, testkit.VectorBody)
	}
	for _, s := range []string{"", "v1,", "v1", ",", "v1,x " + testkit.VectorSignature, testkit.VectorSignature + " v2,x", testkit.VectorSignature + ",x", testkit.VectorSignature + "=", "v1a" + testkit.VectorSignature[2:],
		"V1" + testkit.VectorSignature[2:], testkit.VectorSignature[3:], " " + testkit.VectorSignature + " ", testkit.VectorSignature + "\t" + testkit.VectorSignature, strings.Repeat("v1,x ", 31) + testkit.VectorSignature,
		strings.Repeat("v1,x ", 32) + testkit.VectorSignature, strings.Replace(testkit.VectorSignature, "E=", "F=", 1), strings.TrimSuffix(testkit.VectorSignature, "=")} {
		f.Add(testkit.VectorID, "1614265330", s, testkit.VectorBody)
	}
	for _, body := range []string{"", "{}", testkit.VectorBody + "\n", "\ufeff" + testkit.VectorBody, "\xff"} {
		f.Add(testkit.VectorID, "1614265330", testkit.Sign(testkit.VectorID, "1614265330", body), body)
		f.Add(testkit.VectorID, "1614265330", testkit.VectorSignature, body)
	}
	w, err := clerkauth.NewWebhook(clerkauth.WebhookConfig{Secrets: []clerkauth.Secret{clerkauth.NewSecret(testkit.VectorSecret)}, Now: func() time.Time { return time.Unix(testkit.VectorTime, 0) }})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, id, stamp, signatures, body string) {
		want := len(id) > 0 && len(id) <= 128 && strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == ""
		seconds, err := strconv.Atoi(stamp)
		want = want && err == nil && strconv.Itoa(seconds) == stamp && seconds >= testkit.VectorTime-300 && seconds <= testkit.VectorTime+300
		list := strings.Split(signatures, " ")
		want = want && len(list) <= 32 && slices.Contains(list, testkit.Sign(id, stamp, body))
		h := http.Header{"Svix-Id": {id}, "Svix-Timestamp": {stamp}, "Svix-Signature": {signatures}}
		if got := w.Verify(h, []byte(body)) == nil; got != want {
			t.Errorf("accepted: %t, want %t", got, want)
		}
		// Modified or not, a correctly signed delivery is accepted, and no bit of it can
		// be flipped.
		if !want {
			return
		}
		for _, part := range []*string{&id, &stamp, &body} {
			for i := range min(len(*part), 64) {
				kept := *part
				flipped := []byte(kept)
				flipped[i] ^= 1 << (i % 8)
				*part = string(flipped)
				h := http.Header{"Svix-Id": {id}, "Svix-Timestamp": {stamp}, "Svix-Signature": {signatures}}
				if w.Verify(h, []byte(body)) == nil {
					t.Errorf("%q was accepted as %q", kept, *part)
				}
				*part = kept
			}
		}
	})
}

func TestWebhookDoesNotPrint(t *testing.T) {
	w := newWebhook(t, time.Now(), testkit.VectorSecret)
	key := "31f290f6bf06298aab4f08d43c3f082cf648a362da2da4b0"
	out := fmt.Sprintf("%v %+v %#v %v %+v", w, w, w, *w, struct{ w clerkauth.Webhook }{*w})
	if strings.Contains(out, key[:16]) || strings.Contains(out, "49 242 144") {
		t.Errorf("printed the key: %s", out)
	}
}

// svixQuestion is a delivery for Svix's own package to sign and to verify.
type svixQuestion struct {
	Secret    string `json:"secret"`
	ID        string `json:"id"`
	Timestamp int64  `json:"timestamp"`
	Body      string `json:"body"`
	Signature string `json:"signature"` // by clerkauthtest
}

type svixAnswer struct {
	Signature string `json:"signature"` // by Svix
	Accepted  bool   `json:"accepted"`  // whether Svix accepts clerkauthtest's signature
}

// runSvix runs the npm package, which `npm ci` in testdata/svix installs.
func runSvix(t *testing.T, questions []svixQuestion) []svixAnswer {
	t.Helper()
	const dir = "testdata/svix"
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("deliveries are not compared with Svix's npm package: there is no node")
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		t.Skip("deliveries are not compared with Svix's npm package: run npm ci in " + dir)
	}
	var in, out, wrong bytes.Buffer
	for _, q := range questions {
		if err := json.NewEncoder(&in).Encode(q); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), node, "interop.mjs")
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, &in, &out, &wrong
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, &wrong)
	}
	var answers []svixAnswer
	for line := range bytes.Lines(out.Bytes()) {
		var a svixAnswer
		if err := json.Unmarshal(line, &a); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, a)
	}
	if len(answers) != len(questions) {
		t.Fatalf("%d answers to %d questions", len(answers), len(questions))
	}
	return answers
}

// TestWebhookAgreesWithSvix: Webhook accepts deliveries that Svix's own package
// signs, and that package accepts those that clerkauthtest signs.
func TestWebhookAgreesWithSvix(t *testing.T) {
	h := testkit.NewWebhookRig(t)
	secret := h.Server.WebhookSecret()
	var questions []svixQuestion
	for _, name := range []string{"Jane", "Žofie", "日本語", "😀", `quo\"ted`, `\u0041\n`, " ", "", strings.Repeat("x", 100_000)} {
		for _, space := range []string{"", " ", "\n", "\r\n\t"} {
			d := h.Server.NewDelivery("user.created", "{}")
			d.Body = fmt.Appendf(nil, `{%s"type":"user.created",%s"data":{"first_name":"%s"}}%s`, space, space, name, space)
			r := d.Request(testkit.WebhookURL)
			var stamp int64
			if _, err := fmt.Sscan(r.Header.Get("Svix-Timestamp"), &stamp); err != nil {
				t.Fatal(err)
			}
			questions = append(questions, svixQuestion{secret, d.ID, stamp, string(d.Body), r.Header.Get("Svix-Signature")})
		}
	}
	good := len(questions)
	for _, q := range questions[:good] {
		q.Body += " "
		questions = append(questions, q)
	}
	old := questions[0]
	old.Timestamp = time.Now().Add(-time.Hour).Unix()
	questions = append(questions, old)
	for i, a := range runSvix(t, questions) {
		q := questions[i]
		if a.Accepted != (i < good) {
			t.Errorf("Svix accepts our signature of %.80q: %t", q.Body, a.Accepted)
		}
		header := http.Header{"Svix-Id": {q.ID}, "Svix-Timestamp": {fmt.Sprint(q.Timestamp)}, "Svix-Signature": {a.Signature}}
		if err := h.Verify(header, []byte(q.Body)); (err == nil) != (q != old) {
			t.Errorf("Svix's signature of %.80q: %v", q.Body, err)
		}
		if i < good && q.Signature != a.Signature {
			t.Errorf("signatures of %.80q differ", q.Body)
		}
	}
}

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
