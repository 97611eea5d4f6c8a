package csp

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/clerkauth/clerkauth/internal/hint"
)

// elements are the directives for elements alone, by the general one that they replace.
var elements = map[string]string{"script-src-elem": "script-src", "style-src-elem": "style-src"}

// fetch are the fetch directives (CSP Level 3, section 6.1).
var fetch = []string{
	"child-src", "connect-src", "default-src", "font-src", "frame-src", "img-src", "manifest-src", "media-src", "object-src",
	"script-src", "script-src-attr", "script-src-elem", "style-src", "style-src-attr", "style-src-elem", "worker-src",
}

// others are the directives that are not fetch directives, and whether they need a value.
var others = map[string]bool{
	"base-uri": true, "form-action": true, "frame-ancestors": true, "report-uri": true, "require-trusted-types-for": true,
	"sandbox": false, "trusted-types": false, "upgrade-insecure-requests": false,
}

// standIns returns the directives that apply where a policy does not have the one of
// that name, in the order in which browsers look (CSP Level 3, section 6.8.3).
func standIns(name string) []string {
	switch {
	case name == "default-src" || !slices.Contains(fetch, name):
		return nil
	case name == "worker-src":
		return []string{"child-src", "script-src", "default-src"}
	case name == "frame-src":
		return []string{"child-src", "default-src"}
	case strings.HasPrefix(name, "script-src-"):
		return []string{"script-src", "default-src"}
	case strings.HasPrefix(name, "style-src-"):
		return []string{"style-src", "default-src"}
	}
	return []string{"default-src"}
}

// keywords are what a source list may contain in quotation marks.
var keywords = []string{
	"none", "self", "strict-dynamic", "unsafe-inline", "unsafe-eval", "unsafe-hashes", "wasm-unsafe-eval", "report-sample",
	"inline-speculation-rules",
}

// normalize returns values with keywords in lower case and quotation marks.
func normalize(values []string) []string {
	normal := slices.Clone(values)
	for i, value := range values {
		if word := strings.ToLower(strings.Trim(value, "'")); slices.Contains(keywords, word) {
			normal[i] = "'" + word + "'"
		}
	}
	return normal
}

// None reports whether values allow nothing.
func None(values []string) bool { return slices.Equal(normalize(values), []string{none}) }

// Check returns everything that is wrong with a directive of that name with values.
func Check(name string, values []string) []error {
	needsValue, known := others[name]
	switch {
	case name == reportTo:
		return []error{errors.New("set ReportTo instead")}
	case slices.Contains(fetch, name):
		needsValue = true
	case !known:
		return []error{errors.New("there is no such directive; names are in lower case")}
	}
	var wrong []error
	if needsValue && len(values) == 0 {
		wrong = append(wrong, errors.New("it has no value: write 'none' to allow nothing"))
	}
	if name == "upgrade-insecure-requests" && len(values) > 0 {
		wrong = append(wrong, errors.New("it takes no value"))
	}
	for _, value := range values {
		if err := CheckValue(value); err != nil {
			wrong = append(wrong, fmt.Errorf("value %s: %w", hint.Quote(value), err))
		}
	}
	if len(values) > 1 && slices.Contains(normalize(values), none) {
		wrong = append(wrong, errors.New("'none' stands alone"))
	}
	return wrong
}

// quoted matches values without quotation marks, or with one at each end.
var quoted = regexp.MustCompile(`\A([^']+|'[^']+')\z`)

// CheckValue returns an error if value would end its directive or its policy, or would
// be more than one value.
func CheckValue(value string) error {
	switch {
	case value == "":
		return errors.New("it is empty")
	case strings.ContainsAny(value, ";,"):
		return errors.New("a semicolon or comma in it would begin something new: percent-encode it in a URL")
	case strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return errors.New("it must be ASCII without spaces and line breaks: write each value by itself")
	case !quoted.MatchString(value):
		return errors.New("its quotation marks are not those of a keyword")
	case len(value) > 6 && strings.EqualFold(value[:7], "'nonce-"):
		return errors.New("a nonce must be another one in each response: set Strict")
	}
	return nil
}

// CheckReportTo returns an error unless reports can be sent to s: an absolute https URL,
// or a path on the same server.
func CheckReportTo(s string) error {
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '"' || r == '\\' }) {
		return errors.New("it must be ASCII without spaces, line breaks, quotation marks and backslashes")
	}
	u, err := url.Parse(s)
	path := err == nil && u.Scheme == "" && u.Host == "" && strings.HasPrefix(u.Path, "/") && !strings.HasPrefix(s, "//")
	if err != nil || !path && (u.Scheme != "https" || u.Host == "" || u.User != nil) {
		return hint.Error("it must be an absolute https URL without credentials, or a path", s, "")
	}
	return nil
}
