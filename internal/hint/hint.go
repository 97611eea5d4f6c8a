// Package hint explains, in errors about a configuration, what is likely wrong with a
// value and what to do about it. No error quotes what may be a secret.
package hint

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// assignment matches the beginning of a line of a .env file.
var assignment = regexp.MustCompile(`\A(export[ \t]+)?[A-Z][A-Z0-9_]+[ \t]*=`)

// quotationMarks are those of shells, .env files, and word processors.
const quotationMarks = "\"'`\u201c\u201d\u2018\u2019\u201e\u00ab\u00bb"

// Of returns what was likely added to or lost from value when it was copied, and what
// to do about it, or "" if nothing is found. It quotes no part of value.
func Of(value string) string {
	if value == "" {
		return "it is empty"
	}
	trimmed := strings.TrimSpace(value)
	inner := strings.Trim(trimmed, quotationMarks)
	switch {
	case trimmed == "":
		return "it is blank"
	case strings.TrimLeft(trimmed, quotationMarks) != trimmed:
		return "it begins with a quotation mark: write it without quotes"
	case inner != trimmed:
		return "it ends with a quotation mark: write it without quotes"
	case strings.TrimRight(value, "\r\n") != value, strings.HasSuffix(value, `\n`):
		return "it ends in a line break: remove that"
	case strings.TrimSpace(value) != value:
		return "it begins or ends with a space or line break: remove that"
	case strings.HasPrefix(value, "\ufeff"):
		return "it begins with a byte order mark: save the file without one"
	case assignment.MatchString(value):
		return "it begins with a variable's name: write what stands behind the equals sign"
	case len(value) > 6 && strings.EqualFold(value[:7], "bearer "):
		return "it begins with Bearer: write the key alone"
	case strings.Contains(value, "${"), strings.HasPrefix(value, "$"), strings.Contains(value, "{{"):
		return "it is the name of a variable that nothing was filled in for"
	case strings.Contains(value, "..."), strings.Contains(value, "\u2026"), strings.ContainsAny(value, "<>"), strings.Contains(value, "***"):
		return "it is a placeholder or cut short: copy it again, all of it"
	}
	return ""
}

// Error returns an error of the given text, followed by what Of finds in value. If Of
// finds nothing, otherwise follows instead, unless it is "".
func Error(text, value, otherwise string) error {
	if found := Of(value); found != "" {
		otherwise = found
	}
	if otherwise == "" {
		return errors.New(text)
	}
	return errors.New(text + ": " + otherwise)
}

// secretPattern matches values that may be secrets, whatever field they are in.
var secretPattern = regexp.MustCompile(`(?i)(sk|ak|mt|oat)_|whsec_|live_|test_|----|@|bearer|eyJ`)

// Secret reports whether value may be a secret that was put into the wrong field.
func Secret(value string) bool {
	return len(value) > 100 || secretPattern.MatchString(value) || strings.ContainsFunc(value, unicode.IsControl)
}

const notShown = "(not shown)"

// Quote returns value quoted, or "(not shown)" if it may be a secret.
func Quote(value string) string {
	if Secret(value) {
		return notShown
	}
	return strconv.Quote(value)
}

// Mask returns a copy of list in which values that may be secrets are replaced by
// "(not shown)".
func Mask(list []string) []string {
	list = slices.Clone(list)
	for i, value := range list {
		if Secret(value) {
			list[i] = notShown
		}
	}
	return list
}
