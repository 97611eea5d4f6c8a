package route

import (
	"regexp/syntax"
	"slices"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Guarding rules match letters in either case, by Unicode's simple folding: K and the
// Kelvin sign are equal, as are s and the long ſ. A letter that only looks like another,
// such as a dotless i or a full-width a, is a different one.
//
// Patterns are folded as parsed expressions, character by character, so that a folded
// pattern matches every text of which the pattern matches some spelling: folded, the class
// [^A-Z] excludes no letter, because b is also written B. Text is folded by Fold. A folded
// pattern matches a text if and only if it matches the folded text.

// orbit returns all characters that r folds to, itself included, in order.
func orbit(r rune) []rune {
	all := []rune{r}
	for c := unicode.SimpleFold(r); c != r; c = unicode.SimpleFold(c) {
		all = append(all, c)
	}
	slices.Sort(all)
	return all
}

// foldRune returns the representative of r's orbit: its first character, or the lower-case
// letter if that is an ASCII letter. Its encoding is never longer than r's.
func foldRune(r rune) rune {
	if r >= utf8.RuneSelf {
		first := r
		for c := unicode.SimpleFold(r); c != r; c = unicode.SimpleFold(c) {
			first = min(first, c)
		}
		r = first
	}
	if 'A' <= r && r <= 'Z' {
		r += 'a' - 'A'
	}
	return r
}

// Fold folds UTF-8 text.
func Fold(s string) string {
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return string(foldBytes([]byte(s)))
		}
	}
	return s
}

// foldBytes is Fold in place. It returns b, which may be shorter.
func foldBytes(b []byte) []byte {
	n := 0
	for i := 0; i < len(b); {
		if b[i] < utf8.RuneSelf {
			b[n] = byte(foldRune(rune(b[i])))
			i, n = i+1, n+1
			continue
		}
		r, size := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError {
			n += copy(b[n:], b[i:i+size])
		} else {
			n += utf8.EncodeRune(b[n:], foldRune(r))
		}
		i += size
	}
	return b[:n]
}

// cutFolded is strings.CutPrefix, ignoring case.
func cutFolded(s, prefix string) (after string, found bool) {
	for _, want := range prefix {
		r, size := utf8.DecodeRuneInString(s)
		if size == 0 || foldRune(r) != foldRune(want) {
			return s, false
		}
		s = s[size:]
	}
	return s, true
}

// foldedClass returns the class of all characters of which some spelling is in runes, which
// are pairs of first and last.
func foldedClass(runes []rune) *syntax.Regexp {
	in := func(r rune) bool {
		for i := 0; i+1 < len(runes); i += 2 {
			if runes[i] <= r && r <= runes[i+1] {
				return true
			}
		}
		return false
	}
	all := slices.Clone(runes)
	for _, r := range cased() {
		for c := unicode.SimpleFold(r); c != r; c = unicode.SimpleFold(c) {
			if in(c) {
				all = append(all, r, r)
				break
			}
		}
	}
	return &syntax.Regexp{Op: syntax.OpCharClass, Rune: merged(all)}
}

// cased returns every character whose orbit has more than one.
var cased = sync.OnceValue(func() (list []rune) {
	for r := range rune(unicode.MaxRune + 1) {
		if unicode.SimpleFold(r) != r {
			list = append(list, r)
		}
	}
	return list
})

// class returns the pairs of first and last for single characters in order.
func class(sorted []rune) (pairs []rune) {
	for _, r := range sorted {
		pairs = append(pairs, r, r)
	}
	return merged(pairs)
}

// merged sorts pairs of first and last, and joins those that touch.
func merged(runes []rune) []rune {
	type span struct{ from, to rune }
	var spans []span
	for i := 0; i+1 < len(runes); i += 2 {
		spans = append(spans, span{runes[i], runes[i+1]})
	}
	slices.SortFunc(spans, func(a, b span) int { return int(a.from - b.from) })
	var out []rune
	for _, s := range spans {
		if n := len(out); n > 0 && s.from <= out[n-1]+1 {
			out[n-1] = max(out[n-1], s.to)
		} else {
			out = append(out, s.from, s.to)
		}
	}
	return out
}

// foldedTree returns an expression that matches a text if re matches some spelling of it.
func foldedTree(re *syntax.Regexp) *syntax.Regexp {
	switch re.Op {
	case syntax.OpLiteral:
		all := &syntax.Regexp{Op: syntax.OpConcat}
		for _, r := range re.Rune {
			all.Sub = append(all.Sub, &syntax.Regexp{Op: syntax.OpCharClass, Rune: class(orbit(r))})
		}
		return all
	case syntax.OpCharClass:
		return foldedClass(re.Rune)
	}
	out := *re
	out.Flags &^= syntax.FoldCase
	out.Sub = make([]*syntax.Regexp, len(re.Sub))
	for i, sub := range re.Sub {
		out.Sub[i] = foldedTree(sub)
	}
	return &out
}

// foldedSource is foldedTree for the source of an expression.
func foldedSource(source string) (string, error) {
	re, err := syntax.Parse(source, flags)
	if err != nil {
		return "", err
	}
	return foldedTree(re).String(), nil
}
