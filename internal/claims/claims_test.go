package claims

import (
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func read(t *testing.T, payload string) *Session {
	t.Helper()
	p, err := Parse(payload, nil)
	if err != nil {
		t.Fatalf("%s: %v", payload, err)
	}
	return p.ReadSession()
}

func TestPayloadIsAnObject(t *testing.T) {
	for _, in := range []string{`[]`, `null`, `"x"`, `{}x`, `{}{}`, "\ufeff{}", "{\"a\":\"\xff\"}", `{"a":"\ud800"}`, `{"sub":"a","sub":"b"}`, `{"sub":"a","su\u0062":"b"}`} {
		if _, err := Parse(in, nil); err == nil {
			t.Errorf("%q passed", in)
		}
	}
}

func TestIDs(t *testing.T) {
	for value, ok := range map[string]bool{
		`"user_1"`: true, `"` + strings.Repeat("u", 256) + `"`: true,
		`""`: false, `null`: false, `7`: false, `["user_1"]`: false, `true`: false, `"user 1"`: false, `"user\n1"`: false, `"user\u0000"`: false,
		`"usér"`: false, `"user\u007f"`: false, `"` + strings.Repeat("u", 257) + `"`: false,
	} {
		s := read(t, `{"sub":`+value+`,"sid":`+strings.Replace(value, `"u`, `"sess_u`, 1)+`}`)
		if (s.Subject != "") != ok || (s.SessionID != "") != (ok && len(value) < 256) {
			t.Errorf("id %.30s: sub %q, sid %q", value, s.Subject, s.SessionID)
		}
	}
	for _, sid := range []string{"user_1", "..", "../../users/x", "SESS_1", "ses_1"} {
		if s := read(t, `{"sid":"`+sid+`"}`); s.SessionID != "" {
			t.Errorf("sid %q passed", sid)
		}
	}
	if s := read(t, `{"SUB":"user_2","ſub":"user_3"}`); s.Subject != "" {
		t.Error("names were folded")
	}
}

func TestTimes(t *testing.T) {
	for value, want := range map[string]Time{
		`1790000000`: {1790000000, Present}, `1790000000.9`: {1790000000, Present}, `1.79e9`: {1790000000, Present}, `0`: {0, Present},
		`253402300799`: {253402300799, Present}, `253402300800`: {Is: Malformed}, `9223372036854775807`: {Is: Malformed}, `18446744073709551616`: {Is: Malformed},
		`1e308`: {Is: Malformed}, `1e400`: {Is: Malformed}, `-1e400`: {Is: Malformed}, `-1`: {Is: Malformed}, `-0.5`: {Is: Malformed}, `null`: {Is: Malformed},
		`"1790000000"`: {Is: Malformed}, `[1]`: {Is: Malformed}, `{}`: {Is: Malformed}, `true`: {Is: Malformed}, `""`: {Is: Malformed},
	} {
		s := read(t, `{"exp":`+value+`,"nbf":`+value+`,"iat":`+value+`}`)
		if s.ExpiresAt != want || s.NotBefore != want || s.IssuedAt != want {
			t.Errorf("time %s: %+v %+v %+v, want %+v", value, s.ExpiresAt, s.NotBefore, s.IssuedAt, want)
		}
	}
	if s := read(t, `{}`); s.ExpiresAt.Is != Absent || s.NotBefore.Is != Absent || s.IssuedAt.Is != Absent {
		t.Error("absent times are not Absent")
	}
}

func TestPartyAudienceStatus(t *testing.T) {
	for value, is := range map[string]Presence{`"https://a.example"`: Present, `""`: Malformed, `null`: Malformed, `7`: Malformed, `["https://a.example"]`: Malformed, `{"0":1}`: Malformed} {
		if s := read(t, `{"azp":`+value+`}`); s.PartyIs != is {
			t.Errorf("azp %s: %v", value, s.PartyIs)
		}
	}
	for value, want := range map[string][]string{
		`"api"`: {"api"}, `["api","x"]`: {"api", "x"},
		`""`: nil, `[]`: nil, `null`: nil, `[null]`: nil, `["api",7]`: nil, `{"0":"api"}`: nil, `7`: nil,
	} {
		s := read(t, `{"aud":`+value+`}`)
		if !slices.Equal(s.Audience, want) || (s.AudienceIs == Present) != (want != nil) {
			t.Errorf("aud %s: %q, %v", value, s.Audience, s.AudienceIs)
		}
	}
	for value, is := range map[string]Presence{`"active"`: Present, `"pending"`: Present, `"PENDING"`: Malformed, `"revoked"`: Malformed, `""`: Malformed, `null`: Malformed, `1`: Malformed} {
		if s := read(t, `{"sts":`+value+`}`); s.StatusIs != is {
			t.Errorf("sts %s: %v", value, s.StatusIs)
		}
	}
	if s := read(t, `{}`); s.PartyIs != Absent || s.AudienceIs != Absent || s.StatusIs != Absent {
		t.Error("absent claims are not Absent")
	}
}

func TestFactorAges(t *testing.T) {
	for value, want := range map[string]Ages{
		`[0,0]`: {0, 0, true}, `[3,-1]`: {3, -1, true}, `[-1,-1]`: {-1, -1, true}, `[0.5,1e3]`: {0.5, 1000, true},
		`null`: {}, `[]`: {}, `[1]`: {}, `[1,2,3]`: {}, `["1","2"]`: {}, `[-2,0]`: {}, `[0,-1.5]`: {}, `[1e400,0]`: {}, `7`: {},
	} {
		if s := read(t, `{"fva":`+value+`}`); s.Ages != want {
			t.Errorf("fva %s: %+v, want %+v", value, s.Ages, want)
		}
	}
}

func TestActor(t *testing.T) {
	for value, want := range map[string]string{`{"sub":"user_2"}`: "user_2", `{"sub":7}`: "", `{}`: "", `"user_2"`: "", `null`: "", `[]`: ""} {
		if s := read(t, `{"act":`+value+`}`); s.Acting == nil && want != "" || s.Acting != nil && s.Acting.ID != want {
			t.Errorf("act %s: %+v, want %q", value, s.Acting, want)
		}
	}
}

func TestOrganization(t *testing.T) {
	type org struct {
		Org
		Permissions []string
	}
	v1 := org{Org{ID: "org_1", Slug: "acme", Role: "org:admin"}, []string{"org:a:read"}}
	const v1Claims = `"org_id":"org_1","org_slug":"acme","org_role":"org:admin","org_permissions":["org:a:read"]`
	for payload, want := range map[string]org{
		`{` + v1Claims + `}`:          v1,
		`{"v":1,` + v1Claims + `}`:    v1,
		`{"v":null,` + v1Claims + `}`: v1,
		`{"v":2,` + v1Claims + `}`:    {},
		`{"v":2.0,` + v1Claims + `}`:  {},
		// The meaning of an unknown version's claims is unknown.
		`{"v":3,` + v1Claims + `}`:                                   {},
		`{"v":"2",` + v1Claims + `}`:                                 {},
		`{"v":-1,` + v1Claims + `}`:                                  {},
		`{"org_id":null,"org_role":"org:admin"}`:                     {},
		`{"org_id":"org_1","org_permissions":"org:a:read"}`:          {Org{ID: "org_1"}, nil},
		`{"org_id":"org_1","org_permissions":["org:a:read",7]}`:      {Org{ID: "org_1"}, nil},
		`{"o":{"id":"org_2","rol":"admin"}}`:                         {},
		`{"v":2,"o":{"id":"org_1","slg":"acme","rol":"admin"}}`:      {Org{ID: "org_1", Slug: "acme", Role: "org:admin"}, nil},
		`{"v":2,"o":{"id":"org_1","rol":""}}`:                        {Org{ID: "org_1"}, nil},
		`{"v":2,"o":{"id":"org_1"}}`:                                 {Org{ID: "org_1"}, nil},
		`{"v":2,"o":{"id":"org_1","rol":"org:admin"}}`:               {Org{ID: "org_1", Role: "org:org:admin"}, nil},
		`{"v":2,"o":{"id":"org_1","rol":"org:"}}`:                    {Org{ID: "org_1"}, nil},
		`{"org_id":"org_1","org_role":"admin"}`:                      {Org{ID: "org_1", Role: "org:admin"}, nil},
		`{"org_id":"org_1","org_role":"org:org:boss"}`:               {Org{ID: "org_1", Role: "org:boss"}, nil},
		`{"org_id":"org_1","org_role":"org:"}`:                       {Org{ID: "org_1"}, nil},
		`{"v":2,"o":{"rol":"admin"}}`:                                {},
		`{"v":2,"o":{"id":7,"rol":"admin"}}`:                         {},
		`{"v":2,"o":[]}`:                                             {},
		`{"v":2,"o":"org_1"}`:                                        {},
		`{"v":2,"o":null}`:                                           {},
		`{"v":2,"fea":"o:a","o":{"id":"org_1","per":"r","fpm":"1"}}`: {Org{ID: "org_1"}, []string{"org:a:r"}},
		// Claims in a form that Clerk never writes make the whole organization unknown.
		`{"v":2,"fea":"a","o":{"id":"org_1","per":"r","fpm":"1"}}`:     {},
		`{"v":2,"fea":7,"o":{"id":"org_1","per":"r","fpm":"1"}}`:       {},
		`{"v":2,"fea":"o:a","o":{"id":"org_1","per":7,"fpm":"1"}}`:     {},
		`{"v":2,"fea":"o:a","o":{"id":"org_1","per":"r","fpm":1}}`:     {},
		`{"v":2,"fea":"o:a,","o":{"id":"org_1","rol":"admin"}}`:        {},
		`{"v":2,"fea":{},"o":{"id":"org_1","rol":"admin"}}`:            {},
		`{"v":2,"fea":"","o":{"id":"org_1"}}`:                          {Org{ID: "org_1"}, nil},
		`{"v":2,"fea":null,"o":{"id":"org_1","per":null}}`:             {Org{ID: "org_1"}, nil},
		`{"v":2,"o":{"id":"org_1","per":"r","fpm":"1"},"fea":"o:a"}`:   {Org{ID: "org_1"}, []string{"org:a:r"}},
		`{"v":2,"fea":"x:a","o":{"id":"org_1","per":"r","fpm":"1"}}`:   {Org{ID: "org_1"}, nil},
		`{"v":2,"fea":"O:a","o":{"id":"org_1","per":"r","fpm":"1"}}`:   {Org{ID: "org_1"}, nil},
		`{"v":2,"fea":"foo:a","o":{"id":"org_1","per":"r","fpm":"1"}}`: {Org{ID: "org_1"}, nil},
	} {
		s := read(t, payload)
		if got := (org{s.Org, s.Permissions()}); !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n got %+v\nwant %+v", payload, got, want)
		}
	}
}

