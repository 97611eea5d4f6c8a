package catalogue

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestSnippetsAreCompiled: every Go snippet of README.md stands, line by line, in a
// file that is compiled with the tests.
func TestSnippetsAreCompiled(t *testing.T) {
	read := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	compiled := ""
	for _, name := range []string{"example_test.go", "example_webhook_test.go", "frontendproxy_test.go", "clerkauthtest/example_test.go", "examples/quickstart/server.go"} {
		compiled += squeeze(read("../../" + name))
	}
	snippets := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(read("../../README.md"), -1)
	if len(snippets) == 0 {
		t.Fatal("README.md shows no Go")
	}
	for _, s := range snippets {
		if !strings.Contains(compiled, squeeze(s[1])) {
			t.Errorf("this is in README.md and nowhere compiled:\n%s", s[1])
		}
	}
}

var (
	comment = regexp.MustCompile(`(?m)(?:^|\s)\s*//.*$`) // not the slashes of a URL
	space   = regexp.MustCompile(`\s+`)
)

// squeeze removes comments and white space.
func squeeze(s string) string {
	return space.ReplaceAllString(comment.ReplaceAllString(s, ""), "")
}
