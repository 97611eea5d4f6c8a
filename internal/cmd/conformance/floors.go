package main

import (
	"fmt"
	"strings"
)

// floor is the share of a part of the corpus that must agree, whatever rules explain the
// rest: a library that rejects everything is stricter, but useless.
type floor struct {
	file, part string
	groups     []string // prefixes; nil: all that no other floor of the file covers
	alike      float64  // the minimum share of cases that agree or are the same refusal
	granted    float64  // the minimum share, of cases that the SDK grants, that we grant as well
}

// floors are a few percent below the shares of the corpus under testdata, because other
// samples of the same groups are replayed, too.
var floors = []floor{
	{"authenticate.json", "sessions", []string{"header.", "config", "claims."}, 0.82, 0.7},
	{"authenticate.json", "cookies", []string{"cookie.", "cross-origin", "fetch-dest", "primary.", "redirect-loop"}, 0.94, 0.85},
	{"authenticate.json", "handshakes", []string{"handshake."}, 0.74, 0.6},
	{"authenticate.json", "refreshing", []string{"refresh"}, 0.76, 0.6},
	{"authenticate.json", "domains", []string{"satellite.", "orgsync"}, 0.93, 0.85},
	{"authenticate.json", "machine kinds", []string{"machine.accepts"}, 0.8, 0.7},
	{"authenticate.json", "machine answers", []string{"machine.bapi"}, 0.7, 0.4},
	{"authenticate.json", "machine tokens", []string{"machine.jwt"}, 0.8, 0.7},
	{"authenticate.json", "machine audiences", []string{"machine.audience"}, 0.8, 0.8},
	{"authenticate.json", "others", nil, 0.2, 0.1},
	{"has.json", "all", nil, 0.96, 0.8},
	{"matcher.json", "all", nil, 0.6, 0.75},
	{"webhook.json", "all", nil, 0.75, 0.5},
}

// leastCases is the number of cases below which the shares of a part mean nothing.
const leastCases = 10

// floorKey returns the key of the floor that covers a group.
func floorKey(file, group string) string {
	for _, f := range floors {
		if f.file != file {
			continue
		}
		if len(f.groups) == 0 {
			return file + " " + f.part
		}
		for _, prefix := range f.groups {
			if strings.HasPrefix(group, prefix) {
				return file + " " + f.part
			}
		}
	}
	return file
}

// granted counts the cases that the SDK grants, and those of them that we grant as well.
type granted struct{ theirs, ours int }

// holdToFloors adds a line for each part that does not reach its floor.
func (r *report) holdToFloors() {
	for _, f := range floors {
		key := f.file + " " + f.part
		total, grants := tally{}, r.grants[key]
		if r.parts[key] != nil {
			total = *r.parts[key]
		}
		cases := 0
		for _, n := range total {
			cases += n
		}
		if cases >= leastCases && float64(total[agree]+total[sameRefusal]) < f.alike*float64(cases) {
			r.bad = append(r.bad, fmt.Sprintf("below floor %s: %d of %d are alike, want %.0f %%",
				key, total[agree]+total[sameRefusal], cases, 100*f.alike))
		}
		if grants.theirs >= leastCases && float64(grants.ours) < f.granted*float64(grants.theirs) {
			r.bad = append(r.bad, fmt.Sprintf("below floor %s: %d of %d are granted as well, want %.0f %%",
				key, grants.ours, grants.theirs, 100*f.granted))
		}
	}
}
