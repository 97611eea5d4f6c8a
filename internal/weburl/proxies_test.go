package weburl

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestCheckProxy(t *testing.T) {
	for _, c := range []struct {
		prefix netip.Prefix
		want   string
	}{
		{netip.MustParsePrefix("10.0.0.0/8"), ""},
		{netip.MustParsePrefix("10.1.2.3/32"), ""},
		{netip.MustParsePrefix("2001:db8::/32"), ""},
		{netip.MustParsePrefix("::1/128"), ""},
		{netip.Prefix{}, "zero value or invalid"},
		{netip.PrefixFrom(netip.MustParseAddr("10.0.0.0"), 33), "zero value or invalid"},
		{netip.MustParsePrefix("0.0.0.0/0"), "every address"},
		{netip.MustParsePrefix("10.0.0.0/0"), "every address"},
		{netip.MustParsePrefix("::/0"), "every address"},
		{netip.PrefixFrom(netip.MustParseAddr("::ffff:10.0.0.0"), 104), "IPv4 notation"},
		{netip.MustParsePrefix("10.1.2.3/8"), "use 10.0.0.0/8 for all of it, or 10.1.2.3/32"},
		{netip.MustParsePrefix("2001:db8::1/64"), "use 2001:db8::/64 for all of it, or 2001:db8::1/128"},
	} {
		if err := CheckProxy(c.prefix); mistake(err, c.want) {
			t.Errorf("CheckProxy(%v): %v, want %q", c.prefix, err, c.want)
		}
	}
}

var proxies = Proxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("fe80::1/128")}

const proxy = "10.0.0.1:1234"

