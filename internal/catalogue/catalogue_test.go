// Package catalogue holds the tests of the whole: the catalogue of attacks and bad inputs
// that README.md lists, what becomes of servers when keys and the Backend API misbehave,
// leaks of secrets, and models that random requests are compared with.
package catalogue

import (
	"cmp"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rows are the rows of the catalogue by number and attack: "245/host_with_more_than_a_port".
type rows map[string]func(*testing.T)

// allRows are the rows that files have added by addRows.
var allRows = rows{}

// addRows adds a file's rows to the catalogue: var _ = addRows(rows{…}).
func addRows(part rows) bool {
	for name, row := range part {
		if allRows[name] != nil {
			panic("row " + name + " stands in two files")
		}
		allRows[name] = row
	}
	return true
}

// number returns the number in a row's name.
func number(name string) int {
	n, err := strconv.Atoi(name[:max(0, strings.IndexByte(name, '/'))])
	if err != nil {
		panic("row " + name + " has no number")
	}
	return n
}

// TestCatalogue asserts the numbered catalogue of attacks and bad inputs, one
// subtest for each row: row=245/host_with_more_than_a_port.
func TestCatalogue(t *testing.T) {
	names := make([]string, 0, len(allRows))
	for name := range allRows {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(number(a), number(b)), cmp.Compare(a, b)) })
	for _, name := range names {
		t.Run("row="+name, allRows[name])
	}
}

// TestPageNamesTheRows: the covered rows of README.md are those of the tests, by
// number and attack. An attack with a directory behind its name is asserted there
// alone.
func TestPageNamesTheRows(t *testing.T) {
	read := func(file string) string {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	page, notCovered, _ := strings.Cut(read("README.md"), "\n## Measured\n")
	row := regexp.MustCompile(`(?m)^\| (\d+) \| (.*?) \|`)
	attack := regexp.MustCompile("`(\\w+)`(?: in `([a-z0-9/]+)`)?")
	onPage, elsewhere := map[string]bool{}, map[string]string{}
	for _, r := range row.FindAllStringSubmatch(page, -1) {
		attacks := attack.FindAllStringSubmatch(r[2], -1)
		if attacks == nil {
			t.Errorf("row %s names no attack: %s", r[1], r[2])
		}
		for _, a := range attacks {
			name := r[1] + "/" + a[1]
			if onPage[name] {
				t.Errorf("row %s stands on the page twice", name)
			}
			if onPage[name] = true; a[2] != "" {
				elsewhere[name] = a[2]
			}
			if (a[2] == "") != (allRows[name] != nil) {
				t.Errorf("row %s: asserted here: %v; by the page: in %q", name, allRows[name] != nil, a[2])
			}
		}
	}
	for name := range allRows {
		if !onPage[name] {
			t.Errorf("row %s is not on the page", name)
		}
	}
	for _, r := range row.FindAllStringSubmatch(notCovered, -1) {
		for name := range allRows {
			if strings.HasPrefix(name, r[1]+"/") {
				t.Errorf("row %s is covered, and the page does not mark it as covered", name)
			}
		}
	}
	for _, dir := range []string{"adapters/fiber", "adapters/fiberv2", "internal/route"} {
		in := map[string]bool{}
		for _, r := range regexp.MustCompile(`"(?:row=)?(\d+/\w+)"`).FindAllStringSubmatch(read(path.Join("../..", dir, "catalogue_test.go")), -1) {
			if in[r[1]] = true; !onPage[r[1]] {
				t.Errorf("row %s of %s is not on the page", r[1], dir)
			}
		}
		for name, where := range elsewhere {
			if where == dir && !in[name] {
				t.Errorf("row %s is not in %s", name, dir)
			}
		}
	}
}
