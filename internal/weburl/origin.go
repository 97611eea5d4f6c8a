package weburl

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/clerkauth/clerkauth/internal/hint"
)

var schemePattern = regexp.MustCompile(`\A[a-z][a-z0-9+.-]*\z`)

// CheckOrigin returns an error unless s is an origin as browsers serialize it (RFC
// 6454 section 6.2). Origins are compared byte for byte, so that any other spelling
// would equal no azp claim, and a pattern would promise what no comparison does.
func CheckOrigin(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || !schemePattern.MatchString(u.Scheme) || strings.ContainsAny(s, ",;") {
		return fmt.Errorf("it is not an origin such as https://app.example.com%s", originHint(s))
	}
	if want := u.Scheme + "://" + strings.ToLower(u.Host); strings.EqualFold(s, want) && s != want {
		return fmt.Errorf("an origin is lower-case: use %s", hint.Quote(want))
	} else if s != want {
		return fmt.Errorf("an origin has no path, query or credentials: use %s", hint.Quote(want))
	}
	host, port, err := net.SplitHostPort(u.Host)
	if err != nil {
		host, port = u.Host, ""
	}
	switch {
	case !ValidHost(u.Host):
		return errHost
	case port != "" && !validPort(port):
		return errors.New("its port must be a number from 1 to 65535, without a zero in front")
	case strings.HasSuffix(u.Host, ":"), u.Scheme == "https" && port == "443", u.Scheme == "http" && port == "80":
		return fmt.Errorf("an origin leaves out its scheme's own port: use %s", hint.Quote(u.Scheme+"://"+host))
	}
	return nil
}

// originHint returns what to do about a value that is not an origin, after a colon, or
// "" if nothing is known about it.
func originHint(s string) string {
	fields := strings.FieldsFunc(s, func(c rune) bool { return c == ' ' || c == ',' || c == ';' || c == '\n' || c == '\t' })
	host, _, _ := strings.Cut(s, "/")
	switch {
	case strings.ContainsAny(s, "[]{}") && strings.ContainsAny(s, "\"'"), strings.HasPrefix(s, "[") && !strings.HasPrefix(s, "[:"):
		return ": it is JSON; write the origins alone, separated by commas"
	case len(fields) > 1:
		return ": it holds several; separate origins by commas, without anything else, or list them one by one"
	case hint.Of(s) != "":
		return ": " + hint.Of(s)
	case hint.Secret(s):
		return ": it looks like a key"
	case s == "*":
		return ": there are no wildcards; list each origin"
	case s == "null":
		return ": null is the origin of pages that nobody answers for"
	case ValidHost(strings.ToLower(host)):
		return fmt.Sprintf(": use %q", likelyScheme(host)+"://"+strings.ToLower(host))
	case strings.Contains(s, "*"):
		return ": there are no wildcards; list each origin"
	}
	return ""
}

// Web returns those of the given origins whose scheme is https or http: the origins of
// web pages, as opposed to those of native apps.
func Web(origins []string) []string {
	var web []string
	for _, origin := range origins {
		if strings.HasPrefix(origin, "https://") || strings.HasPrefix(origin, "http://") {
			web = append(web, origin)
		}
	}
	return web
}

// Host returns the host of an origin, with its port if it has one, or "" for "".
func Host(origin string) string {
	_, host, _ := strings.Cut(origin, "://")
	return host
}

// Origins returns the origins of the given absolute URLs, each once. What is not a URL is
// left out.
func Origins(urls []string) []string {
	var origins []string
	for _, s := range urls {
		if u, err := url.Parse(s); err == nil {
			if origin := u.Scheme + "://" + u.Host; !slices.Contains(origins, origin) {
				origins = append(origins, origin)
			}
		}
	}
	return origins
}