// from returns a request of that peer, with lines such as "X-Forwarded-Host: a.example".
func from(peer string, secure bool, lines ...string) *http.Request {
	r := &http.Request{RemoteAddr: peer, Host: "Own.example", Header: http.Header{}}
	if secure {
		r.TLS = &tls.ConnectionState{}
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	return r
}

// TestRequestedPeers: forwarded headers count from trusted proxies alone.
func TestRequestedPeers(t *testing.T) {
	for peer, trusted := range map[string]bool{
		proxy: true, "10.255.255.255:1": true, "[2001:db8::7]:1": true, "[::ffff:10.0.0.1]:1": true, "[fe80::1%eth0]:1": true,
		"11.0.0.1:1": false, "[2001:db9::1]:1": false, "[fe80::2%eth0]:1": false, "[::ffff:11.0.0.1]:1": false,
		"10.0.0.1": false, "2001:db8::7": false, "": false, "@": false, "10.0.0.1:x": false, "10.0.0.1:1, 11.0.0.1:1": false, "010.0.0.1:1": false, "localhost:1": false,
	} {
		for _, lines := range [][]string{
			{"X-Forwarded-Proto: https", "X-Forwarded-Host: a.example"},
			{"Forwarded: host=a.example;proto=https"},
		} {
			for _, c := range []struct {
				proxies Proxies
				trusted bool
			}{{proxies, trusted}, {nil, false}, {Proxies{{}}, false}} {
				secure, host := c.proxies.Requested(from(peer, false, lines...))
				if secure != c.trusted || host != map[bool]string{true: "a.example", false: "Own.example"}[c.trusted] {
					t.Errorf("%q by %q of %v: %v, %q", lines, peer, c.proxies, secure, host)
				}
			}
		}
	}
}

func TestRequested(t *testing.T) {
	long := strings.Repeat("evil", 2560)
	for _, c := range []struct {
		lines  []string
		secure bool // what is requested of a server without TLS
		host   string
	}{
		{nil, false, "own.example"},
		{[]string{"X-Forwarded-Proto: https"}, true, "own.example"},
		{[]string{"X-Forwarded-Proto: HTTPS"}, true, "own.example"},
		{[]string{"X-Forwarded-Proto: http, https "}, true, "own.example"},
		{[]string{"X-Forwarded-Proto: https,http"}, false, "own.example"},
		{[]string{"X-Forwarded-Proto: http", "X-Forwarded-Proto: https"}, true, "own.example"},
		{[]string{"X-Forwarded-Proto: javascript"}, false, "own.example"},
		{[]string{"X-Forwarded-Proto: https, wss"}, false, "own.example"},
		{[]string{"X-Forwarded-Proto: https, "}, false, "own.example"},
		{[]string{"X-Forwarded-Proto: https://evil/"}, false, "own.example"},
		{[]string{"X-Forwarded-Host: A.example"}, false, "a.example"},
		{[]string{"X-Forwarded-Host: evil.example, b.example, a.example"}, false, "a.example"},
		{[]string{"X-Forwarded-Host: evil.example", "X-Forwarded-Host: a.example"}, false, "a.example"},
		{[]string{"X-Forwarded-Host: a.example", "X-Forwarded-Host: "}, false, "own.example"},
		{[]string{"X-Forwarded-Host: a.example, evil/.."}, false, "own.example"},
		{[]string{"X-Forwarded-Host: evil.example/.."}, false, "own.example"},
		{[]string{"X-Forwarded-Host: evil.example@app"}, false, "own.example"},
		{[]string{"X-Forwarded-Host: app:99999"}, false, "own.example"},
		{[]string{"X-Forwarded-Host: app:0"}, false, "own.example"},
		{[]string{"X-Forwarded-Host: app:"}, false, "own.example"},
		{[]string{"X-Forwarded-Host: [::1"}, false, "own.example"},
		{[]string{"X-Forwarded-Host: a.example."}, false, "own.example"},
		{[]string{"X-Forwarded-Host: b\u00fccher.example"}, false, "own.example"},
		{[]string{"X-Forwarded-Host: " + long}, false, "own.example"},
		{[]string{"X-Forwarded-Host: [::1]:8080"}, false, "[::1]:8080"},
		{[]string{"X-Forwarded-Proto: https", "X-Forwarded-Host: a.example:443"}, true, "a.example"},
		{[]string{"X-Forwarded-Proto: https", "X-Forwarded-Host: a.example:80"}, true, "a.example:80"},
		{[]string{"X-Forwarded-Host: [::1]:80"}, false, "[::1]"},
		{[]string{"X-Forwarded-Host: a.example", "X-Forwarded-Port: 8080"}, false, "a.example"},
		{[]string{"X-Forwarded-Host: [::1]", "X-Forwarded-Port: 1, 8080"}, false, "[::1]"},
		{[]string{"X-Forwarded-Host: a.example:1", "X-Forwarded-Port: 8080"}, false, "a.example:1"},
		{[]string{"X-Forwarded-Host: a.example", "X-Forwarded-Port: 443"}, false, "a.example"},
		{[]string{"X-Forwarded-Proto: https", "X-Forwarded-Host: a.example", "X-Forwarded-Port: 80"}, true, "a.example"},
		{[]string{"X-Forwarded-Host: a.example", "X-Forwarded-Port: 99999"}, false, "a.example"},
		{[]string{"X-Forwarded-Host: a.example", "X-Forwarded-Port: 8080@evil"}, false, "a.example"},
		{[]string{"X-Forwarded-Port: 8080"}, false, "own.example"},
		{[]string{"Forwarded: host=a.example;proto=https"}, true, "a.example"},
		{[]string{`Forwarded: FOR="[2001:db8::1]:4711"; Proto=HTTPS ;HOST="A.example:8443";by=_x`}, true, "a.example:8443"},
		{[]string{"Forwarded: host=evil.example;proto=http, for=192.0.2.1;host=a.example;proto=https"}, true, "a.example"},
		{[]string{"Forwarded: host=evil.example, for=192.0.2.1;proto=https"}, true, "own.example"},
		{[]string{"Forwarded: host=evil.example", "Forwarded: host=a.example"}, false, "a.example"},
		{[]string{`Forwarded: for="a, host=evil.example"; host=a.example`}, false, "a.example"},
		{[]string{`Forwarded: for="`, "Forwarded: host=a.example"}, false, "a.example"},
		{[]string{"Forwarded: host=a.example,"}, false, "own.example"},
		{[]string{"Forwarded: host=a.example;;proto=https;"}, true, "a.example"},
		{[]string{`Forwarded: for=", host=a.example`}, false, "own.example"},
		{[]string{`Forwarded: x=", for="[::1]";host=a.example`}, false, "own.example"},
		{[]string{`Forwarded: host="a\.example"`}, false, "own.example"},
		{[]string{"Forwarded: host=a.example;host=b.example"}, false, "own.example"},
		{[]string{"Forwarded: host=a.example:8443"}, false, "own.example"}, // not a token: it must be quoted
		{[]string{"Forwarded: host=a.example proto=https"}, false, "own.example"},
		{[]string{"Forwarded: host = a.example"}, false, "own.example"},
		{[]string{"Forwarded: host"}, false, "own.example"},
		{[]string{"Forwarded: "}, false, "own.example"},
		{[]string{`Forwarded: proto="https://evil/";host="a@b"`}, false, "own.example"},
		// Both count where they agree, or one of them says nothing.
		{[]string{"X-Forwarded-Proto: https", "Forwarded: for=192.0.2.1;proto=https;host=own.example"}, true, "own.example"},
		{[]string{"X-Forwarded-Proto: https", "X-Forwarded-Host: a.example:443", "Forwarded: proto=https;host=a.example"}, true, "a.example"},
		{[]string{"X-Forwarded-Proto: https", "Forwarded: for=192.0.2.1"}, true, "own.example"},
		{[]string{"X-Forwarded-Proto: https", "Forwarded: proto=https;host=evil.example"}, false, "Own.example"},
		{[]string{"X-Forwarded-Host: evil.example", "Forwarded: host=a.example"}, false, "Own.example"},
		{[]string{"X-Forwarded-Host: evil.example", `Forwarded: for=", host=a.example`}, false, "Own.example"},
		{[]string{"X_Forwarded_Host: evil.example", "X-Forwarded-Server: evil.example", "X-Forwarded-Scheme: https", "X-Original-Host: evil.example", "X-Forwarded-Ssl: on"}, false, "own.example"},
	} {
		if secure, host := proxies.Requested(from(proxy, false, c.lines...)); secure != c.secure || host != c.host {
			t.Errorf("%.200q: %v, %q, want %v, %q", c.lines, secure, host, c.secure, c.host)
		}
	}
	for line, want := range map[string]bool{"X-Forwarded-Proto: http": false, "Forwarded: proto=http": false, "X-Forwarded-Proto: ws": true, "X-Other: x": true} {
		if secure, _ := proxies.Requested(from(proxy, true, line)); secure != want {
			t.Errorf("%q over TLS: %v", line, secure)
		}
	}
}

// FuzzRequested: whatever anyone sends, the origin is one of this server's, a return URL
// has its host, and headers of an address that is not trusted change nothing.
func FuzzRequested(f *testing.F) {
	f.Add(proxy, false, "own.example", "https", "a.example", "8443", "", "/x")
	f.Add(proxy, true, "own.example", "http, https", "evil.example, a.example", "", `for="[::1]";host="a.example:8443";proto=https`, "//evil.example")
	f.Add("192.0.2.1:1", false, "Own.example:80", "javascript", "evil.example@a.example", "0", `host="`, "/\\evil.example")
	f.Add("10.0.0.1", false, "[::1]", "https", "[fe80::1%25x]", "80", "a=b;a=c, host=x", "http://evil.example/x")
	listed := Site{Origins: []string{"https://a.example", "https://a.example:8443", "http://own.example"}}
	f.Fuzz(func(t *testing.T, peer string, secure bool, host, proto, xHost, port, forwarded, target string) {
		r := from(peer, secure)
		r.Host = host
		bare := r.Clone(t.Context())
		for name, value := range map[string]string{"X-Forwarded-Proto": proto, "X-Forwarded-Host": xHost, "X-Forwarded-Port": port, "Forwarded": forwarded} {
			r.Header.Set(name, value)
		}
		gotTLS, gotHost := proxies.Requested(r)
		if wantTLS, wantHost := (Proxies)(nil).Requested(r); !proxies.trust(peer) && (gotTLS != wantTLS || gotHost != wantHost) || wantTLS != secure || wantHost != host {
			t.Fatalf("%v, %q of %q, which is not trusted", gotTLS, gotHost, peer)
		}
		if _, own := proxies.Requested(bare); gotHost != own && gotHost != host && !ValidHost(gotHost) {
			t.Fatalf("the host is %q", gotHost)
		}
		if origin := listed.Origin(gotTLS, gotHost); origin != "" && !slices.Contains(listed.Origins, origin) {
			t.Fatalf("%q is not ours", origin)
		}
		origin := Site{AnyHost: true}.Origin(gotTLS, gotHost)
		u, err := url.Parse(origin)
		if err != nil || origin != "" && (u.Scheme != "http" && u.Scheme != "https" || origin != u.Scheme+"://"+u.Host || !ValidHost(u.Host)) {
			t.Fatalf("%q: %v", origin, err)
		}
		at, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		if back := Return(origin, at); back != "" {
			if b, err := url.Parse(back); err != nil || b.Host != u.Host || b.Scheme != u.Scheme || b.User != nil {
				t.Fatalf("%q is not at %q: %v", back, origin, err)
			}
		}
	})
}
