// Pathmatrix sends paths, written in every odd way, to real servers behind real
// routers, and counts which of them reach a handler that is protected: without a
// guard, and with each of ours. It prints a table and, last, one line of JSON,
// and exits 1 if a guard was passed or was in the way.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"slices"
)

func main() {
	rows, err := matrix("http/1.1", "h2c")
	if err != nil {
		log.Fatal(err)
	}
	if err := write(os.Stdout, rows); err != nil {
		log.Fatal(err)
	}
	for _, finding := range findings(rows) {
		fmt.Println(finding)
	}
	total := sum(rows)
	line, err := json.Marshal(total)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(line))
	if total.Bypasses > 0 || total.FalseRefusals > 0 {
		os.Exit(1)
	}
}

// findings are what guards must not do.
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
