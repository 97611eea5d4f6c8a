package response

import (
	"net/http"
	"slices"
	"testing"
)

// TestCacheControl: what Cache-Control becomes of the handler's, by what the response
// needs. "=" is the handler's own.
func TestCacheControl(t *testing.T) {
	for _, c := range []struct {
		there                     []string
		open, guarded, nonce, all string
	}{
		{nil, "private", "private", "no-store", "no-store"},
		{[]string{""}, "private", "private", "no-store", "no-store"},
		{[]string{" ,\t,"}, "private", "private", "no-store", "no-store"},
		{[]string{"max-age=60"}, "=", "private, max-age=60", "no-store", "no-store"},
		{[]string{"no-cache"}, "=", "private, no-cache", "no-store", "no-store"},
		{[]string{`no-cache="Set-Cookie"`}, "=", `private, no-cache="Set-Cookie"`, "no-store", "no-store"},
		{[]string{"private"}, "=", "=", "=", "no-store"},
		{[]string{" PRIVATE ,max-age=60"}, "=", "=", "=", "no-store"},
		{[]string{"max-age=60", "private"}, "=", "=", "=", "no-store"},
		{[]string{`private, x="a"`}, "=", "=", "=", "no-store"},
		{[]string{"no-store"}, "=", "=", "=", "="},
		{[]string{"No-Store, max-age=0"}, "=", "=", "=", "="},
		{[]string{"private, no-store"}, "=", "=", "=", "="},
		// public and s-maxage go, wherever and however they are written.
		{[]string{"public"}, "=", "private", "no-store", "no-store"},
		{[]string{"public, max-age=60, immutable"}, "=", "private, max-age=60, immutable", "no-store", "no-store"},
		{[]string{"max-age=60,S-MaxAge=3600,PUBLIC"}, "=", "private, max-age=60", "no-store", "no-store"},
		{[]string{`s-maxage="60", must-revalidate`}, "=", "private, must-revalidate", "no-store", "no-store"},
		{[]string{"max-age=1", "public", "s-maxage=2"}, "=", "private, max-age=1", "no-store", "no-store"},
		{[]string{"private, public"}, "=", "private", "no-store", "no-store"},
		{[]string{"private, s-maxage=60"}, "=", "private", "no-store", "no-store"},
		{[]string{"public, no-store"}, "=", "no-store", "no-store", "no-store"},
		{[]string{"public=x"}, "=", "private", "no-store", "no-store"},
		// private for some fields is not private, and with must-understand no-store is
		// not no-store.
		{[]string{`private="Set-Cookie", max-age=60`}, "=", "private, max-age=60", "no-store", "no-store"},
		{[]string{"private=x"}, "=", "private", "no-store", "no-store"},
		{[]string{"xprivate"}, "=", "private, xprivate", "no-store", "no-store"},
		{[]string{"no-store=x"}, "=", "private, no-store=x", "no-store", "no-store"},
		{[]string{"must-understand, no-store"}, "=", "private, must-understand, no-store", "no-store", "no-store"},
		{[]string{"no-store, must-understand, private"}, "=", "=", "=", "no-store"},
		// What is quoted is not a directive.
		{[]string{`x="a, no-store, b"`}, "=", `private, x="a, no-store, b"`, "no-store", "no-store"},
		{[]string{`x="a, public, \", s-maxage=1, b", private`}, "=", "=", "=", "no-store"},
		{[]string{`x="\\", public`}, "=", `private, x="\\"`, "no-store", "no-store"},
		// Malformed: caches differ in what they make of it.
		{[]string{"private; max-age=60"}, "=", "no-store", "no-store", "no-store"},
		{[]string{"no-store; max-age=0"}, "=", "no-store", "no-store", "no-store"},
		{[]string{"private max-age=60"}, "=", "no-store", "no-store", "no-store"},
		{[]string{"max-age = 60"}, "=", "no-store", "no-store", "no-store"},
		{[]string{"max-age="}, "=", "no-store", "no-store", "no-store"},
		{[]string{"=60"}, "=", "no-store", "no-store", "no-store"},
		{[]string{`"private"`}, "=", "no-store", "no-store", "no-store"},
		{[]string{`x="a`, `public, y="b"`}, "=", "no-store", "no-store", "no-store"},
		{[]string{`private, x="a`}, "=", "no-store", "no-store", "no-store"},
		{[]string{`no-store, x="a\`}, "=", "no-store", "no-store", "no-store"},
		{[]string{`private, x="a"b`}, "=", "no-store", "no-store", "no-store"},
		{[]string{"private\r\npublic"}, "=", "no-store", "no-store", "no-store"},
		{[]string{"private, x=\"\n\""}, "=", "no-store", "no-store", "no-store"},
		{[]string{"private, x=\"\\\n\""}, "=", "no-store", "no-store", "no-store"},
		{[]string{"privaté"}, "=", "no-store", "no-store", "no-store"},
	} {
		for need, want := range map[cache]string{open: c.open, guarded: c.guarded, noStoreUnlessPrivate: c.nonce, noStore: c.all} {
			h := http.Header{"Cache-Control": slices.Clone(c.there)}
			w := Writer{rw: &recorder{header: h}, cache: need}
			for range 2 { // it stays as it is
				w.Apply()
				if got := h["Cache-Control"]; want == "=" && !slices.Equal(got, c.there) || want != "=" && !slices.Equal(got, []string{want}) {
					t.Errorf("%q, %d: %q, want %s", c.there, need, got, want)
				}
			}
		}
	}
}

// TestTargetedCacheControl: no cache is told otherwise by a header that it prefers, except
// by the handler of an open route.
func TestTargetedCacheControl(t *testing.T) {
	for _, name := range []string{"CDN-Cache-Control", "Cloudflare-CDN-Cache-Control", "Surrogate-Control", "Edge-Control", "X-Accel-Expires"} {
		for _, need := range []cache{open, guarded, noStoreUnlessPrivate, noStore} {
			h := http.Header{}
			h.Set(name, "60")
			w := Writer{rw: &recorder{header: h}, cache: need}
			w.Finish()
			if got := h.Get(name) != ""; got != (need == open) {
				t.Errorf("%s, %d: %v", name, need, h)
			}
		}
	}
}
