package strictjson

import (
	"fmt"
	"strings"
	"testing"
)

// scanned returns the members that a Scanner finds.
func scanned(s Scanner) (members [][2]string, err error) {
	for name, value, ok := s.Next(); ok; name, value, ok = s.Next() {
		members = append(members, [2]string{string(name), string(value)})
	}
	return members, s.Err()
}

func TestScan(t *testing.T) {
	members, err := scanned(Scan([]byte(` { "a" : "x\u0041" , "\u0062": -1.5e3, "a":{"x":[ ], "x":null} } `)))
	want := `[["a" "x\u0041"] ["\u0062" -1.5e3] ["a" {"x":[ ], "x":null}]]`
	if got := fmt.Sprint(members); err != nil || got != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
	if members, err := scanned(Scan([]byte(` {} `))); err != nil || len(members) != 0 {
		t.Errorf("%q, %v", members, err)
	}
}

func TestScanFew(t *testing.T) {
	for in, ok := range map[string]bool{
		`{}`: true, `{"a":1,"b":{"a":1}}`: true, `{"a":1,"b":2,"c":3}`: true, `{"a":1,"b":2,"c":3,"d":4}`: false, `{"a":[{"b":1},{"c":{"d":4}}]}`: false,
		`{"a":[{"b":1},{"b":1}]}`: true, `{"a":1,"a":2}`: false, `{"a":1,"\u0061":2}`: false, `{"\u0061":1,"a":2}`: false, `{"x":{"a":1,"\u0061":2}}`: false,
		`{"\u00e9":1,"é":2}`: false, `{"\ud83d\ude00":1,"😀":2}`: false, `{"\/":1,"/":2}`: false, `{"a":1,"a\u0000":2}`: true, `{"":1,"\"":2}`: true,
	} {
		if _, err := scanned(ScanFew([]byte(in), 3)); (err == nil) != ok {
			t.Errorf("%s: %v", in, err)
		}
	}
}

func TestTexts(t *testing.T) {
	for _, tc := range []struct {
		value, text   string
		equal, prefix bool
	}{
		{`"abc"`, "abc", true, true}, {`"\u0061b\u0063"`, "abc", true, true}, {`"abc"`, "ab", false, true}, {`"ab"`, "abc", false, false}, {`""`, "", true, true},
		{`"a"`, "", false, true}, {`7`, "7", false, false}, {`null`, "null", false, false}, {`["abc"]`, "abc", false, false}, {`"a\"b"`, `a"b`, true, true},
		{`"a\"b"`, `a\`, false, false}, {`"\\u0061"`, "a", false, false}, {`"é"`, "\u00e9", true, true}, {`"\u00e9"`, "é", true, true}, {`"\u00e9"`, "\xc3", false, true},
		{`"\ud83d\ude00x"`, "😀x", true, true}, {`"a\u0000"`, "a", false, true},
	} {
		if equal, prefix := Equal([]byte(tc.value), tc.text), HasPrefix([]byte(tc.value), tc.text); equal != tc.equal || prefix != tc.prefix {
			t.Errorf("%s, %q: equal %v, prefix %v", tc.value, tc.text, equal, prefix)
		}
	}
	if got := AnyOf([]byte(`"\u0061lg"`), []string{"kid", "alg"}); got != "alg" {
		t.Errorf("AnyOf = %q", got)
	}
	if got := AnyOf([]byte(`"algo"`), []string{"kid", "alg"}); got != "" {
		t.Errorf("AnyOf = %q", got)
	}
}

func TestIntegersAreExact(t *testing.T) {
	for in, want := range map[string]float64{"0": 0, "1790000000": 1790000000, "999999999999999": 999999999999999, "9007199254740993": 9007199254740992, "-0": 0, "1e3": 1000} {
		if got, ok := Number(in); !ok || got != want {
			t.Errorf("%s: %v, %v", in, got, ok)
		}
	}
	for _, in := range []string{"", "-", `"1"`, "1e400", strings.Repeat("9", 400)} {
		if got, ok := Number(in); ok {
			t.Errorf("%q: %v", in, got)
		}
	}
}
