package main

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/clerkauth/clerkauth"
)

// matcherCase is a case of createRouteMatcher.
type matcherCase struct {
	Patterns []json.RawMessage `json:"patterns"` // strings, or regular expressions as objects
	Pathname string            `json:"pathname"` // as a browser puts it on the wire
	RawPath  *string           `json:"rawPath"`  // given to the matcher as it is
}

// matched is our answer to such a case.
type matched struct {
	File    string `json:"file"`
	ID      string `json:"id"`
	Any     bool   `json:"any"`
	All     bool   `json:"all"`
	Refused bool   `json:"refused"`

	rule string // why we may answer otherwise than the SDK
}

// The rules by which our answers differ. Each names a property of the input.
const (
	ruleNoExpressions = "no-regular-expressions" // a regular expression has no reading of its own: write patterns
	ruleGrammar       = "pattern-grammar"        // what is no pattern, or an ambiguous one, is an error at construction
	ruleEmptyMatcher  = "empty-matcher"          // a guard that matches nothing guards nothing
	ruleStrictTarget  = "strict-target"          // net/http refuses the target, or it is no text
	ruleAnyReading    = "any-reading"            // an odd path is matched in every way that it can be read, and always if it cannot
)

func openMatcher(f corpusFile) func(json.RawMessage) (decision, error) {
	return func(raw json.RawMessage) (decision, error) {
		var head caseHead
		var c matcherCase
		if err := json.Unmarshal(raw, &head); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(raw, &c); err != nil {
			return nil, err
		}
		return c.decide(&matched{File: f.Name, ID: head.ID}), nil
	}
}

func (c *matcherCase) decide(d *matched) *matched {
	refuse := func(rule string) *matched {
		d.Refused, d.rule = true, rule
		return d
	}
	patterns := make([]string, len(c.Patterns))
	for i, p := range c.Patterns {
		if json.Unmarshal(p, &patterns[i]) != nil {
			return refuse(ruleNoExpressions)
		}
	}
	if len(patterns) == 0 {
		return refuse(ruleEmptyMatcher)
	}
	m, err := clerkauth.NewMatcher(patterns...)
	if err != nil {
		return refuse(ruleGrammar)
	}
	target := c.Pathname
	if c.RawPath != nil {
		target = *c.RawPath
	}
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + target + " HTTP/1.1\r\nHost: app.example.com\r\n\r\n")))
	if err != nil || r.RequestURI != target || !utf8.ValidString(r.URL.Path) {
		return refuse(ruleStrictTarget)
	}
	d.Any, d.All = m.Any(r), m.All(r)
	if r.URL.Path != target || strings.Trim(target, plainPath) != "" || strings.Contains(target, "//") {
		d.rule = ruleAnyReading
	}
	return d
}

// plainPath holds the characters of paths that can be read in one way.
const plainPath = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_/"

// compare judges whether the path is matched: a refusal is stricter than either
// answer, and a match, which guards, stricter than none.
func (d *matched) compare(expect json.RawMessage) (verdict, error) {
	var theirs any
	if err := json.Unmarshal(expect, &theirs); err != nil {
		return verdict{}, err
	}
	sdk, known := theirs.(bool)
	if d.Refused != known && (d.Refused || d.Any == sdk) {
		return verdict{class: agree}, nil
	}
	v := verdict{rule: d.rule, detail: "sdk " + string(expect)}
	switch {
	case !known || !d.Refused && !d.Any:
		v.class = laxer // it throws and we go on, or it guards and we do not
	case d.rule == "":
		v.class = unexplained
	default:
		v.class = stricter
	}
	return v, nil
}
