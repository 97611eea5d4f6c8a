package clerkauth_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth/internal/testkit"
)

// svixQuestion is a delivery that Svix's own package signs and judges.
type svixQuestion struct {
	Secret    string `json:"secret"`
	ID        string `json:"id"`
	Timestamp int64  `json:"timestamp"`
	Body      string `json:"body"`
	Signature string `json:"signature"` // ours
}

type svixAnswer struct {
	Signature string `json:"signature"` // its own
	Accepted  bool   `json:"accepted"`  // ours
}

// askSvix asks the npm package, which `npm ci` in testdata/svix installs.
func askSvix(t *testing.T, questions []svixQuestion) []svixAnswer {
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

// TestWebhookAgreesWithSvix has Svix's own package sign deliveries, which we accept,
// and judge those that clerkauthtest signs, which it accepts.
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
	for i, a := range askSvix(t, questions) {
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
