package catalogue

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// These rows test the claims of a correctly signed token.
var _ = addRows(rows{
	"48/no_exp": func(t *testing.T) {
		r := newTokenRow(t)
		r.refuses("no exp", r.token(clerkauthtest.WithoutClaim("exp")), clerkauth.ErrTokenClaims)
		claimRefused(r, clerkauth.ErrTokenClaims, "exp", `null`)
	},
	"49/exp_of_another_type": func(t *testing.T) {
		claimRefused(newTokenRow(t), clerkauth.ErrTokenClaims, "exp", strconv.Quote(claimSeconds(time.Hour)), `[1]`,
			`["`+claimSeconds(time.Hour)+`"]`, `{}`, `true`, `""`)
	},
	"50/exp_out_of_range": func(t *testing.T) {
		r := newTokenRow(t)
		claimRefused(r, clerkauth.ErrTokenClaims, "exp", `1e400`, `-1e400`, `1e308`, `9223372036854775807`, `9223372036854775808`,
			`18446744073709551616`, `253402300800`)
		claimRefused(r, clerkauth.ErrTokenInvalid, "exp", `NaN`, `Infinity`, `-Infinity`, `0x7fffffff`, `1_790_000_000`, `+1`)
		r.accepts("the last second of 9999", r.claims("exp", "253402300799"))
	},
	"51/exp_zero_or_negative": func(t *testing.T) {
		r := newTokenRow(t)
		claimRefused(r, clerkauth.ErrTokenClaims, "exp", `-1`, `-9223372036854775808`, `-0.5`)
		claimRefused(r, clerkauth.ErrTokenExpired, "exp", `0`, `-0`, `1`)
	},
	"52/fractional_times":    claimFractions,
	"53/exp_at_the_boundary": claimExpiry,
	"54/nbf_in_the_future":   func(t *testing.T) { claimBeginning(t, "nbf", clerkauth.ErrTokenEarly) },
	"55/iat_in_the_future":   func(t *testing.T) { claimBeginning(t, "iat", clerkauth.ErrTokenFuture) },
	"56/times_out_of_order":  claimOrder,
	"57/odd_clock_skew":      claimSkew,
	"58/no_authorized_party": claimNoParty,
	"59/party_of_another_type": func(t *testing.T) {
		origin := tokenServer().Origin()
		claimRefused(newTokenRow(t), clerkauth.ErrTokenParty, "azp", `["`+origin+`"]`, `{"0":"`+origin+`"}`, `7`, `true`, `[]`)
	},
	"60/party_almost_equal": claimOtherParties,
	"61/odd_party_origins":  claimUnusualParties,
	"62/empty_party_list": func(t *testing.T) {
		for what, parties := range map[string][]string{"none": nil, "empty list": {}, "empty entry": {""}, "null": {"null"}} {
			c := tokenServer().Config()
			c.AuthorizedParties = parties
			if a, err := clerkauth.New(c); err == nil || a != nil {
				t.Errorf("%s: there is an Authenticator", what)
			}
		}
		newTokenRow(t).accepts("control", tokenSession().Token())
	},
	"63/wrong_audience": claimAudience,
	"64/odd_subject": func(t *testing.T) {
		r := newTokenRow(t)
		r.refuses("no sub", r.token(clerkauthtest.WithoutClaim("sub")), clerkauth.ErrTokenClaims)
		claimRefused(r, clerkauth.ErrTokenClaims, "sub", `""`, `null`, `7`, `["user_1"]`, `{}`, `true`, `"`+strings.Repeat("u", 10<<10)+`"`,
			`"user_1\u0000"`, `"user_1\n"`, `"user\n1"`, `"user 1"`, `"user_\u00e9"`)
	},
	"65/other_issuers":              claimIssuers,
	"66/two_instances_with_one_key": claimTwoInstances,
})

// claimRefused requires tokens with these values of a claim to be rejected, and
// accepted without them.
func claimRefused(r tokenRow, why clerkauth.Reason, name string, values ...string) {
	r.t.Helper()
	for _, value := range values {
		r.refuses(name+" "+value[:min(len(value), 40)], r.claims(name, value), why)
	}
	good := map[string]string{
		"exp": claimSeconds(time.Hour), "nbf": claimSeconds(-time.Minute), "iat": claimSeconds(-time.Minute),
		"azp": strconv.Quote(r.srv.Origin()), "iss": strconv.Quote(r.srv.Issuer()), "sub": `"user_1"`, "sid": `"sess_1"`, "aud": `"api"`, "sts": `"active"`,
	}
	r.accepts("control", r.claims(name, good[name]))
}

