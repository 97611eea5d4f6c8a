package route

import (
	"encoding/json"
	"net/url"
	"os"
	"testing"
)

// corpusCase is a recorded result of Clerk's createRouteMatcher.
type corpusCase struct {
	ID       string
	Patterns []any // strings, or regular expressions as objects
	Pathname string
	RawPath  *string
	Expect   any // a bool, or {"throws": …}
}

// answer returns "true", "false" or "refused".
func (c corpusCase) answer() string {
	switch c.Expect {
	case true:
		return "true"
	case false:
		return "false"
	}
	return "refused"
}

// ours returns this package's result and, if it is a refusal, its reason.
func (c corpusCase) ours() (answer, rule string, ordinaryTarget bool) {
	target := c.Pathname
	if c.RawPath != nil {
		target = *c.RawPath
	}
	u, urlErr := url.ParseRequestURI(target)
	// A raw path with a query or a host is not a path.
	ordinaryTarget = urlErr == nil && checkTarget("GET", u) == nil && u.Path == target && ordinary(u)
	var patterns []string
	for _, p := range c.Patterns {
		s, ok := p.(string)
		if !ok {
			return "refused", "regular expressions are no patterns", ordinaryTarget
		}
		patterns = append(patterns, s)
	}
	m, err := NewMatcher(patterns...)
	if err != nil {
		return "refused", "the pattern is an error", ordinaryTarget
	}
	if urlErr != nil {
		return "refused", "net/http refuses the target", ordinaryTarget
	}
	switch matched, err := m.Any("GET", "app.example.com", u); {
	case err != nil:
		return "refused", err.Error(), ordinaryTarget
	case matched:
		return "true", "another reading matches", ordinaryTarget
	}
	return "false", "", ordinaryTarget
}

// TestCorpus compares with the recorded results: never laxer, the same for ordinary
// paths and patterns, and otherwise stricter for a stated reason.
func TestCorpus(t *testing.T) {
	raw, err := os.ReadFile("../../testdata/corpus/matcher.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Cases []corpusCase }
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	agree, stricter := 0, map[string]int{}
	for _, c := range file.Cases {
		theirs := c.answer()
		ours, rule, ordinaryTarget := c.ours()
		switch {
		case ours == theirs:
			agree++
		case ordinaryTarget && rule == "another reading matches":
			t.Errorf("%s: an ordinary path: %s, want %s", c.ID, ours, theirs)
		case ours == "refused" || ours == "true" && theirs == "false":
			stricter[rule]++
		default:
			t.Errorf("%s: laxer: %s, want %s", c.ID, ours, theirs)
		}
	}
	share := 100 * agree / max(1, len(file.Cases))
	if share < 65 {
		t.Errorf("only %d %% agree", share)
	}
	t.Logf("%d cases: %d agree (%d %%), the others are stricter: %v", len(file.Cases), agree, share, stricter)
}
