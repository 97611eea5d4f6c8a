package weburl

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/clerkauth/clerkauth/internal/hint"
)

// ParseBase parses an absolute URL to which requests are sent. It has no query,
// fragment or credentials, and is https unless its host is a loopback address.
func ParseBase(s string) (*url.URL, error) {
	u, err := ParseIdentifier(s)
	if err == nil && u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, errors.New("it must be https, or a loopback address")
	}
	return u, err
}

// ParseIdentifier is like ParseBase for a URL that is compared or shown, while nothing
// is sent to it: http is accepted with any host.
func ParseIdentifier(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, hint.Error("it is not a URL", s, schemeHint(s))
	case u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, hint.Error("it must be an absolute https URL", s, schemeHint(s))
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return nil, errors.New("it must be a URL without credentials, query and fragment")
	}
	return u, nil
}

// schemeHint returns what to do about a value that lacks nothing but a scheme, or "".
func schemeHint(s string) string {
	host, _, _ := strings.Cut(s, "/")
	if !ValidHost(strings.ToLower(host)) || hint.Secret(s) {
		return ""
	}
	return fmt.Sprintf("write it with its scheme, such as %q", likelyScheme(host)+"://"+host)
}

// CheckIssuer returns an error unless s can be the iss claim of a token of Clerk's.
func CheckIssuer(s string) error {
	_, err := ParseIdentifier(s)
	if err == nil && strings.HasSuffix(s, "/") {
		err = errors.New("it must not end in a slash")
	}
	return err
}

// ParseBackend parses the URL of the Backend API, without the version that is added to
// its path.
func ParseBackend(s string) (*url.URL, error) {
	u, err := ParseBase(s)
	if err != nil {
		return nil, err
	}
	path := strings.TrimRight(u.Path, "/")
	if len(path) >= 3 && strings.EqualFold(path[len(path)-3:], "/v1") {
		return nil, fmt.Errorf("it must not end in /v1, which is added to it: use %s", hint.Quote(u.Scheme+"://"+u.Host+strings.TrimRight(path[:len(path)-3], "/")))
	}
	return u, nil
}

// Proxy is the URL of a Frontend API proxy.
type Proxy struct {
	URL   string // absolute, without a trailing slash
	HTTPS bool
}

// ParseProxy parses the URL of a Frontend API proxy. A path is completed by
// publicOrigin or, if that is "", by the one web origin among parties.
func ParseProxy(s, publicOrigin string, parties []string) (Proxy, error) {
	if strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "//") {
		origin, err := ownOrigin(publicOrigin, parties)
		if err != nil {
			return Proxy{}, err
		}
		s = origin + s
	}
	u, err := ParseBase(s)
	switch {
	case err != nil:
		return Proxy{}, err
	case !ValidHost(u.Host):
		return Proxy{}, errHost
	case u.JoinPath().Path != u.Path && u.Path != "":
		return Proxy{}, errors.New("its path must be clean: without . and .. and repeated slashes")
	}
	return Proxy{URL: strings.TrimRight(s, "/"), HTTPS: u.Scheme == "https"}, nil
}

// ownOrigin returns this server's origin as far as the configuration determines it.
func ownOrigin(publicOrigin string, parties []string) (string, error) {
	if publicOrigin != "" {
		return publicOrigin, CheckOrigin(publicOrigin)
	}
	web := Web(parties)
	if len(web) != 1 {
		return "", errors.New("it is a path, and nothing says of which origin: set Browser.PublicOrigin, or write an absolute https URL")
	}
	return web[0], nil
}

// plainPath matches paths that have one spelling only.
var plainPath = regexp.MustCompile(`\A(/[A-Za-z0-9._~-]+)*/?\z`)

// ParseResource parses the identifier of a protected resource (RFC 9728 section 1.2).
// Clients compare it, so that it has to be written in the one way that all of them do.
func ParseResource(s string) (*url.URL, error) {
	u, err := ParseBase(s)
	if err != nil {
		return nil, err
	}
	dots := strings.Contains(u.Path+"/", "/../") || strings.Contains(u.Path+"/", "/./")
	if u.String() != s || !ValidHost(strings.ToLower(u.Host)) || !plainPath.MatchString(u.EscapedPath()) || dots {
		return nil, errors.New("it must be written plainly: letters, digits and -._~ between single slashes, nothing after the path, and a host in ASCII")
	}
	return u, nil
}

// WellKnown returns the URL of the document that describes resource: its path is
// inserted between the host and the path of the resource (RFC 9728 section 3.1).
func WellKnown(path string, resource *url.URL) *url.URL {
	if resource.Path != "/" {
		path += resource.Path
	}
	return &url.URL{Scheme: resource.Scheme, Host: resource.Host, Path: path}
}

// SameResource reports whether two URLs identify one resource: whether they are equal
// but for a trailing slash.
func SameResource(a, b string) bool {
	return strings.TrimSuffix(a, "/") == strings.TrimSuffix(b, "/")
}
