package clerkauth_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

type (
	claimsEmbedded struct {
		Team string `json:"team"`
		Rank string
	}
	claimsTwice struct{ Deep string }
	claimsLeft  struct{ claimsTwice }
	claimsRight struct{ claimsTwice }
	claimsOwn   struct{ Team string }
	claimsList  []claimsList
	ClaimsLoop  struct {
		Team string
		*ClaimsLoop
	}
	ClaimsTree struct {
		Team     string
		Children []ClaimsTree
	}
)

func (c *claimsOwn) UnmarshalJSON(data []byte) error {
	c.Team = fmt.Sprint(len(data))
	return nil
}

// decodesAs returns the error of ClaimsAs for a T, and reports whether encoding/json
// decodes two texts of equal meaning to the same T.
func decodesAs[T any](t *testing.T, who clerkauth.Auth, one, other string) (err error, alike bool) {
	t.Helper()
	var a, b T
	if err := errors.Join(json.Unmarshal([]byte(one), &a), json.Unmarshal([]byte(other), &b)); err != nil {
		t.Fatal(err)
	}
	got, err := clerkauth.ClaimsAs[T](who)
	if err == nil && !reflect.DeepEqual(got, a) {
		t.Errorf("%T: %+v, want %+v", a, got, a)
	}
	return err, reflect.DeepEqual(a, b)
}

// verified returns the Auth of a token.
func verified(t *testing.T, r *testkit.Rig, token string) clerkauth.Auth {
	t.Helper()
	who, err := r.Auth.VerifyToken(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return who
}

// withMembers returns a session token with more claims, verbatim.
func withMembers(r *testkit.Rig, members string) string {
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(r.Jane.Token(), ".")[1])
	if err != nil {
		panic(err)
	}
	header := `{"alg":"RS256","typ":"JWT","kid":"` + testkit.KeyID + `","cat":"cl_B7d4PD111AAA"}`
	return r.Server.SignRaw([]byte(header), []byte("{"+members+","+string(payload[1:])))
}

// olderJSON reports whether encoding/json ignores a tag's name that is not valid, as
// it did until Go 1.26. Until then it also falls back to a dominated field of
// another case.
func olderJSON() bool {
	var v struct {
		Team string `json:"te\"am"` //nolint:staticcheck // encoding/json does not read it
	}
	return json.Unmarshal([]byte(`{"team":"a"}`), &v) == nil && v.Team == "a"
}

