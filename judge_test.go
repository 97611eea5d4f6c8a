package clerkauth

import (
	"testing"
	"time"

	"github.com/clerkauth/clerkauth/internal/claims"
)

// TestJudgementIsPure: claims are judged without a key, a server or a clock, and
// with the same result each time.
func TestJudgementIsPure(t *testing.T) {
	now := time.Unix(1_790_000_000, 0)
	at := func(after time.Duration) claims.Time {
		return claims.Time{Unix: now.Add(after).Unix(), Is: claims.Present}
	}
	const skew = 5 * time.Second
	basic := rules{
		issuers: []string{"https://clerk.example.com"},
		parties: parties{list: []string{"https://app.example.com"}},
		skew:    skew,
	}
	type session = claims.Session
	for name, c := range map[string]struct {
		change func(*session)
		rules  func(*rules)
		from   carrier
		want   Reason
	}{
		"good":                       {want: ""},
		"no sub":                     {change: func(s *session) { s.Subject = "" }, want: ErrTokenClaims},
		"no sub before bad azp":      {change: func(s *session) { s.Subject, s.Party = "", "x" }, want: ErrTokenClaims},
		"azp of another":             {change: func(s *session) { s.Party = "https://evil.example" }, want: ErrTokenParty},
		"azp before iss":             {change: func(s *session) { s.Party, s.Issuer = "https://evil.example", "x" }, want: ErrTokenParty},
		"azp malformed":              {change: func(s *session) { s.PartyIs = claims.Malformed }, want: ErrTokenParty},
		"no azp":                     {change: func(s *session) { s.Party, s.PartyIs = "", claims.Absent }, want: ErrTokenParty},
		"no azp, header allowed":     {change: func(s *session) { s.PartyIs = claims.Absent }, rules: func(u *rules) { u.parties.missing = AllowMissingFromHeader }, want: ""},
		"no azp, cookie, header":     {change: func(s *session) { s.PartyIs = claims.Absent }, rules: func(u *rules) { u.parties.missing = AllowMissingFromHeader }, from: fromCookie, want: ErrTokenParty},
		"iss of another":             {change: func(s *session) { s.Issuer = "https://clerk.example.com/" }, want: ErrTokenIssuer},
		"iss before exp":             {change: func(s *session) { s.Issuer, s.ExpiresAt = "", at(-time.Hour) }, want: ErrTokenIssuer},
		"no exp":                     {change: func(s *session) { s.ExpiresAt = claims.Time{} }, want: ErrTokenClaims},
		"expired":                    {change: func(s *session) { s.ExpiresAt = at(-skew) }, want: ErrTokenExpired},
		"expired within skew":        {change: func(s *session) { s.ExpiresAt = at(-skew + time.Second) }, want: ""},
		"expired, no skew":           {change: func(s *session) { s.ExpiresAt = at(0) }, rules: func(u *rules) { u.skew = 0 }, want: ErrTokenExpired},
		"not yet":                    {change: func(s *session) { s.NotBefore = at(skew + time.Second) }, want: ErrTokenEarly},
		"not yet, within skew":       {change: func(s *session) { s.NotBefore = at(skew) }, want: ""},
		"nbf malformed":              {change: func(s *session) { s.NotBefore.Is = claims.Malformed }, want: ErrTokenClaims},
		"iat in the future":          {change: func(s *session) { s.IssuedAt = at(skew + time.Second) }, want: ErrTokenFuture},
		"iat malformed":              {change: func(s *session) { s.IssuedAt.Is = claims.Malformed }, want: ErrTokenClaims},
		"nbf before iat":             {change: func(s *session) { s.NotBefore, s.IssuedAt = at(time.Hour), at(time.Hour) }, want: ErrTokenEarly},
		"never valid":                {change: func(s *session) { s.ExpiresAt, s.IssuedAt = at(-2*time.Second), at(0) }, want: ErrTokenClaims},
		"bound to a key":             {change: func(s *session) { s.Bound = true }, want: ErrTokenClaims},
		"no sid":                     {change: func(s *session) { s.SessionID = "" }, want: ErrTokenClaims},
		"sts malformed":              {change: func(s *session) { s.StatusIs = claims.Malformed }, want: ErrTokenClaims},
		"pending":                    {change: func(s *session) { s.Status = claims.StatusPending }, want: ErrSessionPending},
		"pending, allowed":           {change: func(s *session) { s.Status = claims.StatusPending }, rules: func(u *rules) { u.allowPending = true }, want: ""},
		"pending and expired":        {change: func(s *session) { s.Status, s.ExpiresAt = claims.StatusPending, at(-time.Hour) }, want: ErrTokenExpired},
		"audience required":          {rules: func(u *rules) { u.audience = []string{"a"} }, want: ErrTokenClaims},
		"audience of another":        {change: func(s *session) { s.Audience, s.AudienceIs = []string{"b"}, claims.Present }, rules: func(u *rules) { u.audience = []string{"a"} }, want: ErrTokenClaims},
		"audience, one of two":       {change: func(s *session) { s.Audience, s.AudienceIs = []string{"b", "a"}, claims.Present }, rules: func(u *rules) { u.audience = []string{"a"} }, want: ""},
		"audience malformed":         {change: func(s *session) { s.Audience, s.AudienceIs = []string{"a"}, claims.Malformed }, rules: func(u *rules) { u.audience = []string{"a"} }, want: ErrTokenClaims},
		"any party":                  {change: func(s *session) { s.Party = "https://evil.example" }, rules: func(u *rules) { u.parties = parties{any: true} }, want: ""},
		"any party, azp malformed":   {change: func(s *session) { s.PartyIs = claims.Malformed }, rules: func(u *rules) { u.parties = parties{any: true} }, want: ""},
		"second issuer":              {change: func(s *session) { s.Issuer = "https://b.example" }, rules: func(u *rules) { u.issuers = append(u.issuers, "https://b.example") }, want: ""},
		"no rules at all":            {rules: func(u *rules) { *u = rules{} }, want: ErrTokenParty},
		"no issuer in configuration": {change: func(s *session) { s.Issuer = "" }, rules: func(u *rules) { u.issuers = nil }, want: ErrTokenIssuer},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{
				Registered: claims.Registered{Subject: "user_1", Issuer: "https://clerk.example.com", ExpiresAt: at(time.Minute), NotBefore: at(-time.Minute), IssuedAt: at(-time.Minute)},
				SessionID:  "sess_1", Party: "https://app.example.com", PartyIs: claims.Present,
			}
			u, from := basic, fromHeader
			if c.change != nil {
				c.change(s)
			}
			if c.rules != nil {
				c.rules(&u)
			}
			if c.from != 0 {
				from = c.from
			}
			for range 2 {
				if got, _ := u.judgeSession(s, from, now); got != c.want {
					t.Errorf("%q, want %q", got, c.want)
				}
			}
		})
	}
}

