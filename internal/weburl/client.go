package weburl

import (
	"net/http"
	"net/netip"
	"strings"
)

// Client returns the address of the client that sent r, or the zero Addr if it is not known.
// It is that of the peer or, if the peer is a trusted proxy, the last entry of
// X-Forwarded-For that is not a trusted proxy's, because clients can write any of those
// before it. A malformed entry ends the search: the address is then that of the proxy that
// wrote it. Without X-Forwarded-For, the last element of Forwarded (RFC 7239) counts. As in
// [Proxies.Requested], neither counts where they differ.
func (p Proxies) Client(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{} // middleware may have replaced it by what a header says
	}
	client := plain(at.Addr())
	if !p.holds(client) {
		return client
	}
	lines := r.Header["X-Forwarded-For"]
	element, ok := lastElement(r.Header["Forwarded"])
	named, f := element["for"], !ok || element["for"] != ""
	if len(lines) == 0 && named != "" {
		lines = []string{named}
	} else if f && address(named) != address(last(r, "X-Forwarded-For")) {
		return client
	}
	entries := strings.Split(strings.Join(lines, ","), ",")
	for i := len(entries) - 1; i >= 0 && p.holds(client); i-- {
		addr := address(entries[i])
		if !addr.IsValid() {
			break
		}
		client = addr
	}
	return client
}

// address returns the address in an entry of X-Forwarded-For or in the parameter for of
// Forwarded, which may have a port, or the zero Addr.
func address(entry string) netip.Addr {
	entry = strings.Trim(entry, " \t")
	if at, err := netip.ParseAddrPort(entry); err == nil {
		return plain(at.Addr())
	}
	if inner, ok := strings.CutPrefix(entry, "["); ok {
		entry = strings.TrimSuffix(inner, "]")
	}
	addr, err := netip.ParseAddr(entry)
	if err != nil {
		return netip.Addr{}
	}
	return plain(addr)
}

// plain returns addr as prefixes are compared with it.
func plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }
