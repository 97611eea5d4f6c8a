package weburl

import "testing"

// TestClient: the address of a client is the peer's, or what trusted proxies say of it.
func TestClient(t *testing.T) {
	const x = "X-Forwarded-For: "
	for _, c := range []struct {
		peer  string
		lines []string
		want  string // "": not known
	}{
		{"192.0.2.1:99", nil, "192.0.2.1"},
		{"192.0.2.1:99", []string{x + "198.51.100.7", "Forwarded: for=198.51.100.7", "X-Real-Ip: 198.51.100.7"}, "192.0.2.1"},
		{"[::ffff:192.0.2.1]:99", nil, "192.0.2.1"},
		{"[fe80::9%eth0]:99", nil, "fe80::9"},
		{"192.0.2.1", nil, ""},
		{"@", []string{x + "198.51.100.7"}, ""},
		{"", nil, ""},
		{proxy, nil, "10.0.0.1"},
		{proxy, []string{x + "198.51.100.7"}, "198.51.100.7"},
		{proxy, []string{x + " 198.51.100.7:4711 "}, "198.51.100.7"},
		{proxy, []string{x + "2001:db9::7"}, "2001:db9::7"},
		{proxy, []string{x + "[2001:db9::7]:4711"}, "2001:db9::7"},
		{proxy, []string{x + "::ffff:198.51.100.7"}, "198.51.100.7"},
		{proxy, []string{x + "203.0.113.9, 198.51.100.7"}, "198.51.100.7"},
		{proxy, []string{x + "203.0.113.9, 198.51.100.7, 10.0.0.2"}, "198.51.100.7"},
		{proxy, []string{x + "203.0.113.9", x + "198.51.100.7, 10.0.0.2"}, "198.51.100.7"},
		{proxy, []string{x + "10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{proxy, []string{x + "198.51.100.7, evil, 10.0.0.2"}, "10.0.0.2"},
		{proxy, []string{x + "198.51.100.7, "}, "10.0.0.1"},
		{proxy, []string{x + "unknown"}, "10.0.0.1"},
		{proxy, []string{x + "198.51.100.7\tx"}, "10.0.0.1"},
		{proxy, []string{"Forwarded: for=198.51.100.7"}, "198.51.100.7"},
		{proxy, []string{`Forwarded: for=203.0.113.9, For="[2001:db9::7]:4711";proto=https`}, "2001:db9::7"},
		{proxy, []string{"Forwarded: for=_hidden"}, "10.0.0.1"},
		{proxy, []string{`Forwarded: for="`}, "10.0.0.1"},
		{proxy, []string{"Forwarded: proto=https", x + "198.51.100.7"}, "198.51.100.7"},
		{proxy, []string{"Forwarded: for=198.51.100.7", x + "203.0.113.9, 198.51.100.7"}, "198.51.100.7"},
		{proxy, []string{"Forwarded: for=203.0.113.9", x + "198.51.100.7"}, "10.0.0.1"},
		{proxy, []string{`Forwarded: for="`, x + "198.51.100.7"}, "10.0.0.1"},
	} {
		got := ""
		if addr := proxies.Client(from(c.peer, false, c.lines...)); addr.IsValid() {
			got = addr.String()
		}
		if got != c.want {
			t.Errorf("%q by %q: %q, want %q", c.lines, c.peer, got, c.want)
		}
	}
}
