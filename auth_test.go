package clerkauth_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// TestAuthLogsIDs: an Auth in a log shows ids and kinds, and nothing else that its
// credential says.
func TestAuthLogsIDs(t *testing.T) {
	r := testkit.NewMachineRig(t)
	who, err := r.Auth.VerifyToken(t.Context(), r.Jane.Token(clerkauthtest.WithClaim("email", "jane@private.example"),
		clerkauthtest.WithClaim("act", map[string]any{"sub": "user_2", "type": "private-type"})))
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("served", "who", who)
	}
	for _, id := range []string{who.UserID, who.SessionID, who.OrgID, "user_2", string(clerkauth.SessionToken)} {
		if strings.Count(log.String(), id) < 2 {
			t.Errorf("%s is not in %s", id, &log)
		}
	}
	for _, private := range []string{"private", "acme", "admin", "eyJ"} {
		if strings.Contains(log.String(), private) {
			t.Errorf("%s is in %s", private, &log)
		}
	}
	log.Reset()
	slog.New(slog.NewTextHandler(&log, nil)).Info("served", "who", clerkauth.Auth{})
	if strings.Contains(log.String(), "who") {
		t.Errorf("an anonymous caller logs %s", &log)
	}
}

// TestFactorAges: ages are those of the token, and the time since it was minted.
func TestFactorAges(t *testing.T) {
	r := testkit.NewRig(t)
	for name, c := range map[string]struct {
		claim         any
		first, second time.Duration
		ok            bool
	}{
		"both":         {[]int{3, 10}, 3 * time.Minute, 10 * time.Minute, true},
		"one":          {[]int{3, -1}, 3 * time.Minute, -1, true},
		"none":         {[]int{-1, -1}, -1, -1, true},
		"half minutes": {[]float64{0.5, 0}, 30 * time.Second, 0, true},
		"malformed":    {[]int{3}, 0, 0, false},
		"absent":       {nil, 0, 0, false},
	} {
		now := r.Server.Now()
		option := clerkauthtest.WithoutClaim("fva")
		if c.claim != nil {
			option = clerkauthtest.WithClaim("fva", c.claim)
		}
		for _, passed := range []time.Duration{0, 2 * time.Minute} {
			auth := testkit.NewAuth(t, r.Server, func(config *clerkauth.Config) {
				config.Now = func() time.Time { return now.Truncate(time.Second).Add(passed) }
				config.ClockSkew = 5 * time.Minute
			})
			who, err := auth.VerifyToken(t.Context(), r.Jane.Token(option, clerkauthtest.WithClaim("iat", now.Unix())))
			if err != nil {
				t.Fatal(err)
			}
			first, second, ok := who.FactorAges()
			want := func(age time.Duration) time.Duration {
				if age < 0 || !c.ok {
					return age
				}
				return age + passed
			}
			if first != want(c.first) || second != want(c.second) || ok != c.ok {
				t.Errorf("%s, after %v: %v, %v, %t", name, passed, first, second, ok)
			}
		}
	}
	if _, _, ok := (clerkauth.Auth{UserID: "user_1"}).FactorAges(); ok {
		t.Error("an Auth made by hand has ages")
	}
}

// TestLifetime: a token is requested with a lifetime that Clerk can have, or not at all.
func TestLifetime(t *testing.T) {
	r := testkit.NewRig(t, func(c *clerkauth.Config) { c.MissingParty = clerkauth.AllowMissingFromHeader })
	who, err := r.Auth.VerifyToken(t.Context(), r.Jane.Token())
	if err != nil {
		t.Fatal(err)
	}
	for lifetime, ok := range map[time.Duration]bool{time.Hour: true, 90 * time.Second: true, 0: false, -time.Second: false, 1500 * time.Millisecond: false, 1 << 62: false} {
		token, err := r.Auth.GetToken(t.Context(), who, "", clerkauth.Lifetime(lifetime))
		if !ok {
			if !errors.Is(err, clerkauth.ErrConfiguration) {
				t.Errorf("%v: %v", lifetime, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Auth.VerifyToken(t.Context(), token)
		if err != nil || got.ExpiresAt.Sub(got.IssuedAt) != lifetime {
			t.Errorf("%v: %v, %v", lifetime, got.ExpiresAt.Sub(got.IssuedAt), err)
		}
	}
	if _, err := r.Auth.GetToken(t.Context(), who, "", nil); err != nil {
		t.Errorf("no option: %v", err)
	}
}