// TestUnreadableOrganization: if any claim about a session's rights in its
// organization cannot be read, none of them is used.
func TestUnreadableOrganization(t *testing.T) {
	const rest = `"v":2,"sub":"user_1","pla":"u:pro","fva":[0,0]`
	for claims, unreadable := range map[string]bool{
		`"fea":"o:a,u:b","o":{"id":"org_1","per":"r","fpm":"1"}`: false,
		`"fea":"u:b"`:                              false,
		`"fea":"b"`:                                false, // there is no organization
		`"fea":"b","o":null`:                       false,
		`"fea":"u:b","o":[]`:                       false,
		`"fea":"b","o":{"id":"org_1"}`:             true,
		`"fea":7,"o":{"id":"org_1"}`:               true,
		`"fea":"b","o":{}`:                         true,
		`"fea":"b","o":[]`:                         true,
		`"fea":"u:b","o":{"id":"org_1","per":7}`:   true,
		`"fea":"u:b","o":{"id":"org_1","fpm":[1]}`: true,
		`"o":{"id":"org_1","fpm":1},"fea":"u:b"`:   true,
	} {
		s := read(t, "{"+rest+","+claims+"}")
		if s.Subject != "user_1" || s.Plans().Known == unreadable || s.Ages.Known == unreadable || unreadable && (s.Org.ID != "" || s.Features().Known) {
			t.Errorf("%s: %+v, plans %v, features %v", claims, s.Org, s.Plans(), s.Features())
		}
	}
}

