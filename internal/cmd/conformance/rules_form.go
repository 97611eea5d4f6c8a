package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/clerkauth/clerkauth"
)

// malformed is whenInvalid for tokens that the SDK decodes.
func malformed(property func(*reading) bool) func(*reading) []clerkauth.Reason {
	return whenInvalid(func(r *reading) bool { return r.decodes && property(r) })
}

func padded(r *reading) bool { return strings.Contains(r.token, "=") }

func oversized(r *reading) bool { return len(r.token) > 16<<10 }

func notObjects(r *reading) bool { return r.h == nil || r.p == nil }

// texts returns the decoded bytes of header and payload.
func (r *reading) texts() [2][]byte {
	var texts [2][]byte
	for i, part := range strings.SplitN(r.token, ".", 3)[:2] {
		texts[i], _ = base64.RawURLEncoding.DecodeString(strings.TrimRight(part, "="))
	}
	return texts
}

func either(r *reading, property func([]byte) bool) bool {
	texts := r.texts()
	return property(texts[0]) || property(texts[1])
}

// badText reports whether a text has something that the SDK replaces or drops.
func badText(r *reading) bool {
	return either(r, badJSON)
}

func badJSON(text []byte) bool {
	return !utf8.Valid(text) || bytes.HasPrefix(text, []byte("\ufeff")) || loneSurrogate(text)
}

// loneSurrogate reports whether text has an escaped surrogate without its other half.
func loneSurrogate(text []byte) bool {
	half := func(i int) rune {
		if i+6 > len(text) || text[i] != '\\' || text[i+1] != 'u' {
			return 0
		}
		n, err := strconv.ParseUint(string(text[i+2:i+6]), 16, 16)
		if err != nil || !utf16.IsSurrogate(rune(n)) {
			return 0
		}
		return rune(n)
	}
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		first := half(i)
		if first == 0 {
			i++ // the escaped character does not begin another escape
			continue
		}
		if utf16.DecodeRune(first, half(i+6)) == utf8.RuneError {
			return true
		}
		i += 11
	}
	return false
}

func duplicateNames(r *reading) bool { return either(r, hasDuplicates) }

func hasDuplicates(text []byte) bool {
	d := json.NewDecoder(bytes.NewReader(text))
	var open []map[string]bool // the names in each open object, nil for an array
	wantName := false
	for {
		t, err := d.Token()
		if err != nil {
			return false
		}
		if wantName && t != json.Delim('}') {
			names := open[len(open)-1]
			name, _ := t.(string)
			if names[name] {
				return true
			}
			names[name] = true
			wantName = false
			continue
		}
		switch t {
		case json.Delim('{'):
			open = append(open, map[string]bool{})
		case json.Delim('['):
			open = append(open, nil)
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
		}
		wantName = len(open) > 0 && open[len(open)-1] != nil
	}
}

func deep(r *reading) bool { return either(r, tooDeep) }

func tooDeep(text []byte) bool {
	d := json.NewDecoder(bytes.NewReader(text))
	for depth := 0; ; {
		t, err := d.Token()
		if err != nil {
			return false
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			if depth++; depth > 64 {
				return true
			}
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}

func hasMember(names ...string) func(*reading) bool {
	return func(r *reading) bool {
		return slices.ContainsFunc(names, func(name string) bool { _, ok := r.h[name]; return ok })
	}
}

func unsigned(r *reading) bool { return strings.HasSuffix(r.token, ".") && r.h["alg"] == "RS256" }

// formBeforeKeys returns our reasons to reject a token for its form where the SDK has
// already failed to find its key.
func formBeforeKeys(r *reading) (answers []clerkauth.Reason) {
	if r.keys == keysNotNeeded || r.keys == keyFound {
		return nil
	}
	typ, hasType := r.h["typ"]
	kid, _ := r.h["kid"].(string)
	if hasType && typ != "JWT" {
		answers = append(answers, clerkauth.ErrTokenInvalid)
	}
	if r.h["alg"] != "RS256" {
		answers = append(answers, clerkauth.ErrTokenAlgorithm)
	}
	if (kid == "" || len(kid) > 256) && r.keys != keyUnknown {
		answers = append(answers, clerkauth.ErrUnknownKey)
	}
	return answers
}

func otherRSA(r *reading) bool { return r.decodes && (r.h["alg"] == "RS384" || r.h["alg"] == "RS512") }
