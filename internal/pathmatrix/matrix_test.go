package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestMatrix is the program: no guard of ours lets anything through to the
// protected handler, or keeps an ordinary request from a public one, whatever
// router is behind it.
func TestMatrix(t *testing.T) {
	protocols := []string{"http/1.1", "h2c"}
	if testing.Short() {
		protocols = protocols[:1]
	}
	rows, err := matrix(protocols...)
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range findings(rows) {
		t.Error(finding)
	}
	// That the matrix bites: without a guard, or with a simple one, much gets
	// through; and ordinary requests do reach what is public.
	total, naive, benign := sum(rows), 0, 0
	for _, r := range rows {
		benign += r.benign
		if r.naive {
			naive += r.reached
		}
	}
	if total.ReachedWithoutGuard < 2000*len(protocols) || naive < 500 || benign < 2000 {
		t.Errorf("%d requests reach the protected handler without a guard, %d past a prefix check, %d ordinary ones what is public: the matrix proves nothing",
			total.ReachedWithoutGuard, naive, benign)
	}
	if total.Bypasses != 0 || total.FalseRefusals != 0 {
		t.Errorf("%+v", total)
	}
	var table bytes.Buffer
	if err := write(&table, rows); err != nil {
		t.Fatal(err)
	}
	for _, s := range setups() {
		if !strings.Contains(table.String(), "\n"+s.name+" ") {
			t.Errorf("the table lacks %s", s.name)
		}
	}
	t.Logf("%+v; %d past a prefix check; %d ordinary requests to what is public", total, naive, benign)
}