func TestScoped(t *testing.T) {
	for claim, want := range map[string]Scoped{
		`"o:a,u:b,ou:c,uo:d"`: {User: []string{"b", "c", "d"}, Org: []string{"a", "c", "d"}, Known: true},
		`" o:a , u:b "`:       {User: []string{"b"}, Org: []string{"a"}, Known: true},
		`"o:a:b"`:             {Org: []string{"a:b"}, Known: true},
		`"x:a,oo:b,:c"`:       {Known: true},
		`"o:a,b"`:             {},
		`""`:                  {},
		`7`:                   {},
		`null`:                {},
	} {
		if got := read(t, `{"fea":`+claim+`,"pla":`+claim+`}`); !reflect.DeepEqual(got.Features(), want) || !reflect.DeepEqual(got.Plans(), want) {
			t.Errorf("%s: %+v, %+v, want %+v", claim, got.Features(), got.Plans(), want)
		}
	}
}

// TestPermissionBitmap checks the worked examples of the format.
func TestPermissionBitmap(t *testing.T) {
	many := make([]string, 81)
	for i := range many {
		many[i] = fmt.Sprintf("p%d", i)
	}
	for _, c := range []struct{ fea, per, fpm, want string }{
		{"o:repos,u:beta,o:projects", "read,create,update,delete,revoke", "7,21",
			"org:repos:read org:repos:create org:repos:update org:projects:read org:projects:update org:projects:revoke"},
		{"o:dashboard,o:teams", "manage,read", "3,2", "org:dashboard:manage org:dashboard:read org:teams:read"},
		{"o:big", strings.Join(many, ","), "1208925819614629174706177", "org:big:p0 org:big:p80"},
		{"o:a", "read", "3", "org:a:read"},
		{"o:a", "read", "1180591620717411303425", "org:a:read"},
		{"o:a,o:b,o:c", "read", "1,x,1", "org:a:read org:c:read"},
		{"o:a", "read", "1,1,1", "org:a:read"},
		{"o:a,o:b", "read", "1", "org:a:read"},
		{"u:x,o:a", "read,manage", "3", "org:a:read org:a:manage"},
		{"uo:a,ou:b", "read", "1,1", "org:a:read org:b:read"},
		{"o:a", "read , write", " 3 ", "org:a:read org:a:write"},
		{"o:a", "read", "-1", ""}, {"o:a", "read", "+1", ""}, {"o:a", "read", "0x3", ""}, {"o:a", "read", "1e3", ""}, {"o:a", "read", "1.5", ""},
		{"o:a", "read", "1_1", ""}, {"o:a", "read", "١", ""}, {"o:a", "read", "", ""}, {"o:a", "", "1", ""}, {"", "read", "1", ""},
		{"o:a", "read", "0", ""},
	} {
		claims, _ := json.Marshal(map[string]any{"v": 2, "fea": c.fea, "o": map[string]any{"id": "org_1", "per": c.per, "fpm": c.fpm}})
		if got := strings.Join(read(t, string(claims)).Permissions(), " "); got != c.want {
			t.Errorf("fea %q per %.20q fpm %q: %q, want %q", c.fea, c.per, c.fpm, got, c.want)
		}
	}
}

