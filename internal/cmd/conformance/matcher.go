package main

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// matcherCase is a case of createRouteMatcher.
type matcherCase struct {
	Patterns []json.RawMessage `json:"patterns"` // strings, or regular expressions as objects
	Pathname string            `json:"pathname"` // as a browser sends it
	RawPath  *string           `json:"rawPath"`  // passed to the matcher unchanged
}

// matched is our decision for such a case.
type matched struct {
	File    string `json:"file"`
	ID      string `json:"id"`
	Any     bool   `json:"any"`
	All     bool   `json:"all"`
	Refused bool   `json:"refused"`

	rule   string // the rule by which we may differ from the SDK
	opens  string // the rule by which All may hold where the SDK finds no match
	oneWay bool   // the path has one reading: All must equal Any
}

// The rules by which our decisions differ. Each names a property of the input.
const (
	ruleNoExpressions = "no-regular-expressions" // regular expressions are not patterns
	ruleGrammar       = "pattern-grammar"        // an invalid or ambiguous pattern is an error of the constructor
	ruleEmptyMatcher  = "empty-matcher"          // a guard that matches nothing guards nothing
	ruleStrictTarget  = "strict-target"          // net/http rejects the target, or it is not UTF-8
	ruleAnyReading    = "any-reading"            // a path is matched in each of its readings, and always matches if it has none
	ruleWholeTarget   = "whole-target"           // only the path of a target is matched, and wildcards match line separators, too
)

func openMatcher(p product, f corpusFile) func(json.RawMessage) (decision, error) {
	return func(raw json.RawMessage) (decision, error) {
		var head caseHead
		var c matcherCase
		if err := json.Unmarshal(raw, &head); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(raw, &c); err != nil {
			return nil, err
		}
		return c.decide(p, &matched{File: f.Name, ID: head.ID}), nil
	}
}

func (c *matcherCase) decide(p product, d *matched) *matched {
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
	anyOf, allOf, err := p.newMatcher(patterns)
	switch {
	case err != nil && len(patterns) == 0:
		return refuse(ruleEmptyMatcher)
	case err != nil && slices.ContainsFunc(patterns, unusual):
		return refuse(ruleGrammar)
	case err != nil:
		return refuse("")
	}
	target := c.Pathname
	if c.RawPath != nil {
		target = *c.RawPath
	}
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + target + " HTTP/1.1\r\nHost: app.example.com\r\n\r\n")))
	if err != nil || r.RequestURI != target || !utf8.ValidString(r.URL.Path) {
		return refuse(ruleStrictTarget)
	}
	d.Any, d.All = anyOf(r), allOf(r)
	irregular := r.URL.Path != target || strings.Trim(target, plainPath) != "" || strings.Contains(target, "//")
	if irregular && (unreadable(target) || slices.ContainsFunc(patterns, func(p string) bool { return near(p, target) })) {
		d.rule = ruleAnyReading
	}
	if r.URL.RawQuery != "" || r.URL.Host != "" || strings.ContainsAny(r.URL.Path, "\u2028\u2029") {
		d.opens = ruleWholeTarget
	}
	// All compares the case of letters.
	d.oneWay = !irregular && !strings.ContainsFunc(target+strings.Join(patterns, ""), unicode.IsUpper)
	return d
}

// decoded returns a target without any escapes.
func decoded(target string) string {
	for {
		next, err := url.PathUnescape(target)
		if err != nil || next == target {
			return target
		}
		target = next
	}
}

// unreadable reports whether a target has no path to read: it is *, too long, or has
// control characters.
func unreadable(target string) bool {
	return target == "*" || len(target) > 1<<10 || strings.ContainsFunc(decoded(target), unicode.IsControl)
}

// near reports whether a target contains the words that a pattern begins with, however
// they are encoded.
func near(pattern, target string) bool {
	literal, _, _ := strings.Cut(strings.ToLower(pattern), "(")
	literal, _, _ = strings.Cut(literal, ":")
	target = strings.ToLower(decoded(target))
	return !slices.ContainsFunc(strings.FieldsFunc(literal, func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) }),
		func(word string) bool { return !strings.Contains(target, word) })
}

// plainPath contains the characters of paths that have one reading.
const plainPath = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_/"

// usualPattern matches patterns that there is no reason to reject: names and parameters,
// one per segment, and a wildcard at the end.
var usualPattern = regexp.MustCompile(`\A(/([A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|:[A-Za-z_]+))*(/?\(\.\*\)|/:[A-Za-z_]+[?*+])?\z`)

// unusual reports whether we may reject a pattern for its form: it does not match
// usualPattern, is empty, or has two parameters of one name.
func unusual(pattern string) bool {
	names := parameter.FindAllString(pattern, -1)
	slices.Sort(names)
	return pattern == "" || !usualPattern.MatchString(pattern) || len(slices.Compact(names)) < strings.Count(pattern, ":")
}

var parameter = regexp.MustCompile(`:[A-Za-z_]+`)

// compare compares whether the path matches: a refusal is stricter than either result,
// and a match, which guards, is stricter than none. The SDK has no equivalent of All,
// which opens: it may hold only if Any holds and the SDK finds a match, and must hold
// like Any if the path has one reading.
func (d *matched) compare(expect json.RawMessage) (verdict, error) {
	var theirs any
	if err := json.Unmarshal(expect, &theirs); err != nil {
		return verdict{}, err
	}
	sdk, known := theirs.(bool)
	v := verdict{rule: d.rule, grants: sdk, asWell: sdk && d.Any, detail: "sdk " + string(expect)}
	switch {
	case d.All && !d.Any:
		v.class, v.detail = unexplained, "All holds and Any does not"
	case d.All && !sdk && d.opens == "":
		v.class, v.detail = laxer, "All holds: sdk "+string(expect)
	case d.oneWay && !d.Refused && d.All != d.Any:
		v.class, v.detail = unexplained, "All does not hold for a path with one reading"
	case d.Refused != known && (d.Refused || d.Any == sdk):
		return verdict{class: agree, grants: v.grants, asWell: v.asWell}, nil
	case !known || !d.Refused && !d.Any:
		v.class = laxer // the SDK throws or guards, and we do not
	case d.rule == "":
		v.class = unexplained
	default:
		v.class = stricter
	}
	return v, nil
}
