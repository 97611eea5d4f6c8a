package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// TestMatrix runs the program: no guard lets a request through to the protected
// handler, or keeps an ordinary request from a public one, whatever the router.
func TestMatrix(t *testing.T) {
	protocols, list := []string{"http/1.1", "h2c"}, scenes()
	if testing.Short() { // every router, but one shape and a third of the unusual hosts
		protocols = protocols[:1]
		list = slices.DeleteFunc(list, func(s scene) bool { return s.part == pathPart && s.layout != string(params) })
		for i := range list {
			var some []target
			for n, t := range list[i].targets {
				if list[i].part != hostPart || t.benign || n%3 == 0 {
					some = append(some, t)
				}
			}
			list[i].targets = some
		}
	}
	rows, err := matrix(list, protocols...)
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range findings(rows) {
		t.Error(finding)
	}
	// The matrix is effective: without a guard, or with a simple one, many requests get
	// through, and ordinary requests reach public routes.
	naive, benign := map[string]int{}, map[string]int{}
	for _, r := range rows {
		benign[r.part] += r.benign
		if r.naive {
			naive[r.part] += r.reached
		}
	}
	for _, part := range parts {
		total, floor := sum(rows, part), floors[part]*len(protocols)
		if testing.Short() {
			floor /= 8
		}
		if total.ReachedWithoutGuard < floor || naive[part] < floor/40 || benign[part] < floor/40 {
			t.Errorf("%s: %d requests reach the protected handler without a guard, %d past a simple check, %d ordinary ones what is public: the matrix proves nothing",
				part, total.ReachedWithoutGuard, naive[part], benign[part])
		}
		if total.Bypasses != 0 || total.FalseRefusals != 0 {
			t.Errorf("%s: %+v", part, total)
		}
		t.Logf("%s: %+v; %d past a simple check; %d ordinary requests to what is public", part, total, naive[part], benign[part])
	}
	var table bytes.Buffer
	if err := write(&table, rows); err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		if !strings.Contains(table.String(), "\n"+s.setup+" ") {
			t.Errorf("the table lacks %s", s.setup)
		}
	}
}
