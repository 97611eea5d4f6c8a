package clerkauth_test

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rows are the rows of the catalogue by number and attack: "245/host_with_port".
type rows map[string]func(*testing.T)

// foundRows are the rows that files of the catalogue have added by addRows.
var foundRows = rows{}

// addRows adds a file's rows to the catalogue: var _ = addRows(rows{…}).
func addRows(part rows) bool {
	for name, row := range part {
		if foundRows[name] != nil {
			panic("row " + name + " stands in two files")
		}
		foundRows[name] = row
	}
	return true
}

// TestCatalogue holds the answers to a numbered catalogue of attacks and bad
// inputs, one subtest a row. Rows stand in the files of their subject.
func TestCatalogue(t *testing.T) {
	type entry struct {
		number int
		attack string
		test   func(*testing.T)
	}
	var all []entry
	for _, part := range []map[int]func(*testing.T){
		headerRows, compactRows, claimRows, pathRows, keyRows, transportRows, accessRows, resourceRows, webhookRows, machineRows,
	} {
		for n, row := range part {
			all = append(all, entry{number: n, test: row})
		}
	}
	for name, row := range foundRows {
		number, attack, ok := strings.Cut(name, "/")
		n, err := strconv.Atoi(number)
		if err != nil || !ok || attack == "" {
			t.Fatalf("row %q has no number and attack", name)
		}
		all = append(all, entry{n, attack, row})
	}
	slices.SortFunc(all, func(a, b entry) int { return cmp.Compare(a.number, b.number) })
	for i, e := range all {
		if i > 0 && all[i-1].number == e.number && (e.attack == "" || all[i-1].attack == "") {
			t.Errorf("row %d stands in two files", e.number)
		}
		t.Run(fmt.Sprintf("row=%d", e.number), func(t *testing.T) {
			if e.attack == "" {
				e.test(t)
			} else {
				t.Run(e.attack, e.test)
			}
		})
	}
}
