package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// tally counts verdicts by class.
type tally [classes]int

func (t tally) String() string {
	parts := make([]string, classes)
	for c := range t {
		parts[c] = fmt.Sprintf("%s %d", class(c), t[c])
	}
	return strings.Join(parts, ", ")
}

// report is the result of comparing a folder.
type report struct {
	files, groups map[string]*tally
	rules         map[string]*tally // by rule
	parts         map[string]*tally // by floor
	grants        map[string]granted
	needless      []string // cases for which a rule was named although we agree
	bad           []string // lines about laxer and unexplained cases, and missed floors
}

func newReport() *report {
	return &report{
		files: map[string]*tally{}, groups: map[string]*tally{}, rules: map[string]*tally{},
		parts: map[string]*tally{}, grants: map[string]granted{},
	}
}

func count(m map[string]*tally, key string, c class) {
	if m[key] == nil {
		m[key] = &tally{}
	}
	m[key][c]++
}

func (r *report) add(file string, head caseHead, v verdict) {
	count(r.files, file, v.class)
	count(r.groups, head.Group, v.class)
	if v.rule != "" {
		count(r.rules, v.rule, v.class)
	}
	key := floorKey(file, head.Group)
	count(r.parts, key, v.class)
	if v.grants {
		g := r.grants[key]
		g.theirs++
		if v.asWell {
			g.ours++
		}
		r.grants[key] = g
	}
	switch {
	case v.class == laxer || v.class == unexplained:
		r.bad = append(r.bad, fmt.Sprintf("%s %s: %s", v.class, head.ID, v.detail))
	case v.class == agree && v.rule != "":
		r.needless = append(r.needless, head.ID+" "+v.rule)
	}
}

func (r *report) total() tally {
	var sum tally
	for _, t := range r.files {
		for c := range t {
			sum[c] += t[c]
		}
	}
	return sum
}

func (r *report) print(w io.Writer) {
	section := func(title string, m map[string]*tally) {
		fmt.Fprintln(w, title)
		for _, name := range slices.Sorted(maps.Keys(m)) {
			fmt.Fprintf(w, "  %-24s %s\n", name, m[name])
		}
	}
	section("files", r.files)
	section("groups", r.groups)
	section("rules", r.rules)
	fmt.Fprintln(w, "granted by the SDK, and by us")
	for _, name := range slices.Sorted(maps.Keys(r.grants)) {
		fmt.Fprintf(w, "  %-36s %d, %d\n", name, r.grants[name].theirs, r.grants[name].ours)
	}
	for _, line := range r.bad {
		fmt.Fprintln(w, line)
	}
}
