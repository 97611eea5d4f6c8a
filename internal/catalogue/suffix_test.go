package catalogue

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// seenCookie is a session cookie of whichCookieCounts.
type seenCookie struct {
	value              string
	decodes, ours, out bool // out: it has expired
	issuedAt           int64
	user               string
}

// whichCookieCounts compares the choice between cookies with the suffix and those without
// it with the table of Clerk's protocol, for every combination of the four cookies.
func whichCookieCounts(t *testing.T) {
	for _, production := range []bool{true, false} {
		b := newBrowserRig(t, production)
		other := b.Server.SignIn(b.Server.CreateUser("other@example.com"))
		foreign := newBrowserRig(t, false)
		now := b.Server.Now().Unix()
		session := func(of *clerkauthtest.Session, iat int64) seenCookie {
			token := of.Token(clerkauthtest.WithClaim("iat", iat), clerkauthtest.WithClaim("exp", now+300))
			return seenCookie{value: token, decodes: true, ours: true, issuedAt: iat, user: of.User.ID}
		}
		expired := session(other, now-200)
		expired.value, expired.out = other.Token(clerkauthtest.WithClaim("iat", now-200), clerkauthtest.WithClaim("exp", now-100)), true
		plain := map[string]seenCookie{
			"none": {}, "older": session(b.Jane, now-100), "newer": session(b.Jane, now-10), "garbage": {value: "x"},
			"foreign": {value: foreign.Jane.Token(), decodes: true, issuedAt: now},
		}
		suffixed := map[string]seenCookie{"none": {}, "between": session(other, now-50), "as old": session(other, now-100), "expired": expired}
		times := []string{"", "0", fmt.Sprint(now - 1000)}
		for sName, s := range plain {
			for ownName, own := range suffixed {
				for _, uat := range times {
					for _, ownUAT := range times {
						c := cookies{}
						if !production {
							c = cookies{"__clerk_db_jwt=db", "__clerk_db_jwt" + b.suffix + "=db"}
						}
						for name, value := range map[string]string{"__session": s.value, "__session" + b.suffix: own.value, "__client_uat": uat, "__client_uat" + b.suffix: ownUAT} {
							if value != "" {
								c = append(c, name+"="+value)
							}
						}
						useSuffix := countsSuffixed(s, own, uat, ownUAT, production)
						want := flowOf(s, uat)
						if useSuffix {
							want = flowOf(own, ownUAT)
						}
						if want == other.User.ID || want == b.Jane.User.ID {
							want = map[bool]string{true: "in as " + other.User.ID, false: "in"}[want == other.User.ID]
						}
						got, reply := b.outcome(testkit.AsUnknownPage, func(r *http.Request) { r.Header.Set("Cookie", strings.Join(c, "; ")) })
						if got != want || strings.HasPrefix(got, "handshake") && suffixedCookies(reply) != fmt.Sprint(useSuffix) {
							t.Errorf("production %v, __session %s, with suffix %s, uat %q and %q: %s (suffixed_cookies=%s), want %s (%v)",
								production, sName, ownName, uat, ownUAT, got, suffixedCookies(reply), want, useSuffix)
						}
					}
				}
			}
		}
	}
}

// countsSuffixed is the table of Clerk's protocol.
func countsSuffixed(s, own seenCookie, uat, ownUAT string, production bool) bool {
	switch {
	case s.value != "" && !s.decodes:
		return false
	case s.value != "" && !s.ours:
		return true
	case ownUAT == "" && own.value == "":
		return false
	case ownUAT != "0" && uat != "0" && s.issuedAt > own.issuedAt:
		return false
	case ownUAT == "0" && uat != "0":
		return false
	case !production && ownUAT != "0" && uat == "0" && own.out:
		return false
	case ownUAT == "" && own.value != "":
		return false
	}
	return true
}

// flowOf is what becomes of a request for a document with these cookies.
func flowOf(s seenCookie, uat string) string {
	in := uat != "" && uat != "0"
	switch {
	case !in && s.value == "":
		return "out session-token-and-uat-missing"
	case !in:
		return "handshake session-token-but-no-client-uat"
	case s.value == "":
		return "handshake client-uat-but-no-session-token"
	case !s.decodes:
		return "out token-invalid"
	case s.out:
		return "handshake session-token-expired-refresh-non-eligible-no-refresh-cookie"
	case !s.ours:
		return "out token-invalid-issuer"
	}
	return s.user
}
