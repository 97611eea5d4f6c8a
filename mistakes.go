package clerkauth

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// mistakes collects what is wrong with a configuration.
type mistakes []error

// add notes that field is wrong.
func (m *mistakes) add(field string, err error) {
	if err != nil {
		*m = append(*m, fmt.Errorf("%s: %w", field, err))
	}
}

// variablePattern is the beginning of a line of a .env file.
var variablePattern = regexp.MustCompile(`\A(export[ \t]+)?[A-Z][A-Z0-9_]+[ \t]*=`)

// quotationMarks are those of shells, files of variables, and word processors.
const quotationMarks = "\"'`\u201c\u201d\u2018\u2019\u201e\u00ab\u00bb"

// copied returns what a value has got, or lost, on its way from where it was copied,
// and what to do about it; "" if nothing is seen. It quotes nothing of the value.
func copied(value string) string {
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
	case variablePattern.MatchString(value):
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

// explained returns an error of that text, and what copied says of the value or,
// where that is nothing, otherwise.
func explained(text, value, otherwise string) error {
	if why := copied(value); why != "" {
		otherwise = why
	}
	if otherwise == "" {
		return errors.New(text)
	}
	return errors.New(text + ": " + otherwise)
}

// secretPattern is what a value looks like that may be a secret, wherever it stands.
var secretPattern = regexp.MustCompile(`(?i)(sk|ak|mt|oat)_|whsec_|live_|test_|----|@|bearer|eyJ`)

// maySecret reports whether a value may be a secret that stands in the wrong place.
func maySecret(value string) bool {
	return len(value) > 100 || secretPattern.MatchString(value) || strings.ContainsFunc(value, unicode.IsControl)
}

const notShown = "(not shown)"

// shown returns a configured value quoted, for a message, unless it may be a secret.
func shown(value string) string {
	if maySecret(value) {
		return notShown
	}
	return strconv.Quote(value)
}

// masked returns list with what may be a secret replaced.
func masked(list []string) []string {
	list = slices.Clone(list)
	for i, value := range list {
		if maySecret(value) {
			list[i] = notShown
		}
	}
	return list
}

// originHint returns what to do about a value that is not an origin, behind a colon;
// "" if nothing is known about it.
func originHint(s string) string {
	fields := strings.FieldsFunc(s, func(c rune) bool { return c == ' ' || c == ',' || c == ';' || c == '\n' || c == '\t' })
	host, _, _ := strings.Cut(s, "/")
	switch {
	case strings.ContainsAny(s, "[]{}") && strings.ContainsAny(s, "\"'"), strings.HasPrefix(s, "[") && !strings.HasPrefix(s, "[:"):
		return ": it is JSON; write the origins alone, separated by commas"
	case len(fields) > 1:
		return ": it holds several; separate origins by commas, without anything else, or list them one by one"
	case copied(s) != "":
		return ": " + copied(s)
	case maySecret(s):
		return ": it looks like a key"
	case s == "*":
		return ": there are no wildcards; list each origin"
	case s == "null":
		return ": null is the origin of pages that nobody answers for"
	case validHost(strings.ToLower(host)):
		return fmt.Sprintf(": use %q", schemeFor(host)+"://"+strings.ToLower(host))
	case strings.Contains(s, "*"):
		return ": there are no wildcards; list each origin"
	}
	return ""
}

// schemeFor returns the scheme that pages of a host most likely have.
func schemeFor(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	if loopback(host) || strings.HasSuffix(host, ".localhost") {
		return "http"
	}
	return "https"
}

// parseBaseURL reads an absolute URL without query, fragment or credentials. It
// must be https, except on loopback, where nobody listens in, or where nothing
// is sent to it (anyScheme: it is only compared).
func parseBaseURL(s string, anyScheme bool) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, explained("it is not a URL", s, urlHint(s))
	case u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, explained("it must be an absolute https URL", s, urlHint(s))
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return nil, errors.New("it must be a URL without credentials, query and fragment")
	case u.Scheme == "http" && !anyScheme && !loopback(u.Hostname()):
		return nil, errors.New("it must be https, or a loopback address")
	}
	return u, nil
}

// urlHint returns what to do about a value that is no URL because it has no scheme.
func urlHint(s string) string {
	host, _, _ := strings.Cut(s, "/")
	if !validHost(strings.ToLower(host)) || maySecret(s) {
		return ""
	}
	return fmt.Sprintf("write it with its scheme, such as %q", schemeFor(host)+"://"+host)
}

// parseBackendURL reads the URL of the Backend API, whose version is ours to add.
func parseBackendURL(s string) (*url.URL, error) {
	u, err := parseBaseURL(s, false)
	if err != nil {
		return nil, err
	}
	path := strings.TrimRight(u.Path, "/")
	if len(path) >= 3 && strings.EqualFold(path[len(path)-3:], "/v1") {
		return nil, fmt.Errorf("it must not end in /v1, which is added to it: use %s", shown(u.Scheme+"://"+u.Host+strings.TrimRight(path[:len(path)-3], "/")))
	}
	return u, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