// claimIgnored requires tokens with these values of a claim not to be credentials of
// this instance.
func claimIgnored(r tokenRow, why clerkauth.Reason, name string, values ...string) {
	r.t.Helper()
	for _, value := range values {
		r.ignores(name+" "+value[:min(len(value), 40)], r.claims(name, value), why)
	}
}

// claimSeconds returns a time, relative to now, as a JSON number.
func claimSeconds(fromNow time.Duration) string {
	return strconv.FormatInt(tokenServer().Now().Add(fromNow).Unix(), 10)
}

// claimNow returns the time for rows in which a second counts.
func claimNow() time.Time { return tokenServer().Now().Truncate(time.Second) }

// claimTimes mints a token with these times, relative to at.
func claimTimes(r tokenRow, at time.Time, iat, nbf, exp time.Duration) string {
	text := func(d time.Duration) string { return fmt.Sprint(at.Add(d).Unix()) }
	return r.claims("iat", text(iat), "nbf", text(nbf), "exp", text(exp))
}

// claimFractions: fractions of a second are truncated.
func claimFractions(t *testing.T) {
	at := time.Unix(1_790_000_000, 0)
	r := newTokenRow(t, tokenClock(at.Add(-time.Minute)))
	old := []string{"iat", "1780000000", "nbf", "1780000000", "exp"}
	for _, exp := range []string{"1790000000.9", "1.79e9", "1790000000.0", "179E+7", "17900000000e-1"} {
		if who := r.accepts("exp "+exp, r.claims(append(old, exp)...)); !who.ExpiresAt.Equal(at) {
			t.Errorf("exp %s: %v", exp, who.ExpiresAt)
		}
	}
	r = newTokenRow(t, tokenClock(at.Add(5*time.Second)))
	r.refuses("a fraction of a second too late", r.claims(append(old, "1790000000.9")...), clerkauth.ErrTokenExpired)
	r.accepts("control", r.claims(append(old, "1790000001.0")...))
}

func claimExpiry(t *testing.T) {
	at := claimNow()
	const s = time.Second
	for _, tc := range []struct {
		skew time.Duration
		last time.Duration // of the rejected ones
	}{{0, -5 * s}, {clerkauth.NoClockSkew, 0}, {s, -s}, {5 * time.Minute, -5 * time.Minute}} {
		r := newTokenRow(t, tokenClock(at), func(c *clerkauth.Config) { c.ClockSkew = tc.skew })
		token := func(exp time.Duration) string { return claimTimes(r, at, -time.Hour, -time.Hour, exp) }
		r.refuses(fmt.Sprintf("skew %v, long ago", tc.skew), token(-time.Hour), clerkauth.ErrTokenExpired)
		r.refuses(fmt.Sprintf("skew %v, a second ago", tc.skew), token(tc.last-s), clerkauth.ErrTokenExpired)
		r.refuses(fmt.Sprintf("skew %v, just now", tc.skew), token(tc.last), clerkauth.ErrTokenExpired)
		r.accepts(fmt.Sprintf("skew %v, in a second", tc.skew), token(tc.last+s))
	}
}

// claimBeginning tests nbf and iat, which have one rule and two reasons.
func claimBeginning(t *testing.T, name string, why clerkauth.Reason) {
	at := claimNow()
	r := newTokenRow(t, tokenClock(at))
	token := func(d time.Duration) string {
		return r.claims(name, strconv.FormatInt(at.Add(d).Unix(), 10), "exp", "253402300799")
	}
	for _, d := range []time.Duration{6 * time.Second, time.Hour, 100 * 365 * 24 * time.Hour} {
		r.refuses(name+" in "+d.String(), token(d), why)
	}
	r.accepts("control", token(5*time.Second))
	r.accepts("fraction", r.claims(name, fmt.Sprint(at.Unix(), ".5")))
	r.accepts("none", r.token(clerkauthtest.WithoutClaim(name)))
	claimRefused(r, clerkauth.ErrTokenClaims, name, strconv.Quote(claimSeconds(0)), `""`, `null`, `true`, `[1]`, `{}`, `-1`, `1e400`,
		`253402300800`, `9223372036854775808`)
}

