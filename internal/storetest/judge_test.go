package storetest

import (
	"strings"
	"testing"
)

// TestJudge looks at whether a journal of what must not happen is found out.
func TestJudge(t *testing.T) {
	for _, test := range []struct {
		journal           string
		wrong             string // "": nothing
		cut, again, alive int
	}{
		{"start a w1, fail a w1, start a w2, end a w2, ack a w1", "", 0, 0, 0},
		{"start a w1, kill - w1, start a w2, end a w2, ack a w2", "", 1, 0, 0},
		{"start a w1, end a w1, kill - w1, start a w2, end a w2, ack a w2", "", 0, 1, 0},
		{"start a w1, end a w1, start a w2, end a w2, ack a w2", "", 0, 0, 1},
		{"start a w1, start a w2", "worker w1 is handling it", 1, 0, 0},
		{"start a w1, kill - w1, start a w2, end a w1", `"w2" is handling it`, 1, 0, 0},
		{"start a w1, end a w1, ack a w1, kill - w1, start a w2", "it was acknowledged before", 0, 1, 0},
		{"start a w1, ack a w2", "it has not been handled", 0, 0, 0},
		{"start a w1, end a w1, start a w2, ack a w1", "it has not been handled", 0, 0, 1},
		{"start a w1, start b w1, fail b w1, ack b w1", "it has not been handled", 0, 0, 0},
		{"start a", "line 1", 0, 0, 0},
	} {
		v := judge(strings.ReplaceAll(test.journal, ", ", "\n") + "\n")
		if got := strings.Join(v.wrong, "; "); (got != "") != (test.wrong != "") || !strings.Contains(got, test.wrong) {
			t.Errorf("%s: %q", test.journal, got)
		}
		if v.cut != test.cut || v.again != test.again || v.alive != test.alive {
			t.Errorf("%s: cut %d, again %d, alive %d", test.journal, v.cut, v.again, v.alive)
		}
	}
}