// TestClaimsAsRefusesWhatItWouldMixUp: for many types, claims with two names that
// differ only in case are decoded where their order makes no difference, and
// rejected where it does.
func TestClaimsAsRefusesWhatItWouldMixUp(t *testing.T) {
	r := testkit.NewRig(t)
	for _, pair := range [][2]string{
		{`"team":"a"`, `"Team":"b"`}, {`"team":"a"`, `"TEAM":"b"`}, {`"rank":"a"`, `"Rank":"b"`}, {`"\u212aind":"a"`, `"kind":"b"`},
		{`"deep":"a"`, `"Deep":"b"`}, {`"hidden":"a"`, `"HIDDEN":"b"`}, {`"-":"a"`, `"x":"b"`}, {`"sub ":"a"`, `"SUB":"b"`},
		{`"meta":{"team":"a","Team":"b"}`, `"list":[{"rank":"a"},{"rank":"b"}]`},
		{`"meta":{"list":[{"team":"a"},{"TEAM":"b","team":"c"}]}`, `"meta2":0`},
		{`"meta":{"x":{"team":"a"},"X":{"team":"b"}}`, `"y":0`}, {`"meta":{"team":"a"}`, `"Meta":{"team":"b"}`},
		{`"children":[{"team":"a","TEAM":"b"}]`, `"kids":0`},
	} {
		text := func(a, b string) string { return "{" + a + "," + b + "}" }
		// What is nested is swapped as well.
		swap := func(s string) string {
			for _, two := range [][2]string{{`"team":"a"`, `"Team":"b"`}, {`"TEAM":"b"`, `"team":"c"`}, {`"team":"a"`, `"TEAM":"b"`},
				{`"x":{"team":"a"}`, `"X":{"team":"b"}`}} {
				s = strings.ReplaceAll(s, two[0]+","+two[1], two[1]+","+two[0])
			}
			return s
		}
		one, other := text(pair[0], pair[1]), text(swap(pair[1]), swap(pair[0]))
		who := verified(t, r, withMembers(r, pair[0]+","+pair[1]))
		for name, decode := range map[string]func() (error, bool){
			"map":            func() (error, bool) { return decodesAny[map[string]any](who) },
			"any":            func() (error, bool) { return decodesAny[any](who) },
			"raw":            func() (error, bool) { return decodesAny[json.RawMessage](who) },
			"its own":        func() (error, bool) { return decodesAny[claimsOwn](who) },
			"pointer to own": func() (error, bool) { return decodesAny[*claimsOwn](who) },
			"none":           func() (error, bool) { return decodesAs[struct{}](t, who, one, other) },
			"another":        func() (error, bool) { return decodesAs[struct{ Email string }](t, who, one, other) },
			"plain":          func() (error, bool) { return decodesAs[struct{ Team string }](t, who, one, other) },
			"pointer":        func() (error, bool) { return decodesAs[*struct{ Team *string }](t, who, one, other) },
			"both": func() (error, bool) {
				return decodesAs[struct {
					A string `json:"team"`
					B string `json:"Team"`
				}](t, who, one, other)
			},
			"embedded":         func() (error, bool) { return decodesAs[struct{ claimsEmbedded }](t, who, one, other) },
			"embedded pointer": func() (error, bool) { return decodesAs[struct{ *ClaimsTree }](t, who, one, other) },
			"less deep": func() (error, bool) {
				return decodesAs[struct {
					claimsEmbedded
					Team string
				}](t, who, one, other)
			},
			"embedded in itself": func() (error, bool) { return decodesAs[ClaimsLoop](t, who, one, other) },
			"two embedded": func() (error, bool) {
				return decodesAs[struct {
					claimsLeft
					claimsRight
				}](t, who, one, other)
			},
			"dashed": func() (error, bool) {
				return decodesAs[struct {
					Team string `json:"-"`
					Rank string `json:"-,"` //nolint:staticcheck // encoding/json reads it as the name -
				}](t, who, one, other)
			},
			"not exported": func() (error, bool) { return decodesAs[struct{ team, hidden string }](t, who, one, other) },
			"unusual tag": func() (error, bool) {
				return decodesAs[struct {
					Team string `json:"te\"am"` //nolint:staticcheck // encoding/json does not read it
					Kind string `json:",omitempty"`
					Sub  string `json:"sub "`
				}](t, who, one, other)
			},
			"nested": func() (error, bool) {
				return decodesAs[struct {
					Meta struct {
						claimsEmbedded
						List []claimsEmbedded
					}
				}](t, who, one, other)
			},
			"list of structs": func() (error, bool) { return decodesAs[struct{ List [1]claimsEmbedded }](t, who, one, other) },
			"map of raw": func() (error, bool) {
				return decodesAs[struct{ Meta map[string]json.RawMessage }](t, who, one, other)
			},
			"map in it": func() (error, bool) { return decodesAs[struct{ Meta map[string]any }](t, who, one, other) },
			"recursive": func() (error, bool) { return decodesAs[ClaimsTree](t, who, one, other) },
		} {
			err, alike := decode()
			// From Go 1.27 on encoding/json mixes up less for these. What it mixed up
			// before is refused there, too.
			stricter := !olderJSON() && (name == "unusual tag" || name == "less deep")
			if err == nil && !alike || err != nil && (alike && !stricter || !errors.Is(err, clerkauth.ErrTokenClaims)) {
				// A raw value shows the order in which things stand in it.
				if name != "map of raw" {
					t.Errorf("%s, %s: %v; in any order alike: %v", one, name, err, alike)
				}
			}
			if name == "map of raw" && err != nil && !strings.Contains(one, `"Meta"`) {
				t.Errorf("%s, %s: %v", one, name, err)
			}
		}
	}
	who := verified(t, r, withMembers(r, `"-":{"team":"a","TEAM":"b"}`))
	if _, err := clerkauth.ClaimsAs[struct {
		Meta claimsEmbedded `json:"-"`
	}](who); err != nil {
		t.Errorf("a field that is left out: %v", err)
	}
	who = verified(t, r, r.Jane.Token())
	if _, err := clerkauth.ClaimsAs[claimsList](who); !errors.Is(err, clerkauth.ErrTokenClaims) {
		t.Errorf("an object does not fit a list: %v", err)
	}
	if _, err := clerkauth.ClaimsAs[json.RawMessage](clerkauth.Auth{UserID: "user_1"}); !errors.Is(err, clerkauth.ErrUnauthenticated) {
		t.Errorf("made by hand: %v", err)
	}
}

// decodesAny is decodesAs for types that hold any claim.
func decodesAny[T any](who clerkauth.Auth) (err error, alike bool) {
	_, err = clerkauth.ClaimsAs[T](who)
	return err, true
}

// TestClaimsAsIsLinear counts allocations of claims that are twice as many, as deep,
// or both.
func TestClaimsAsIsLinear(t *testing.T) {
	r := testkit.NewRig(t)
	wide := func(n int) string {
		var members strings.Builder
		for i := range n {
			fmt.Fprintf(&members, `,"m%d":%d`, i, i)
		}
		return "{" + members.String()[1:] + "}"
	}
	deep := func(n int) string {
		return strings.Repeat(`{"team":"x","children":[`, n/2) + "0" + strings.Repeat("]}", n/2)
	}
	for what, of := range map[string]func(int) string{
		"wide": func(n int) string { return wide(500 * n) },
		"deep": func(n int) string { return deep(30 * n) },
		"both": func(n int) string { return `[` + deep(30*n) + `,` + wide(400*n) + `]` },
	} {
		type target struct {
			X    any
			Team string
		}
		type tree struct {
			X ClaimsTree
			Y []ClaimsTree `json:"x2"`
		}
		cost := func(n int) (plain, typed float64) {
			who := verified(t, r, r.Jane.Token(clerkauthtest.WithClaim("X", json.RawMessage(of(n)))))
			plain = testing.AllocsPerRun(20, func() { _, _ = clerkauth.ClaimsAs[target](who) })
			return plain, testing.AllocsPerRun(20, func() { _, _ = clerkauth.ClaimsAs[tree](who) })
		}
		plain, typed := cost(1)
		plain2, typed2 := cost(2)
		if plain2 > 2.2*plain+20 || typed2 > 2.2*typed+20 {
			t.Errorf("%s: %v and %v allocations, of twice as much %v and %v", what, plain, typed, plain2, typed2)
		}
	}
}
