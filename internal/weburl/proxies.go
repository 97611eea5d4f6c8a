package weburl

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// CheckProxy returns an error unless addresses in p can be those of trusted proxies.
func CheckProxy(p netip.Prefix) error {
	switch {
	case !p.IsValid():
		return errors.New("it is the zero value or invalid: use netip.MustParsePrefix")
	case p.Bits() == 0:
		return errors.New("it is every address, so that every client would be trusted: list the addresses of the proxies, or set PublicOrigin instead")
	case p.Addr().Is4In6():
		return errors.New("it is an IPv4 prefix in IPv6 notation: use the IPv4 notation, which covers both")
	case p != p.Masked():
		return fmt.Errorf("it has an address and a shorter prefix: use %s for all of it, or %s for the one address",
			p.Masked(), netip.PrefixFrom(p.Addr(), p.Addr().BitLen()))
	}
	return nil
}

// Proxies are the addresses of the proxies whose forwarded headers count. The zero value
// trusts none. It does not change, and is safe for concurrent use.
type Proxies []netip.Prefix

// Requested reports whether the client requested r over TLS, and returns the host that it
// requested. They are those of r itself, or what the proxy that sent r says of them if it
// is trusted.
//
// Of each header the last entry of the last line counts, which the nearest proxy wrote: a
// client can write any of those before it. An entry that is malformed, or a scheme that is
// neither http nor https, is as good as none, and so is what came with a malformed host.
// X-Forwarded-Port is ignored, because many proxies write the port that they listen on
// behind another one. Because a proxy that writes one of X-Forwarded-* and
// Forwarded (RFC 7239) may pass on what a client wrote into the other, neither counts where
// they differ.
func (p Proxies) Requested(r *http.Request) (tls bool, host string) {
	own := requested{r.TLS != nil, r.Host}
	if !p.trust(r.RemoteAddr) {
		return own.tls, own.host
	}
	proto, name := last(r, "X-Forwarded-Proto"), last(r, "X-Forwarded-Host")
	byX, x := own.with(proto, name), proto+name != ""
	element, ok := lastElement(r.Header["Forwarded"])
	proto, name = element["proto"], element["host"]
	byRFC, f := own.with(proto, name), !ok || proto+name != ""
	switch {
	case x && f && byX != byRFC:
		return own.tls, own.host
	case x:
		return byX.tls, byX.host
	default:
		return byRFC.tls, byRFC.host
	}
}

// trust reports whether peer, the RemoteAddr of a request, is the address of a trusted
// proxy. It must have a port, as net/http sets it: middleware that replaces it by an
// address from a header, which anyone can write, leaves the port out as a rule.
func (p Proxies) trust(peer string) bool {
	if len(p) == 0 {
		return false
	}
	at, err := netip.ParseAddrPort(peer)
	if err != nil {
		return false
	}
	return p.holds(plain(at.Addr()))
}

// holds reports whether addr is the address of a trusted proxy.
func (p Proxies) holds(addr netip.Addr) bool {
	return slices.ContainsFunc(p, func(prefix netip.Prefix) bool { return prefix.Contains(addr) })
}

// requested is what a client requested: with TLS or without, and of which host.
type requested struct {
	tls  bool
	host string
}

// with returns q, changed to those of proto and host that are there, or q if the host is
// malformed. The host it returns is in lower case.
func (q requested) with(proto, host string) requested {
	unchanged := requested{q.tls, strings.ToLower(q.host)}
	switch strings.ToLower(proto) {
	case "https":
		q.tls = true
	case "http":
		q.tls = false
	}
	q.host = unchanged.host
	if host == "" {
		return q
	}
	host = strings.ToLower(host)
	_, itsPort, err := net.SplitHostPort(host)
	hasPort := err == nil
	if len(host) > maxHost || !ValidHost(host) || hasPort && !validPort(itsPort) {
		return unchanged
	}
	own := "80"
	if q.tls {
		own = "443"
	}
	if itsPort == own { // an origin leaves it out
		host = strings.TrimSuffix(host, ":"+own)
	}
	q.host = host
	return q
}

// maxHost is the length in bytes of the longest domain name with a port.
const maxHost = 253 + len(":65535")

// last returns the last entry of the last line of a header whose entries are separated by
// commas.
func last(r *http.Request, name string) string {
	lines := r.Header[name]
	if len(lines) == 0 {
		return ""
	}
	line := lines[len(lines)-1]
	return strings.Trim(line[strings.LastIndexByte(line, ',')+1:], " \t")
}

// pairPattern matches a forwarded-pair of RFC 7239 section 4, or none, and what ends it.
// Neither a scheme nor a host needs the escapes of a quoted string.
var pairPattern = regexp.MustCompile("\\A[ \t]*(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)|\"([^\"\\\\]*)\"))?[ \t]*([;,]|\\z)")

// lastElement returns the parameters of the last element of the last of these Forwarded
// lines, by their names in lower case. It reports false if any of the line is malformed: it
// is then unknown where the last element begins.
func lastElement(lines []string) (element map[string]string, ok bool) {
	if len(lines) == 0 {
		return nil, true
	}
	element = map[string]string{}
	for line := lines[len(lines)-1]; ; {
		pair := pairPattern.FindStringSubmatch(line)
		if pair == nil {
			return nil, false
		}
		if name := strings.ToLower(pair[1]); name != "" {
			if _, twice := element[name]; twice {
				return nil, false
			}
			element[name] = pair[2] + pair[3]
		}
		switch pair[4] {
		case "":
			return element, true
		case ",":
			clear(element)
		}
		line = line[len(pair[0]):]
	}
}
