// Package strictjson parses the JSON of tokens and key sets more strictly than
// encoding/json does, because an attacker may have written it.
//
// It accepts RFC 8259 in valid UTF-8, and requires one value with nothing after it, member
// names that are unique within their object after unescaping (RFC 7515 section 4, RFC 7519
// section 4) at every depth, no unpaired surrogates, and at most MaxDepth levels. Names are
// compared byte for byte: "SUB" is not "sub".
package strictjson

import (
	"errors"
	"strconv"
	"unicode/utf8"
)

// MaxDepth is how deep arrays and objects may be nested. Clerk's tokens have three levels;
// custom claims may add some.
const MaxDepth = 64

// ErrSyntax indicates that the input is not one strict JSON value of the expected kind. It
// has no detail, because the input may be a secret.
var ErrSyntax = errors.New("not strict json")

// Member is one member of an object.
type Member struct {
	Name  string // unescaped
	Value string // as written, without surrounding white space; never empty
}

// Object parses data as one JSON object and appends its members to buf, in the order of
// data. They are substrings of data where that needs no unescaping.
func Object(data string, buf []Member) ([]Member, error) {
	if !utf8.ValidString(data) {
		return nil, ErrSyntax
	}
	p := parser[string]{data: data, unique: true, left: len(data)}
	p.space()
	members, ok := p.object(0, buf, true)
	if !ok || !p.end() {
		return nil, ErrSyntax
	}
	return members, nil
}

// Array parses data as one JSON array and returns its elements as written.
func Array(data string) ([]string, error) {
	if !utf8.ValidString(data) {
		return nil, ErrSyntax
	}
	p := parser[string]{data: data, unique: true, left: len(data)}
	p.space()
	elements, ok := p.array(0, true)
	if !ok || !p.end() {
		return nil, ErrSyntax
	}
	return elements, nil
}

// String returns the string in a value that Object or Array returned. ok is false if it is
// not a string.
func String(value string) (s string, ok bool) { return unquote(value) }

// Number returns the number in a value that Object or Array returned. ok is false if it is
// not a number, or beyond the range of a float64.
func Number(value string) (n float64, ok bool) {
	if len(value) == 0 || (value[0] != '-' && (value[0] < '0' || value[0] > '9')) {
		return 0, false
	}
	if n, ok := integer(value); ok {
		return n, true
	}
	f, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return 0, false // ParseFloat returns infinity
	}
	return f, true
}

// integer parses a number of at most 15 digits, which a float64 represents exactly.
func integer(value string) (float64, bool) {
	if len(value) > 15 {
		return 0, false
	}
	n := int64(0)
	for i := range len(value) {
		c := value[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	return float64(n), true
}

// Null reports whether a value that Object or Array returned is null.
func Null(value string) bool { return value == "null" }

// text is JSON of which the results are substrings, or that is only scanned.
type text interface{ string | []byte }

type parser[T text] struct {
	data   T
	pos    int
	unique bool // reject duplicate names
	left   int  // how many more members there may be
}

func (p *parser[T]) space() {
	for p.pos < len(p.data) {
		switch p.data[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

func (p *parser[T]) end() bool {
	p.space()
	return p.pos == len(p.data)
}

// take consumes c if it is next.
func (p *parser[T]) take(c byte) bool {
	if p.pos < len(p.data) && p.data[p.pos] == c {
		p.pos++
		return true
	}
	return false
}

func (p *parser[T]) value(depth int) bool {
	if p.pos >= len(p.data) {
		return false
	}
	switch c := p.data[p.pos]; {
	case c == '{':
		_, ok := p.object(depth, nil, false)
		return ok
	case c == '[':
		_, ok := p.array(depth, false)
		return ok
	case c == '"':
		ok, _ := p.str()
		return ok
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	default:
		return p.literal("true") || p.literal("false") || p.literal("null")
	}
}

func (p *parser[T]) literal(s string) bool {
	if len(p.data)-p.pos < len(s) || string(p.data[p.pos:p.pos+len(s)]) != s {
		return false
	}
	p.pos += len(s)
	return true
}

// object consumes an object, and appends its members if collect is true.
func (p *parser[T]) object(depth int, members []Member, collect bool) ([]Member, bool) {
	if depth >= MaxDepth || !p.take('{') {
		return nil, false
	}
	var seen names
	p.space()
	if p.take('}') {
		return members, true
	}
	for {
		name, ok := p.name(&seen)
		if !ok {
			return nil, false
		}
		start := p.pos
		if !p.value(depth + 1) {
			return nil, false
		}
		if collect {
			m := Member{Value: string(p.data[start:p.pos])}
			m.Name, _ = unquote(string(name))
			members = append(members, m)
		}
		p.space()
		if p.take('}') {
			return members, true
		}
		if !p.take(',') {
			return nil, false
		}
	}
}

// name consumes a member's name and the colon, and returns the name as written.
func (p *parser[T]) name(seen *names) (quoted T, ok bool) {
	p.space()
	start := p.pos
	if p.left--; p.left < 0 {
		return quoted, false
	}
	ok, escaped := p.str()
	if !ok {
		return quoted, false
	}
	end := p.pos
	p.space()
	if !p.take(':') || p.unique && !add(seen, p.data, span{start + 1, end - 1, escaped}) {
		return quoted, false
	}
	p.space()
	return p.data[start:end], true
}

func (p *parser[T]) array(depth int, collect bool) ([]string, bool) {
	if depth >= MaxDepth || !p.take('[') {
		return nil, false
	}
	var elements []string
	p.space()
	if p.take(']') {
		return elements, true
	}
	for {
		p.space()
		start := p.pos
		if !p.value(depth + 1) {
			return nil, false
		}
		if collect {
			elements = append(elements, string(p.data[start:p.pos]))
		}
		p.space()
		if p.take(']') {
			return elements, true
		}
		if !p.take(',') {
			return nil, false
		}
	}
}

// str consumes a string and checks its escape sequences; unquote decodes them.
func (p *parser[T]) str() (ok, escaped bool) {
	if !p.take('"') {
		return false, false
	}
	data, i := p.data, p.pos
	for i < len(data) {
		c := data[i]
		if plain[c] {
			i++
			continue
		}
		if c != '\\' {
			p.pos = i + 1
			return c == '"', escaped
		}
		n := escape(data[i:])
		if n == 0 {
			return false, false
		}
		i += n
		escaped = true
	}
	return false, false
}

// plain are the bytes that stand for themselves in a string. That they are UTF-8 has been
// checked.
var plain = func() (t [256]bool) {
	for c := 0x20; c < len(t); c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// number consumes a number in the grammar of RFC 8259 section 6.
func (p *parser[T]) number() bool {
	p.take('-')
	if !p.take('0') && !p.digits() {
		return false
	}
	if p.take('.') && !p.digits() {
		return false
	}
	if p.take('e') || p.take('E') {
		if !p.take('+') {
			p.take('-')
		}
		return p.digits()
	}
	return true
}

func (p *parser[T]) digits() bool {
	start := p.pos
	for p.pos < len(p.data) && p.data[p.pos] >= '0' && p.data[p.pos] <= '9' {
		p.pos++
	}
	return p.pos > start
}
