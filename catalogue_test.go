package clerkauth_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
)

// TestCatalogue holds the answers to a numbered catalogue of attacks and bad
// inputs, one subtest a row. Rows stand in the files of their subject.
func TestCatalogue(t *testing.T) {
	rows := map[int]func(*testing.T){}
	for _, part := range []map[int]func(*testing.T){
		headerRows, compactRows, claimRows, pathRows, keyRows, transportRows, accessRows, resourceRows, webhookRows, machineRows,
	} {
		for n, row := range part {
			if rows[n] != nil {
				t.Errorf("row %d stands in two files", n)
			}
			rows[n] = row
		}
	}
	for _, n := range slices.Sorted(maps.Keys(rows)) {
		t.Run(fmt.Sprintf("row=%d", n), rows[n])
	}
}
