package live

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

// sdk is Clerk's own package, which a Node process runs.
type sdk struct {
	in  io.Writer
	out *bufio.Reader
	log *bytes.Buffer // what it has written to its standard error
}

// question is a request to the SDK, as decide.mjs reads it.
type question struct {
	Options map[string]any `json:"options"`
	Now     int64          `json:"now"` // in milliseconds
	Method  string         `json:"method"`
	URL     string         `json:"url"`
	Headers [][2]string    `json:"headers"`
}

// answer is the SDK's decision.
type answer struct {
	Throws   string              `json:"throws"` // instead of the rest
	Message  string              `json:"message"`
	Status   string              `json:"status"`
	Reason   string              `json:"reason"`
	Headers  map[string][]string `json:"headers"`
	Auth     map[string]any      `json:"auth"`
	Unusable bool                `json:"unusable"` // there is no auth object
}

// startSDK starts the npm package, which `npm ci` in this directory installs.
func startSDK(t *testing.T) *sdk {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("there is no node to run Clerk's npm package")
	}
	if _, err := os.Stat("node_modules"); err != nil {
		t.Skip("Clerk's npm package is not there: run npm ci in internal/live")
	}
	s := &sdk{log: &bytes.Buffer{}}
	cmd := exec.Command(node, "decide.mjs")
	cmd.Env = append(os.Environ(), "CLERK_TELEMETRY_DISABLED=1")
	cmd.Stderr = s.log
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.in, s.out = in, bufio.NewReader(out)
	t.Cleanup(func() {
		_ = in.Close() // it ends by that
		stuck := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		defer stuck.Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %s", err, s.log)
		}
	})
	return s
}

func (s *sdk) ask(t *testing.T, q question) answer {
	t.Helper()
	if err := json.NewEncoder(s.in).Encode(q); err != nil {
		t.Fatal(err)
	}
	line, err := s.out.ReadBytes('\n')
	if err != nil {
		t.Fatalf("%v: %s", err, s.log)
	}
	var a answer
	if err := json.Unmarshal(line, &a); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	return a
}
