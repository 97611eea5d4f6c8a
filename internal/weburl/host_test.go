package weburl

import "testing"

func TestValidHost(t *testing.T) {
	for _, host := range []string{
		"localhost", "example.com", "a.b-c.example", "my_host", "xn--pp-fka.example", "127.0.0.1", "example.com:8443", "example.com:",
		"[::1]", "[::1]:8080", "[2001:db8::1]",
	} {
		if !ValidHost(host) {
			t.Errorf("%q is valid", host)
		}
	}
	for _, host := range []string{
		"", ".", "example.com.", ".example.com", "a..b", "-a.example", "a-.example", "EXAMPLE.com", "*.example.com", "b\u00fccher.example",
		"a b", "a/b", "a\\b", "a?b", "a#b", "user@a", "a%2eb", "a:b", "a:123456", "a:1:2", "::1", "[::1", "::1]", "[a]", "[fe80::1%25eth0]",
		"[::1]:x", "example.com\n",
	} {
		if ValidHost(host) {
			t.Errorf("%q is not valid", host)
		}
	}
}

func TestValidFrontendHost(t *testing.T) {
	for host, want := range map[string]bool{
		"clerk.example.com": true, "Clerk.Example.com": true, "a.b": true, "clerk.localhost:8080": true, "funny-dog-1.clerk.accounts.dev": true,
		"localhost": false, "": false, "clerk.example.com.": false, "clerk.example.com/": false, "clerk.example.com/..": false,
		"user@clerk.example.com": false, "clerk..example": false, "-a.b": false, "a_b.example": false, "clerk.example.com:": false,
		"clerk.example.com:123456": false, "clerk.example.com\r\nx: y": false, "clerk.example.com\n": false,
	} {
		if got := ValidFrontendHost(host); got != want {
			t.Errorf("ValidFrontendHost(%q) = %v", host, got)
		}
	}
}
