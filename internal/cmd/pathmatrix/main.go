// Pathmatrix sends unusual spellings of paths and hosts to real servers with real
// routers, and counts those that reach a protected handler, without a guard and with each
// of ours. It prints a table and, last, one line of JSON. It exits 1 if a guard was
// bypassed or refused an ordinary request, or if too few requests reached the handler
// without a guard.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"slices"
)

func main() {
	protocols := []string{"http/1.1", "h2c"}
	rows, err := matrix(scenes(), protocols...)
	if err != nil {
		log.Fatal(err)
	}
	if err := write(os.Stdout, rows); err != nil {
		log.Fatal(err)
	}
	found := findings(rows)
	for _, part := range parts {
		if total, floor := sum(rows, part), floors[part]*len(protocols); total.ReachedWithoutGuard < floor {
			found = append(found, fmt.Sprintf("%s: %d requests reach the protected handler without a guard, fewer than %d: too few for this test", part, total.ReachedWithoutGuard, floor))
		}
	}
	for _, finding := range found {
		fmt.Println(finding)
	}
	for _, part := range parts {
		fmt.Printf("%s: %+v\n", part, sum(rows, part))
	}
	line, err := json.Marshal(sum(rows, ""))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(line))
	if len(found) > 0 {
		os.Exit(1)
	}
}

// findings returns the failures of guards that are not naive.
func findings(rows []row) []string {
	var list []string
	for _, r := range rows {
		if !r.naive {
			list = append(list, r.findings...)
		}
	}
	slices.Sort(list)
	return list
}