// claimOrder: the lifetime of a token is not limited; Clerk's JWT templates allow
// ten years, and they belong to the instance.
func claimOrder(t *testing.T) {
	at := claimNow()
	r := newTokenRow(t, tokenClock(at))
	const s = time.Second
	// With the clock skew each of these times alone would be accepted.
	r.refuses("iat behind exp", claimTimes(r, at, -2*s, -time.Hour, -3*s), clerkauth.ErrTokenClaims)
	r.refuses("nbf behind exp", claimTimes(r, at, -time.Hour, -2*s, -3*s), clerkauth.ErrTokenClaims)
	r.refuses("both behind exp", claimTimes(r, at, 4*s, 4*s, 3*s), clerkauth.ErrTokenClaims)
	r.accepts("control", claimTimes(r, at, -4*s, -4*s, -3*s))
	r.accepts("all at once", claimTimes(r, at, -3*s, -3*s, -3*s))
	r.accepts("ten years", claimTimes(r, at, 0, 0, 10*365*24*time.Hour))
}

func claimSkew(t *testing.T) {
	for _, skew := range []time.Duration{-2, -time.Second, -time.Hour, math.MinInt64, 5*time.Minute + 1, 24 * time.Hour, math.MaxInt64} {
		c := tokenServer().Config()
		c.ClockSkew = skew
		if a, err := clerkauth.New(c); err == nil || a != nil {
			t.Errorf("ClockSkew %d: there is an Authenticator", skew)
		}
	}
	for _, skew := range []time.Duration{0, 1, clerkauth.NoClockSkew, 5 * time.Minute} {
		r := newTokenRow(t, func(c *clerkauth.Config) { c.ClockSkew = skew })
		r.accepts("control", r.token())
		r.refuses("expired", r.token(clerkauthtest.ExpiresIn(-time.Hour)), clerkauth.ErrTokenExpired)
	}
}

func claimNoParty(t *testing.T) {
	for missing, accepted := range map[clerkauth.MissingParty]bool{
		clerkauth.RefuseMissing: false, clerkauth.AllowMissingFromCookie: false, clerkauth.AllowMissingFromHeader: true, clerkauth.AllowMissing: true,
	} {
		r := newTokenRow(t, func(c *clerkauth.Config) { c.MissingParty = missing })
		if token := r.token(clerkauthtest.WithoutParty()); accepted {
			r.accepts("no azp", token)
		} else {
			r.refuses("no azp", token, clerkauth.ErrTokenParty)
		}
		claimRefused(r, clerkauth.ErrTokenParty, "azp", `""`, `null`, `"https://other.example"`)
	}
	r := newTokenRow(t, func(c *clerkauth.Config) { c.AuthorizedParties, c.InsecureAnyParty = nil, true })
	r.accepts("any party will do", r.token(clerkauthtest.WithoutParty()))
}

func claimOtherParties(t *testing.T) {
	r := newTokenRow(t)
	host := strings.TrimPrefix(r.srv.Origin(), "https://")
	for _, azp := range []string{
		"https://" + strings.ToUpper(host), "https://APP" + strings.TrimPrefix(host, "app"), "https://" + host + "/", "https://" + host + ":443",
		"http://" + host, "https://" + host + ".", "https://" + host + ".evil.com",
		"https://" + host + "@evil.com", "HTTPS://" + host, host, "//" + host, "https://" + host[1:], "https://x." + host, " https://" + host,
		"https://" + host + " ", "https://" + host + ",https://" + host, "*", "https://*",
	} {
		claimRefused(r, clerkauth.ErrTokenParty, "azp", strconv.Quote(azp))
	}
	claimRefused(r, clerkauth.ErrTokenParty, "azp", `"https:\/\/`+host+`\u0000"`)
	r.accepts("escaped", r.claims("azp", `"https:\/\/\u0061`+host[1:]+`"`))
}

