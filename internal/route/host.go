package route

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// A request names its host in r.Host, and also in r.URL.Host if its target is a URL.
// Programs read a host in different ways: some cut off its port, at the first or the last
// colon, and some do not; some compare its case and the dots at its end, and some do not. A
// rule that guards applies if any of these readings matches, and one that opens only if all
// do.
//
// Hosts that are not a name or an address with an optional port have still more readings,
// so they are refused where rules name hosts. Every reading of the others is the name, or
// the name with its port, in some spelling.

var (
	errHost  = &Refusal{"its Host is not a host"}
	errHosts = &Refusal{"its URL names another host than its Host"}
)

// hostName is a host in the spelling in which hosts are compared: a name in lower case
// without a dot at its end, or an address as netip writes it, in brackets if it is IPv6;
// and its port without leading zeros, or "".
type hostName struct{ name, port string }

func (h hostName) String() string {
	if h.port == "" {
		return h.name
	}
	return h.name + ":" + h.port
}

// parseHost parses a Host header or the host of a pattern. plain is whether it is spelled
// as hosts are compared, and ok whether it is a host.
func parseHost(s string) (h hostName, plain, ok bool) {
	var name, port string
	var colon bool
	switch end := strings.IndexByte(s, ']'); {
	case strings.HasPrefix(s, "["):
		if end < 0 {
			return h, false, false
		}
		if name, port = s[:end+1], s[end+1:]; port != "" {
			if colon = port[0] == ':'; !colon {
				return h, false, false
			}
			port = port[1:]
		}
	default:
		name, port, colon = strings.Cut(s, ":")
	}
	if strings.Trim(port, "0123456789") != "" {
		return h, false, false
	}
	if h.name, ok = parseName(name); !ok {
		return h, false, false
	}
	if h.port = strings.TrimLeft(port, "0"); h.port == "" && port != "" {
		h.port = "0"
	}
	return h, h.name == name && h.port == port && colon == (port != ""), true
}

// parseName returns the name or address of a host in the spelling in which it is compared.
func parseName(s string) (string, bool) {
	if strings.HasPrefix(s, "[") {
		ip, err := netip.ParseAddr(s[1 : len(s)-1])
		if err != nil || !ip.Is6() || ip.Zone() != "" {
			return "", false
		}
		var room [64]byte
		text := append(ip.AppendTo(append(room[:0], '[')), ']')
		if s == string(text) {
			return s, true // without allocating
		}
		return string(text), true
	}
	s = strings.TrimRight(s, ".")
	for label := range strings.SplitSeq(s, ".") {
		// A label whose Punycode encodes no character, or only ASCII (RFC 5891 section
		// 4.4), is another name to programs that decode it.
		if len(label) >= 4 && strings.EqualFold(label[:4], "xn--") && strings.HasSuffix(label, "-") {
			return "", false
		}
	}
	for i := range len(s) {
		switch c := s[i]; {
		case isAlphanumeric(c), c == '-', c == '_':
		case c == '.' && i > 0 && s[i-1] != '.':
		default:
			return "", false
		}
	}
	return lower(s), s != ""
}

// checkHosts refuses a request whose URL names another host than host: a router might use
// one of them, and a guard the other. Case and the scheme's default port are ignored.
//
// It also refuses a URL with a scheme and without a host, http:/x: routers that use its
// host see none, and others that of the Host header.
func checkHosts(host string, u *url.URL) error {
	if u.Host == "" && u.Scheme != "" {
		return errHosts
	}
	if u.Host == "" || u.Host == host || lower(withoutDefault(u.Scheme, u.Host)) == lower(withoutDefault(u.Scheme, host)) {
		return nil
	}
	return errHosts
}

func withoutDefault(scheme, host string) string {
	switch lower(scheme) {
	case "http":
		host = strings.TrimSuffix(host, ":80")
	case "https":
		host = strings.TrimSuffix(host, ":443")
	}
	return host
}

// isDefault reports whether a port is one that browsers omit.
func isDefault(port string) bool { return port == "80" || port == "443" }

// hostQuery is a request's host as rules are compared with it.
type hostQuery struct {
	hostName
	plain bool // Host and URL spell it as it is compared
}