// FuzzPermissions compares the bitmap with another way to read it: a permission is
// granted if and only if its mask, divided by 2^j, is odd.
func FuzzPermissions(f *testing.F) {
	f.Add("o:repos,u:beta,o:projects", "read,create,update", "7,21")
	f.Add("uo:a,ou:b", "p", "1208925819614629174706177,0")
	f.Add("a", "p", "-1")
	f.Fuzz(func(t *testing.T, fea, per, fpm string) {
		if !utf8.ValidString(fea) || !utf8.ValidString(per) || !utf8.ValidString(fpm) {
			return
		}
		payload, err := json.Marshal(map[string]any{"v": 2, "fea": fea, "o": map[string]any{"id": "org_1", "per": per, "fpm": fpm}})
		if err != nil {
			return
		}
		p, err := Parse(string(payload), nil)
		if err != nil {
			t.Fatal(err)
		}
		s := p.ReadSession()
		var want []string
		if per != "" && fpm != "" {
			masks := strings.Split(fpm, ",")
			for i, feature := range s.Features().Org {
				if i >= len(masks) {
					break
				}
				digits := trim(masks[i])
				mask := new(big.Int)
				for _, c := range digits {
					if c < '0' || c > '9' {
						mask.SetInt64(0)
						break
					}
					mask.Mul(mask, big.NewInt(10)).Add(mask, big.NewInt(int64(c-'0')))
				}
				for _, name := range strings.Split(per, ",") {
					if new(big.Int).And(mask, big.NewInt(1)).Sign() == 1 {
						want = append(want, "org:"+feature+":"+trim(name))
					}
					mask.Div(mask, big.NewInt(2))
				}
			}
		}
		if !slices.Equal(s.Permissions(), want) {
			t.Fatalf("got %q, want %q", s.Permissions(), want)
		}
	})
}