func claimUnusualParties(t *testing.T) {
	r := newTokenRow(t)
	claimRefused(r, clerkauth.ErrTokenParty, "azp", `"null"`, `"https://xn--pp-fka.example"`, `"https://аpp.example"`, `"https://\u0430pp.example.com"`)
	r = newTokenRow(t, func(c *clerkauth.Config) {
		c.AuthorizedParties = append(c.AuthorizedParties, "https://xn--pp-fka.example")
	})
	claimRefused(r, clerkauth.ErrTokenParty, "azp", `"null"`, `"https://аpp.example"`, `"https://XN--pp-fka.example"`)
	r.accepts("listed", r.claims("azp", `"https://xn--pp-fka.example"`))
	for _, party := range []string{"null", "*", "https://app.example.com/path", "https://аpp.example", "https://*.example.com"} {
		c := r.srv.Config()
		c.AuthorizedParties = append(c.AuthorizedParties, party)
		if a, err := clerkauth.New(c); err == nil || a != nil {
			t.Errorf("party %q: there is an Authenticator", party)
		}
	}
}

func claimAudience(t *testing.T) {
	r := newTokenRow(t, func(c *clerkauth.Config) { c.Audience = []string{"api", "api2"} })
	for _, aud := range []string{`"api"`, `"api2"`, `["api","x"]`, `["x","api"]`, `["api"]`} {
		r.accepts("aud "+aud, r.claims("aud", aud))
	}
	r.refuses("no aud", r.token(), clerkauth.ErrTokenClaims)
	claimRefused(r, clerkauth.ErrTokenClaims, "aud", `[]`, `null`, `[null]`, `["api",7]`, `["api",null]`, `"api "`, `" api"`, `"API"`,
		`{"0":"api"}`, `"x"`, `["x"]`, `""`, `[["api"]]`, `7`, `true`, `"api,x"`)
	// Without a required audience any audience is accepted.
	r = newTokenRow(t)
	for _, aud := range []string{`"x"`, `[]`, `null`, `7`} {
		r.accepts("aud "+aud, r.claims("aud", aud))
	}
}

func claimIssuers(t *testing.T) {
	r := newTokenRow(t)
	host := strings.TrimPrefix(r.srv.Issuer(), "https://")
	r.refuses("no iss", r.token(clerkauthtest.WithoutClaim("iss")), clerkauth.ErrTokenIssuer)
	claimRefused(r, clerkauth.ErrTokenIssuer, "iss", `null`, `["https://`+host+`"]`, `7`, `{}`, `true`)
	r = newTokenRow(t)
	claimIgnored(r, clerkauth.ErrTokenIssuer, "iss", `"https://clerk.evil.com"`, `"http://evil.com/?x=.clerk.accounts"`,
		`"https://`+host+`.evil.com"`, `"https://`+host+`/"`, `"https://`+strings.ToUpper(host)+`"`,
		`"http://`+host+`"`, `"https://`+host+`:443"`, `"`+host+`"`, `"https://evil.com/`+host+`"`, `"https://x`+host+`"`, `""`,
		`"https://`+host+`\u0000"`)
	r.fetched(0)
	r = newTokenRow(t, func(c *clerkauth.Config) { c.Issuers = []string{"https://clerk.other.example"} })
	r.accepts("another that is configured", r.claims("iss", `"https://clerk.other.example"`))
	claimIgnored(r, clerkauth.ErrTokenIssuer, "iss", `"https://clerk.evil.com"`)
}

// claimTwoInstances tests two instances in one process whose keys share an id, and
// then a key as well. The issuer decides which instance a token belongs to, before a
// key is looked up.
func claimTwoInstances(t *testing.T) {
	a := newTokenRow(t)
	for what, option := range map[string]clerkauthtest.Option{
		"of one id": clerkauthtest.SigningKey(a.srv.KeyID(), tokenAttacker()),
		"of one":    clerkauthtest.SigningKey(a.srv.KeyID(), a.srv.Key()),
	} {
		srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory(), option)
		session := srv.SignIn(srv.CreateUser("joe@example.com"))
		auth, err := clerkauth.New(srv.Config())
		if err != nil {
			t.Fatal(err)
		}
		b := tokenVerifier{t: t, by: "the other instance", auth: auth, log: new(testkit.Log)}
		for range 2 { // with keys to fetch, and with fetched keys
			a.accepts("control", a.token())
			b.accepts("control", session.Token())
			a.ignores("keys "+what, session.Token(), clerkauth.ErrTokenIssuer)
			b.ignores("keys "+what, a.token(), clerkauth.ErrTokenIssuer)
		}
		// A token that names the other instance and is signed by this one.
		forged := session.Token(clerkauthtest.WithClaim("iss", a.srv.Issuer()), clerkauthtest.SignedBy(tokenAttacker()))
		a.refuses("keys "+what, forged, clerkauth.ErrTokenSignature)
	}
}
