package strictjson

import (
	"unicode/utf16"
	"unicode/utf8"
)

// escape returns the length of the escape sequence at the beginning of b, or 0 if there is
// none. An unpaired surrogate is not an escape sequence.
func escape[T text](b T) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		r, ok := hex4(b)
		if !ok {
			return 0
		}
		if !utf16.IsSurrogate(r) {
			return 6
		}
		if low, ok := hex4(b[6:]); ok && utf16.DecodeRune(r, low) != utf8.RuneError {
			return 12
		}
	}
	return 0
}

// hex4 parses \uXXXX at the beginning of b.
func hex4[T text](b T) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	var r rune
	for i := 2; i < 6; i++ {
		c := b[i]
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// unquote decodes a string that str has accepted. It does not copy a string without escape
// sequences.
func unquote(quoted string) (string, bool) {
	if len(quoted) < 2 || quoted[0] != '"' {
		return "", false
	}
	return plainly(quoted[1 : len(quoted)-1]), true
}

// plainly decodes a string without its quotation marks.
func plainly[T text](written T) string {
	i := 0
	for i < len(written) && written[i] != '\\' {
		i++
	}
	if i == len(written) {
		return string(written)
	}
	out := append(make([]byte, 0, len(written)), written[:i]...)
	m := unescaper[T]{written: written, pos: i}
	for c, ok := m.next(); ok; c, ok = m.next() {
		out = append(out, c)
	}
	return string(out)
}

// unescaper decodes a string without its quotation marks, byte by byte.
type unescaper[T text] struct {
	written T
	pos     int
	char    [utf8.UTFMax]byte // the character of the last escape sequence
	from    int               // char[from:to] is still to be returned
	to      int
}

func (m *unescaper[T]) next() (c byte, ok bool) {
	if m.from == m.to {
		if m.pos == len(m.written) {
			return 0, false
		}
		if c = m.written[m.pos]; c != '\\' {
			m.pos++
			return c, true
		}
		sequence := m.written[m.pos:]
		sequence = sequence[:escape(sequence)]
		m.pos += len(sequence)
		m.from, m.to = 0, len(unescape(m.char[:0], sequence))
	}
	m.from++
	return m.char[m.from-1], true
}

// same reports whether two strings without their quotation marks are equal after decoding.
func same[T text](a, b T) bool {
	if string(a) == string(b) {
		return true
	}
	x, y := unescaper[T]{written: a}, unescaper[T]{written: b}
	for {
		c, more := x.next()
		d, too := y.next()
		if c != d || more != too {
			return false
		}
		if !more {
			return true
		}
	}
}

// unescape appends the character of an escape sequence.
func unescape[T text](out []byte, sequence T) []byte {
	switch len(sequence) {
	case 2:
		return append(out, unescaped[sequence[1]])
	case 6:
		r, _ := hex4(sequence)
		return utf8.AppendRune(out, r)
	default:
		high, _ := hex4(sequence)
		low, _ := hex4(sequence[6:])
		return utf8.AppendRune(out, utf16.DecodeRune(high, low))
	}
}

var unescaped = [256]byte{
	'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t',
}