// TestMachineJudgementIsPure: claims of machine credentials are judged likewise,
// however they were verified.
func TestMachineJudgementIsPure(t *testing.T) {
	mine := &rules{machineID: "mch_1"}
	for name, c := range map[string]struct {
		m    machine
		want Reason
	}{
		"API key of a user":             {machine{Type: APIKey, ID: "ak_1", Subject: "user_1"}, ""},
		"API key of an organization":    {machine{Type: APIKey, ID: "ak_1", Subject: "org_1"}, ""},
		"API key of a machine":          {machine{Type: APIKey, ID: "ak_1", Subject: "mch_1"}, ErrTokenClaims},
		"API key of a prefix":           {machine{Type: APIKey, ID: "ak_1", Subject: "user_"}, ErrTokenClaims},
		"no id":                         {machine{Type: APIKey, Subject: "user_1"}, ErrTokenClaims},
		"OAuth token of a user":         {machine{Type: OAuthToken, ID: "oat_1", Subject: "user_1"}, ""},
		"OAuth token of an org":         {machine{Type: OAuthToken, ID: "oat_1", Subject: "org_1"}, ErrTokenClaims},
		"machine to this machine":       {machine{Type: M2MToken, ID: "mt_1", Subject: "mch_2", Scopes: []string{"mch_3", "mch_1"}}, ""},
		"machine to another machine":    {machine{Type: M2MToken, ID: "mt_1", Subject: "mch_2", Scopes: []string{"mch_3"}}, ErrTokenParty},
		"machine to no machine":         {machine{Type: M2MToken, ID: "mt_1", Subject: "mch_2"}, ErrTokenParty},
		"a session's token":             {machine{Type: SessionToken, ID: "sess_1", Subject: "user_1"}, ErrTokenClaims},
		"a credential of no known kind": {machine{ID: "x_1", Subject: "user_1"}, ErrTokenClaims},
	} {
		if got := mine.judgeMachine(&c.m); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if got := (&rules{}).judgeMachine(&machine{Type: M2MToken, ID: "mt_1", Subject: "mch_2"}); got != "" {
		t.Errorf("without an id of our own, a machine's token: %q", got)
	}
}
