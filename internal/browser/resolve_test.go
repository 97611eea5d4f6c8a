package browser

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// token returns an unsigned token with that payload.
func token(payload string) string {
	enc := base64.RawURLEncoding
	return enc.EncodeToString([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + enc.EncodeToString([]byte(payload)) + ".c2ln"
}

const (
	issuedAt = 1_790_000_000
	issuer   = "https://clerk.example.com"
)

var (
	valid   = token(fmt.Sprintf(`{"iss":%q,"iat":%d,"sub":"user_1"}`, issuer, issuedAt))
	undated = token(fmt.Sprintf(`{"iss":%q,"sub":"user_1"}`, issuer))
	machine = token(`{"iss":"x","sub":"mch_1"}`)
	jane    = Verdict{User: "user_1", Session: "sess_1", HasIssuedAt: true}
	expired = Verdict{Reason: ReasonExpired, User: "user_1", Session: "sess_1", HasIssuedAt: true}
)

func document() Facts {
	return Facts{
		Method: "GET", Public: "https://app.example.com", Path: "/p", Navigation: true, Document: true,
		Cookies: Cookies{Session: valid, ClientUAT: issuedAt, DevBrowser: "db"},
	}
}

func production() Settings {
	return Settings{Production: true, Suffix: "abcdefgh", Host: "clerk.example.com", Frontend: issuer, Accounts: "https://accounts.example.com"}
}

// TestSession: what the session cookie and the time of the client's last change mean.
func TestSession(t *testing.T) {
	for name, c := range map[string]struct {
		edit  func(*Facts)
		found Findings
		want  Step
	}{
		"nothing":                   {func(f *Facts) { f.Session, f.ClientUAT = "", 0 }, Findings{}, signedOut(ReasonNothing)},
		"not signed in":             {func(f *Facts) { f.ClientUAT = 0 }, Findings{}, Step{Action: Redirect, Reason: ReasonNoClientUAT}},
		"no session":                {func(f *Facts) { f.Session = "" }, Findings{}, Step{Action: Redirect, Reason: ReasonNoSession}},
		"garbage":                   {func(f *Facts) { f.Session = "a.b.c" }, Findings{}, signedOut(ReasonTokenInvalid)},
		"of a machine":              {func(f *Facts) { f.Session = machine }, Findings{}, signedOut(ReasonTokenType)},
		"outdated":                  {func(f *Facts) { f.ClientUAT++ }, Findings{}, Step{Action: Redirect, Reason: ReasonOutdated}},
		"to be verified":            {func(*Facts) {}, Findings{}, Step{Action: Verify, Token: valid}},
		"undated, unproven":         {func(f *Facts) { f.Session = undated }, Findings{}, Step{Action: Verify, Token: undated}},
		"undated":                   {func(f *Facts) { f.Session = undated }, tokens(Verdict{User: "user_1"}), Step{Action: Redirect, Reason: ReasonOutdated}},
		"valid":                     {func(*Facts) {}, tokens(jane), Step{Action: SignedIn}},
		"forged":                    {func(*Facts) {}, tokens(Verdict{Reason: "token-invalid-signature"}), signedOut("token-invalid-signature")},
		"no keys":                   {func(*Facts) {}, tokens(Verdict{Reason: "jwk-remote-failed-to-load", Away: true}), Step{Action: Unavailable, Reason: "jwk-remote-failed-to-load"}},
		"expired":                   {func(*Facts) {}, tokens(expired), Step{Action: Redirect, Reason: "session-token-expired-refresh-non-eligible-no-refresh-cookie"}},
		"expired, posted":           {func(f *Facts) { f.Method = "POST" }, tokens(expired), signedOut("session-token-expired-refresh-non-eligible-non-get")},
		"expired, prefetch":         {func(f *Facts) { f.Speculative = true }, tokens(expired), Step{Action: Postpone, Reason: "session-token-expired-refresh-non-eligible-no-refresh-cookie"}},
		"refreshable":               {func(f *Facts) { f.Refresh = "rt" }, tokens(expired), Step{Action: Refresh, Token: valid, Session: "sess_1"}},
		"no refresh by form":        {func(f *Facts) { f.Refresh, f.Method = "rt", "POST" }, tokens(expired), signedOut("session-token-expired-refresh-non-eligible-non-get")},
		"two cookies":               {func(f *Facts) { f.Differs = true }, tokens(jane), Step{Action: Redirect, Reason: ReasonNoSession}},
		"two, not a page":           {func(f *Facts) { f.Differs, f.Navigation = true, false }, tokens(jane), signedOut(ReasonNoSession)},
		"two, pending":              {func(f *Facts) { f.Differs = true }, tokens(Verdict{Pending: true, NoUser: true, HasIssuedAt: true}), Step{Action: SignedIn}},
		"two, pending counts":       {func(f *Facts) { f.Differs = true }, tokens(Verdict{Pending: true, HasIssuedAt: true}), Step{Action: Redirect, Reason: ReasonNoSession}},
		"from another site":         {func(f *Facts) { f.CrossSite = true }, tokens(jane), signedOut(ReasonCrossSite)},
		"redirected thrice":         {func(f *Facts) { f.Session, f.Redirects = "", 3 }, Findings{}, signedOut(ReasonNoSession)},
		"host unknown":              {func(f *Facts) { f.Session, f.Public = "", "" }, Findings{}, signedOut(ReasonNoSession)},
		"from elsewhere":            {func(f *Facts) { f.Referer = "https://x.example/" }, tokens(jane), Step{Action: Redirect, Reason: ReasonPrimarySync}},
		"from a page, host unknown": {func(f *Facts) { f.Referer, f.Public = "https://app.example.com/", "" }, tokens(jane), Step{Action: SignedIn}},
		"from Clerk's pages":        {func(f *Facts) { f.Referer = "https://accounts.example.com/sign-in" }, tokens(jane), Step{Action: SignedIn}},
	} {
		t.Run(name, func(t *testing.T) {
			f, s := document(), production()
			c.edit(&f)
			f.claims = peek(f.Session)
			got := Resolve(&s, &f, &c.found)
			if got.Action != c.want.Action || got.Reason != c.want.Reason || got.Token != c.want.Token || got.Session != c.want.Session {
				t.Errorf("%+v, want %+v", got, c.want)
			}
			if (got.Location != "") != (got.Action == Redirect) {
				t.Errorf("location %q", got.Location)
			}
		})
	}
}

func tokens(v Verdict) Findings { return Findings{Tokens: [3]*Verdict{Presented: &v}} }

// FuzzResolve: whatever a request and Clerk say, the steps end, nobody is signed in by a token
// that is not valid, no redirect leads to an origin that the configuration does not name, and
// no line of Set-Cookie breaks out of its header or sets a cookie that is not Clerk's.
func FuzzResolve(f *testing.F) {
	f.Add("GET", "/p?__clerk_handshake=x", "__session="+valid+"; __client_uat=1", "document", "https://x.example/", "__session=a.b.c; Domain=example.com\n__session=", "", uint16(0))
	f.Add("GET", "//evil.example?__clerk_redirect_url=https://sat.example@evil.example", "__clerk_db_jwt=x", "document", "", "", "bearer", uint16(1))
	f.Add("HEAD", "/\\evil.example?__clerk_synced=false", "__clerk_handshake_nonce=n; __clerk_redirect_count=2.5", "iframe", "", "evil=1", "", uint16(0xff))
	f.Add("GET", "/p?__clerk_redirect_url=https://sat.example/x?__clerk_synced=a&__clerk_db_jwt=q", "", "document", "", "__refresh_abcdefgh=1; Domain=..", "", uint16(0x55))
	f.Add("GET", "*", "__client_uat=1", "document", "", "", "", uint16(0))
	f.Fuzz(func(t *testing.T, method, target, cookies, dest, referer, lines, bearer string, bits uint16) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		next := func(n uint16) (value uint16) { value, bits = bits%n, bits/n; return value }
		s := production()
		s.Production, s.Satellite, s.AutoSync = next(2) == 0, next(3) == 0, next(2) == 0
		s.Satellites, s.SignInURL = []string{"https://sat.example"}, "https://primary.example/sign-in?a=b"
		r := &http.Request{Method: method, URL: u, RequestURI: target, Header: http.Header{
			"Cookie": {cookies}, "Sec-Fetch-Dest": {dest}, "Referer": {referer}, "Sec-Purpose": {[]string{"", "prefetch"}[next(2)]},
		}}
		facts := Read(r, &s, []string{"https://app.example.com", ""}[next(2)], time.Unix(issuedAt, 0))
		facts.Bearer, facts.CrossSite = bearer, next(2) == 1
		verdicts := []Verdict{jane, expired, {Reason: ReasonFuture}, {Away: true}, {Pending: true, NoUser: true, HasIssuedAt: true}, {User: "user_2", Session: "sess_2", HasIssuedAt: true}, {Reason: "x"}}
		var found Findings
		for range 8 {
			step := Resolve(&s, &facts, &found)
			for _, line := range step.SetCookies {
				if name, _, _ := strings.Cut(line, "="); strings.ContainsAny(line, "\r\n\x00") || !strings.HasPrefix(name, "__") {
					t.Fatalf("Set-Cookie: %q", line)
				}
			}
			switch step.Action {
			case Verify:
				v := verdicts[next(uint16(len(verdicts)))]
				found.Tokens[step.Of], found.Lenient = &v, found.Lenient || step.Lenient
			case VerifyHandshake, FetchHandshake:
				found.Handshake = &Handshake{Away: next(4) == 3, Directives: strings.Split(lines, "\n")}
			case Refresh:
				found.Refresh = &Renewal{Away: next(4) == 3, Cookies: strings.Split(lines, "\n")}
				if found.Refresh.Away {
					found.Refresh.Code = "fetch-error"
				}
			case SignedIn, Redirect:
				v := found.Tokens[step.Of]
				if signedIn := step.Action == SignedIn || step.Reason == ""; signedIn && (!v.valid() || facts.CrossSite && bearer == "" && !v.NoUser) {
					t.Fatalf("signed in: %+v", step)
				}
				to, err := url.Parse(step.Location)
				if step.Action == Redirect && (err != nil || to.User != nil || !slices.Contains([]string{"app.example.com", "clerk.example.com", "sat.example", "primary.example"}, to.Host) || to.Scheme != "https") {
					t.Fatalf("redirected to %q", step.Location)
				}
				return
			default:
				return
			}
		}
		t.Fatal("no end")
	})
}
