// Package weburl holds every check of a URL, an origin or a host that a configuration
// names, reads what proxies say about a request's URL, and builds the URLs that browsers
// and clients are sent to. Its functions are pure; errors say what to do about a value and
// quote nothing that may be a secret.
//
// How a request's path and host are read is the subject of package route.
package weburl

import (
	"errors"
	"net"
	"regexp"
	"strconv"
	"strings"
)

var namePattern = regexp.MustCompile(`\A[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*(:[0-9]{0,5})?\z`)

// ValidHost reports whether hostport is a plain lower-case host, with or without a
// port: nothing in it can be taken for another part of a URL.
func ValidHost(hostport string) bool {
	if namePattern.MatchString(hostport) {
		return true
	}
	rest, ok := strings.CutPrefix(hostport, "[")
	if !ok {
		return false
	}
	ip, port, ok := strings.Cut(rest, "]")
	return ok && net.ParseIP(ip) != nil && !strings.Contains(ip, "%") && (port == "" || namePattern.MatchString("h"+port))
}

var errHost = errors.New("its host must be lower-case ASCII (punycode for others), without a trailing dot or wildcard")

// frontendPattern matches a host name with at least one dot. Local instances have a
// port.
var frontendPattern = regexp.MustCompile(`\A[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)+(:[0-9]{1,5})?\z`)

// ValidFrontendHost reports whether hostport can be the host of a Frontend API, as a
// publishable key names it.
func ValidFrontendHost(hostport string) bool { return frontendPattern.MatchString(hostport) }

// validPort reports whether port is a number from 1 to 65535 as browsers write it.
func validPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0 && port[0] != '0'
}

// loopback reports whether host, without a port, is this machine.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// likelyScheme returns the scheme that pages of a host most likely have.
func likelyScheme(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	if loopback(host) || strings.HasSuffix(host, ".localhost") {
		return "http"
	}
	return "https"
}