// FuzzSession: reading a session from any payload does not panic, and the result
// agrees with encoding/json.
func FuzzSession(f *testing.F) {
	f.Add(`{"v":2,"sub":"user_1","sid":"sess_1","exp":1790000000,"azp":"https://a.example","fva":[1,-1]}`)
	f.Add(`{"sub":"user_1","SUB":"user_2","exp":1e400}`)
	f.Fuzz(func(t *testing.T, data string) {
		p, err := Parse(data, nil)
		if err != nil {
			return
		}
		s := p.ReadSession()
		var want map[string]any
		if err := json.Unmarshal([]byte(data), &want); err != nil && !strings.Contains(err.Error(), "cannot unmarshal number") {
			t.Fatal(err)
		}
		if sub, _ := want["sub"].(string); s.Subject != "" && s.Subject != sub {
			t.Fatalf("sub %q, want %q", s.Subject, sub)
		}
		if exp, ok := want["exp"].(float64); s.ExpiresAt.Is == Present && (!ok || int64(exp) != s.ExpiresAt.Unix) {
			t.Fatalf("exp %d, want %v", s.ExpiresAt.Unix, want["exp"])
		}
	})
}

// FuzzScan compares the scan for hints with the claims, and both with encoding/json,
// for every payload that can be parsed.
func FuzzScan(f *testing.F) {
	issuers := []string{"https://clerk.example.com", "https://clerk.\u00e9\u20ac\U0001f600\"\\/example.com"}
	for _, seed := range []string{
		`{}`, `{"sub":"mch_1","iss":"https://clerk.example.com"}`, `{"s\u0075b":"\u006dch_1"}`, `{"jti":"ak_1","sid":null}`, `{"iss":"https:\/\/clerk.example.com"}`,
		`{"iss":"https://clerk.\u00e9\u20ac\ud83d\ude00\"\\\/example.com"}`, `{"iss":"https://clerk.é€😀\"\\/example.com"}`, `{"iss":7,"sub":["mch_"]}`, `{"iss":""}`,
		`{"iss":"https://clerk.example.com","iss":"x"}`, `{"x":{"iss":"https://clerk.example.com","sub":"mch_"}}`, `{"sub":"mch_","\u0073ub":"user_1"}`,
		`{"sub":"mc","jti":"a\u006b_"}`, "{\"iss\":\"\xff\"}", `{"x":1,"x":2}`, `{"sub":"user_1"} `, ` {"a":[{"b":[0,-1.5e3,true,null]}]}x`, `{"sub":"\ud800"}`, `{"sub":"mch\u005f"}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data string) {
		hints, err := Scan([]byte(data), issuers)
		p, whole := Parse(data, nil)
		if whole != nil {
			return
		}
		if err != nil {
			t.Fatalf("%q: the scan rejects a payload that Parse accepts", data)
		}
		if got := p.Hints(issuers); got != hints {
			t.Fatalf("%q: the scan returned %+v, the claims %+v", data, hints, got)
		}
		var all map[string]any
		if err := json.Unmarshal([]byte(data), &all); err != nil {
			t.Fatal(err)
		}
		sub, _ := all["sub"].(string)
		jti, _ := all["jti"].(string)
		_, sid := all["sid"]
		iss, isString := all["iss"].(string)
		want := Hints{Machine: strings.HasPrefix(sub, "mch_"), APIKey: strings.HasPrefix(jti, "ak_"), Session: sid}
		switch {
		case slices.Contains(issuers, iss):
			want.Issuer = OwnIssuer
		case isString:
			want.Issuer = OtherIssuer
		}
		if hints != want {
			t.Fatalf("%q: the scan returned %+v, encoding/json %+v", data, hints, want)
		}
	})
}

func TestScanRefuses(t *testing.T) {
	for _, in := range []string{
		``, `null`, `[]`, `{`, `{}x`, `{"sub":"a"`, `{"sub":"a","sub":"b"}`, `{"sid":1,"\u0073id":1}`, `{"iss":"a","x":0,"i\u0073s":"a"}`, `{"jti":null,"jti":null}`,
		`{"x":{"y":}}`, "{\"x\":\"\xff\"}", `{"x":"\ud800"}`, `{"x":01}`, `{"x":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`, `{"x":1,}`, `{,}`,
	} {
		if h, err := Scan([]byte(in), nil); err == nil {
			t.Errorf("%.60s: %+v", in, h)
		}
	}
	// The scan is linear and does not allocate: other names are not compared.
	large := []byte(`{"x":{` + strings.Repeat(`"y":0,`, 2000) + `"z":"` + strings.Repeat(`\u0061`, 2000) + `"}}`)
	if n := testing.AllocsPerRun(10, func() {
		if _, err := Scan(large, []string{"https://clerk.example.com"}); err != nil {
			t.Error(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