func newHostQuery(host string, u *url.URL) (hostQuery, error) {
	var q hostQuery
	if host == "" {
		return q, nil // HTTP/1.0: no rule that names a host applies
	}
	h, plain, ok := parseHost(host)
	if !ok {
		return q, errHost
	}
	return hostQuery{h, plain && (u.Host == "" || u.Host == host)}, nil
}

// opens reports whether every reading of the host is that of a rule. If the host has a
// port, the rule has to name it.
func (q *hostQuery) opens(rule hostName) bool {
	return rule.name == "" || q.plain && q.hostName == rule
}

// guards reports whether some reading of the host is that of a rule, and whether all are. A
// rule without a port is for every port.
func (q *hostQuery) guards(rule hostName) (some, all bool) {
	if rule.name == "" || q.opens(rule) {
		return true, true
	}
	return q.name == rule.name && (rule.port == "" || rule.port == q.port || q.port == "" && isDefault(rule.port)), false
}

// relateHosts relates the hosts of two rules. A guarding rule without a port is for all
// ports of its host, and an open one for none.
func relateHosts(a, b hostName, aOpen, bOpen bool) relation {
	switch {
	case a == b:
		return equal
	case a.name == "":
		return contains
	case b.name == "":
		return within
	case a.name != b.name:
		return disjoint
	case a.port == "" && (!aOpen || !bOpen && isDefault(b.port)):
		return contains
	case b.port == "" && (!bOpen || !aOpen && isDefault(a.port)):
		return within
	}
	return disjoint
}

// parsePatternHost parses the host of a pattern. A name without a dot or a port is taken
// for a path whose first slash is missing.
func parsePatternHost(s string) (hostName, error) {
	if s == "" {
		return hostName{}, nil
	}
	if strings.HasSuffix(s, ":") || strings.ContainsAny(s, "({") {
		return hostName{}, errors.New("must begin with /")
	}
	h, plain, ok := parseHost(s)
	switch {
	case !ok:
		return h, fmt.Errorf("%q before the first / is not a host name: begin a path with /, and write a host as example.com, localhost:8080 or [::1]:8080", s)
	case h.port != "" && (len(h.port) > 5 || len(h.port) == 5 && h.port > "65535" || h.port == "0"):
		return h, fmt.Errorf("%q is not a port: it must be from 1 to 65535", h.port)
	case !plain && lower(s) != h.String():
		return h, fmt.Errorf("spells its host in a way that no browser does: write %s", h)
	case h.port == "" && !strings.Contains(h.name, ".") && h.name != "localhost" && h.name[0] != '[':
		return h, fmt.Errorf("must begin with /, or with a host that has a dot in it (%q has none)", s)
	}
	return h, nil
}

// CheckMuxHost returns an error if [net/http.ServeMux] never finds the host of a pattern in
// a request: it cuts off ports, and with them IPv6 brackets, and compares byte by byte.
func CheckMuxHost(host string) error {
	if host == "" {
		return nil
	}
	switch h, plain, ok := parseHost(host); {
	case !ok:
		return nil // the mux rejects it
	case h.name[0] == '[':
		return fmt.Errorf("http.ServeMux finds %s in requests without a port alone: leave the host out", host)
	case !plain || h.port != "":
		return fmt.Errorf("http.ServeMux compares hosts byte by byte and without their port, so no request would be for %q: write %s", host, h.name)
	}
	return nil
}

// CheckMuxRequest returns an error if a request has to be refused in front of a
// [net/http.ServeMux]: if its URL names another host than host, or, where patterns name
// hosts, if host is not one, or is a spelling of one of hosts that the mux does not take
// for it. The values of hosts are whether they have guarded routes; only these are
// compared. The error is a *[Refusal].
func CheckMuxRequest(host string, u *url.URL, hosts map[string]bool) error {
	if err := checkHosts(host, u); err != nil || len(hosts) == 0 {
		return err
	}
	q, err := newHostQuery(host, u)
	if err != nil {
		return err
	}
	if name, _, _ := strings.Cut(host, ":"); hosts[q.name] && name != q.name {
		return errHost
	}
	return nil
}
