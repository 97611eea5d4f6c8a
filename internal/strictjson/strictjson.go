// Package strictjson reads the JSON of tokens and key sets more strictly than
// encoding/json does, because both are input of an attacker before a signature
// has been checked.
//
// It accepts exactly RFC 8259 in valid UTF-8, with these further demands: one
// value and nothing behind it, member names that are unique within their object
// after unescaping (RFC 7515 section 4, RFC 7519 section 4) at every depth, no
// lone surrogates, at most MaxDepth levels. Names are compared byte for byte:
// "SUB" is not "sub".
package strictjson

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxDepth is how deep arrays and objects may be nested. Clerk's tokens use
// three levels; custom claims may add some.
const MaxDepth = 64

// ErrSyntax is returned for anything that is not one strict JSON value of the
// kind asked for. It carries no detail: the input may be a secret.
var ErrSyntax = errors.New("not strict json")

// Member is one member of an object.
type Member struct {
	Name  string // unescaped
	Value string // as written, without surrounding white space; never empty
}

// Object reads data as one JSON object and appends its members to buf, in the
// order in which they stand. They are parts of data, not copies.
func Object(data string, buf []Member) ([]Member, error) {
	if !utf8.ValidString(data) {
		return nil, ErrSyntax
	}
	p := parser{data: data}
	p.space()
	members, ok := p.object(0, buf, true)
	if !ok || !p.end() {
		return nil, ErrSyntax
	}
	return members, nil
}

// Array reads data as one JSON array and returns its elements as written.
func Array(data string) ([]string, error) {
	if !utf8.ValidString(data) {
		return nil, ErrSyntax
	}
	p := parser{data: data}
	p.space()
	elements, ok := p.array(0, true)
	if !ok || !p.end() {
		return nil, ErrSyntax
	}
	return elements, nil
}

// String reads a value that Object or Array returned as a JSON string.
func String(value string) (string, bool) { return unquote(value) }

// Number reads a value that Object or Array returned as a JSON number. A number
// beyond float64 is not a number here.
func Number(value string) (float64, bool) {
	if len(value) == 0 || (value[0] != '-' && (value[0] < '0' || value[0] > '9')) {
		return 0, false
	}
	f, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return 0, false // not the infinity that ParseFloat gives
	}
	return f, true
}

// Null tells whether a value that Object or Array returned is null.
func Null(value string) bool { return value == "null" }

type parser struct {
	data string
	pos  int
}

func (p *parser) space() {
	for p.pos < len(p.data) {
		switch p.data[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

func (p *parser) end() bool {
	p.space()
	return p.pos == len(p.data)
}

// take consumes c if it is next.
func (p *parser) take(c byte) bool {
	if p.pos < len(p.data) && p.data[p.pos] == c {
		p.pos++
		return true
	}
	return false
}

func (p *parser) value(depth int) bool {
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
		return p.str()
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	default:
		return p.word("true") || p.word("false") || p.word("null")
	}
}

func (p *parser) word(w string) bool {
	if !strings.HasPrefix(p.data[p.pos:], w) {
		return false
	}
	p.pos += len(w)
	return true
}

// object reads an object. Members are collected only where the caller wants
// them; names are checked for uniqueness in any case.
func (p *parser) object(depth int, members []Member, collect bool) ([]Member, bool) {
	if depth >= MaxDepth || !p.take('{') {
		return nil, false
	}
	var seen names
	p.space()
	if p.take('}') {
		return members, true
	}
	for {
		p.space()
		start := p.pos
		if !p.str() {
			return nil, false
		}
		name, ok := unquote(p.data[start:p.pos])
		if !ok || !seen.add(name) {
			return nil, false
		}
		p.space()
		if !p.take(':') {
			return nil, false
		}
		p.space()
		start = p.pos
		if !p.value(depth + 1) {
			return nil, false
		}
		if collect {
			members = append(members, Member{Name: name, Value: p.data[start:p.pos]})
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

func (p *parser) array(depth int, collect bool) ([]string, bool) {
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
			elements = append(elements, p.data[start:p.pos])
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

// str consumes a string and checks its escapes; what they mean is unquote's.
func (p *parser) str() bool {
	if !p.take('"') {
		return false
	}
	for p.pos < len(p.data) {
		switch c := p.data[p.pos]; {
		case c == '"':
			p.pos++
			return true
		case c < 0x20:
			return false
		case c == '\\':
			n := escape(p.data[p.pos:])
			if n == 0 {
				return false
			}
			p.pos += n
		default:
			p.pos++
		}
	}
	return false
}

// number consumes a number in the grammar of RFC 8259 section 6.
func (p *parser) number() bool {
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

func (p *parser) digits() bool {
	start := p.pos
	for p.pos < len(p.data) && p.data[p.pos] >= '0' && p.data[p.pos] <= '9' {
		p.pos++
	}
	return p.pos > start
}

// escape returns the length of the escape sequence that b begins with, 0 if it
// is none. A surrogate counts only together with its other half.
func escape(b string) int {
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

// hex4 reads \uXXXX at the start of b.
func hex4(b string) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range []byte(b[2:6]) {
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

// unquote returns what a string that str has accepted means, without copying
// where there is no escape.
func unquote(quoted string) (string, bool) {
	if len(quoted) < 2 || quoted[0] != '"' {
		return "", false
	}
	s := quoted[1 : len(quoted)-1]
	i := strings.IndexByte(s, '\\')
	if i < 0 {
		return s, true
	}
	out := append(make([]byte, 0, len(s)), s[:i]...)
	for i < len(s) {
		if s[i] != '\\' {
			out = append(out, s[i])
			i++
			continue
		}
		n := escape(s[i:])
		switch n {
		case 0:
			return "", false
		case 2:
			out = append(out, unescaped[s[i+1]])
		case 6:
			r, _ := hex4(s[i:])
			out = utf8.AppendRune(out, r)
		default:
			high, _ := hex4(s[i:])
			low, _ := hex4(s[i+6:])
			out = utf8.AppendRune(out, utf16.DecodeRune(high, low))
		}
		i += n
	}
	return string(out), true
}

var unescaped = [256]byte{
	'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t',
}

// names is the set of names of one object. Objects are small, so a list is
// searched; a large one, which only an attacker sends, gets a map, so that
// reading stays linear in the input.
type names struct {
	few  [16]string
	n    int
	many map[string]struct{}
}

func (s *names) add(name string) bool {
	if s.many == nil {
		for _, seen := range s.few[:s.n] {
			if seen == name {
				return false
			}
		}
		if s.n < len(s.few) {
			s.few[s.n] = name
			s.n++
			return true
		}
		s.many = make(map[string]struct{}, 2*len(s.few))
		for _, seen := range s.few {
			s.many[seen] = struct{}{}
		}
	}
	if _, ok := s.many[name]; ok {
		return false
	}
	s.many[name] = struct{}{}
	return true
}
