package strictjson

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestObjectRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"nothing":              ``,
		"null":                 `null`,
		"array":                `[]`,
		"string":               `"x"`,
		"number":               `1`,
		"two objects":          `{}{}`,
		"garbage behind":       `{}x`,
		"byte order mark":      "\ufeff{}",
		"invalid utf-8":        "{\"a\":\"\xff\"}",
		"lone high surrogate":  `{"a":"\ud800"}`,
		"lone low surrogate":   `{"a":"\udc00"}`,
		"swapped surrogates":   `{"a":"\udc00\ud800"}`,
		"surrogate and letter": `{"a":"\ud800\u0041"}`,
		"duplicate":            `{"a":1,"a":2}`,
		"escaped duplicate":    `{"a":1,"\u0061":2}`,
		"nested duplicate":     `{"o":{"id":1,"id":2}}`,
		"duplicate in array":   `{"o":[{"id":1,"id":2}]}`,
		"control byte":         "{\"a\":\"\n\"}",
		"bad escape":           `{"a":"\x41"}`,
		"short escape":         `{"a":"\u41"}`,
		"leading zero":         `{"a":01}`,
		"plus sign":            `{"a":+1}`,
		"bare point":           `{"a":1.}`,
		"bare exponent":        `{"a":1e}`,
		"NaN":                  `{"a":NaN}`,
		"Infinity":             `{"a":Infinity}`,
		"capital literal":      `{"a":True}`,
		"trailing comma":       `{"a":1,}`,
		"missing value":        `{"a":}`,
		"missing colon":        `{"a" 1}`,
		"unquoted name":        `{a:1}`,
		"single quotes":        `{'a':1}`,
		"comment":              `{/**/}`,
		"unfinished":           `{"a":{"b":[1`,
		"NUL behind":           "{}\x00",
		"too deep":             `{"a":` + strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth) + `}`,
		"20000 deep":           strings.Repeat(`{"a":`, 20000) + "1" + strings.Repeat("}", 20000),
	} {
		t.Run(name, func(t *testing.T) {
			if m, err := Object(in, nil); err == nil {
				t.Errorf("Object(%.40q) = %v, want an error", in, m)
			}
		})
	}
}

func TestObjectReads(t *testing.T) {
	in := ` { "a" : "x\u0041\n\ud83d\ude00é" , "\u0062": -1.5e3, "SUB":null,"sub":{"x":[ ]} } `
	members, err := Object(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := [][2]string{{"a", `"x\u0041\n\ud83d\ude00é"`}, {"b", `-1.5e3`}, {"SUB", `null`}, {"sub", `{"x":[ ]}`}}
	if len(members) != len(want) {
		t.Fatalf("got %d members, want %d", len(members), len(want))
	}
	for i, m := range members {
		if got := [2]string{m.Name, m.Value}; got != want[i] {
			t.Errorf("member %d = %q, want %q", i, got, want[i])
		}
	}
	if s, ok := String(members[0].Value); !ok || s != "xA\n😀é" {
		t.Errorf("String = %q, %v", s, ok)
	}
	if f, ok := Number(members[1].Value); !ok || f != -1500 {
		t.Errorf("Number = %v, %v", f, ok)
	}
	if !Null(members[2].Value) || Null(members[1].Value) {
		t.Error("Null is wrong")
	}
	if _, ok := String(members[1].Value); ok {
		t.Error("a number passed as a string")
	}
	if _, ok := Number(members[0].Value); ok {
		t.Error("a string passed as a number")
	}
	if _, ok := Number("1e400"); ok {
		t.Error("a number beyond float64 passed")
	}
}

func TestObjectWithManyMembers(t *testing.T) {
	var b strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&b, `,"m%d":%d`, i, i)
	}
	body := "{" + b.String()[1:]
	if m, err := Object(body+"}", nil); err != nil || len(m) != 5000 {
		t.Errorf("5000 members: %d, %v", len(m), err)
	}
	if _, err := Object(body+`,"m17":0}`, nil); err == nil {
		t.Error("a duplicate among 5000 members passed")
	}
}

func TestArray(t *testing.T) {
	elements, err := Array(` [ 1 , {"a":[]}, "x" ] `)
	if err != nil || len(elements) != 3 || elements[1] != `{"a":[]}` {
		t.Errorf("Array = %q, %v", elements, err)
	}
	for _, in := range []string{``, `{}`, `[`, `[1,]`, `[1 2]`, `[]]`, `null`} {
		if _, err := Array(in); err == nil {
			t.Errorf("Array(%q) passed", in)
		}
	}
}

// FuzzObject compares the reader with encoding/json: what it accepts is accepted
// there as well, and both agree on every name and value.
func FuzzObject(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":1,"b":[true,false,null,{"c":"\u00e9\ud83d\ude00"}]}`, `{"a":1,"a":2}`, `{"sub":"user_1","SUB":"x"}`,
		`{"a":1e400}`, `{"a":-0.0e-7}`, "{\"a\":\"\xff\"}", `{"\u0061":1,"a":2}`, `{"a":"\ud800"}`, ` {"x" : { } } `,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data string) {
		members, err := Object(data, nil)
		if err != nil {
			return
		}
		if !utf8.ValidString(data) {
			t.Fatal("accepted invalid utf-8")
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal([]byte(data), &want); err != nil {
			t.Fatalf("accepted what encoding/json refuses: %v", err)
		}
		if len(want) != len(members) {
			t.Fatalf("%d members, encoding/json has %d: a duplicate passed", len(members), len(want))
		}
		for _, m := range members {
			raw, ok := want[m.Name]
			if !ok || string(raw) != m.Value {
				t.Fatalf("member %q = %q, encoding/json has %q", m.Name, m.Value, raw)
			}
			var s string
			if err := json.Unmarshal(raw, &s); err == nil && !Null(string(raw)) {
				if got, ok := String(m.Value); !ok || got != s {
					t.Fatalf("string %q = %q, encoding/json has %q", m.Value, got, s)
				}
			} else if _, ok := String(m.Value); ok {
				t.Fatalf("%q is a string here alone", m.Value)
			}
			var n float64
			if err := json.Unmarshal(raw, &n); err == nil && !Null(string(raw)) {
				if got, ok := Number(m.Value); !ok || got != n {
					t.Fatalf("number %q = %v, encoding/json has %v", m.Value, got, n)
				}
			} else if _, ok := Number(m.Value); ok {
				t.Fatalf("%q is a number here alone", m.Value)
			}
		}
	})
}
