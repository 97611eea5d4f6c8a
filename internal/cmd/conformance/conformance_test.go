package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const corpusDir = "../../../testdata/corpus"

func corpus(t *testing.T) []corpusFile {
	t.Helper()
	files, err := readCorpus(corpusDir)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestCorpus compares the library with the recorded decisions: nothing is laxer,
// nothing unexplained, and at least as much agrees as the floors require.
func TestCorpus(t *testing.T) {
	r := compareQuickly(t, library, corpus(t))
	r.holdToFloors()
	for _, line := range r.bad {
		t.Error(line)
	}
	for _, line := range r.needless {
		t.Error("a rule is named although we decide as the SDK does:", line)
	}
	for _, f := range floors {
		part := f.file + " " + f.part
		total := r.parts[part]
		if total == nil {
			t.Errorf("%s: there are no cases", part)
			continue
		}
		t.Logf("%s: %v", part, total)
	}
}

// TestDecisionsReadInputsAlone: decisions about the corpus do not change if the
// recorded answers are removed.
func TestDecisionsReadInputsAlone(t *testing.T) {
	dir := t.TempDir()
	files := corpus(t)
	cases := 0
	for _, f := range files {
		for i, raw := range f.Cases {
			c := map[string]json.RawMessage{}
			if err := json.Unmarshal(raw, &c); err != nil {
				t.Fatal(err)
			}
			delete(c, "expect")
			delete(c, "upstream")
			f.Cases[i] = encode(t, c)
			cases++
		}
		write(t, dir, f.Name, f)
	}
	var with, without bytes.Buffer
	if err := printDecisions(&with, corpusDir); err != nil {
		t.Fatal(err)
	}
	if err := printDecisions(&without, dir); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(without.String()), "\n")
	if len(lines) != cases {
		t.Errorf("%d decisions about %d cases", len(lines), cases)
	}
	for i, line := range strings.Split(strings.TrimSpace(with.String()), "\n") {
		if i < len(lines) && lines[i] != line {
			t.Fatalf("decision differs without the answers:\n%s\n%s", line, lines[i])
		}
	}
	if _, err := printComparison(&without, dir, nil); err == nil {
		t.Error("files without answers are compared")
	}
}

// TestDecisionLines checks the fields of the printed lines.
func TestDecisionLines(t *testing.T) {
	var out bytes.Buffer
	if err := printDecisions(&out, corpusDir); err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"authenticate.json": {"outcome", "reason", "token_type", "auth", "set_cookie", "location"},
		"has.json":          {"allow"},
		"matcher.json":      {"any", "all", "refused"},
		"webhook.json":      {"ok", "type"},
	}
	seen := map[string]bool{}
	for line := range bytes.Lines(out.Bytes()) {
		var d map[string]any
		if err := json.Unmarshal(line, &d); err != nil {
			t.Fatal(err)
		}
		file, _ := d["file"].(string)
		seen[file] = true
		for _, name := range append(want[file], "id") {
			if _, ok := d[name]; !ok {
				t.Fatalf("%s: there is no %s: %s", file, name, line)
			}
		}
		if o, ok := d["outcome"]; ok && !slices.Contains([]any{"in", "redirect", "refuse"}, o) {
			t.Fatalf("outcome is %v", o)
		}
	}
	if len(seen) != len(want) {
		t.Errorf("decisions are about %v", seen)
	}
}

// TestComparisonFails: a comparison with changed answers of the SDK fails.
func TestComparisonFails(t *testing.T) {
	const in = `{"status":"signed-in","reason":null,"tokenType":"session_token","headers":{},"auth":{"isAuthenticated":true}}`
	const out = `{"status":"signed-out","reason":"token-invalid","tokenType":"session_token","headers":{}}`
	for _, c := range []struct{ name, file, from, to, want string }{
		{"we let in", "authenticate.json", "in", out, "laxer"},
		{"we refuse without a reason to", "authenticate.json", "refuse", in, "unexplained"},
		{"we allow", "has.json", "true", "false", "laxer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := corpus(t)
			f := files[slices.IndexFunc(files, func(f corpusFile) bool { return f.Name == c.file })]
			id := ""
			for _, raw := range f.Cases {
				var head caseHead
				if err := json.Unmarshal(raw, &head); err != nil {
					t.Fatal(err)
				}
				if !agreesOn(t, f.Name, raw, c.from) {
					continue
				}
				fields := map[string]json.RawMessage{}
				if err := json.Unmarshal(raw, &fields); err != nil {
					t.Fatal(err)
				}
				fields["expect"] = json.RawMessage(c.to)
				id, f.Cases = head.ID, []json.RawMessage{encode(t, fields)}
				break
			}
			if id == "" {
				t.Fatal("there is no such case")
			}
			dir := t.TempDir()
			write(t, dir, f.Name, f)
			var report bytes.Buffer
			good, err := printComparison(&report, dir, nil)
			if err != nil {
				t.Fatal(err)
			}
			if good || !strings.Contains(report.String(), c.want+" "+id+":") {
				t.Errorf("%s is not found %s:\n%s", id, c.want, report.String())
			}
		})
	}
}

// agreesOn reports whether a case needs no rule and has that outcome.
func agreesOn(t *testing.T, file string, raw json.RawMessage, outcome string) bool {
	t.Helper()
	j := judges[slices.IndexFunc(judges, func(j judge) bool { return j.file == file })]
	var f corpusFile
	f.Name, f.Meta.Now = file, 1790000000000
	d, err := j.open(library, f)(raw)
	if err != nil {
		t.Fatal(err)
	}
	switch d := d.(type) {
	case *answer:
		// A refusal with token-invalid would agree with both.
		return d.Rule == "" && d.Outcome == outcome
	case hasDecision:
		return d.Allow == (outcome == "true")
	}
	return false
}

func TestPrefixesRestrict(t *testing.T) {
	r, err := compareAll(library, corpus(t), []string{"has.org", "config"})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.groups) != 2 {
		t.Errorf("compared groups are %v", r.groups)
	}
}

func TestEmptyFolder(t *testing.T) {
	if err := printDecisions(&bytes.Buffer{}, t.TempDir()); err == nil {
		t.Error("a folder without files is replayed")
	}
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func write(t *testing.T, dir, name string, v any) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), encode(t, v), 0o600); err != nil {
		t.Fatal(err)
	}
}
