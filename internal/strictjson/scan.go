package strictjson

import (
	"bytes"
	"unicode/utf8"
)

// Scanner steps through the members of a JSON object, in the grammar of Object. It
// allocates nothing, so that unauthenticated input costs no memory.
type Scanner struct {
	p     parser[[]byte]
	seen  names
	more  bool
	wrong bool
}

// Scan returns a Scanner for data. It does not detect duplicate names.
func Scan(data []byte) Scanner {
	return scan(parser[[]byte]{data: data, left: len(data)})
}

// ScanFew is like Scan for an object of at most that many members, including those of
// objects in it. It rejects duplicate names. most must not exceed 32.
func ScanFew(data []byte, most int) Scanner {
	return scan(parser[[]byte]{data: data, left: most, unique: true})
}

func scan(p parser[[]byte]) Scanner {
	s := Scanner{p: p}
	s.p.space()
	if s.wrong = !utf8.Valid(p.data) || !s.p.take('{'); s.wrong {
		return s
	}
	s.p.space()
	s.more = !s.p.take('}')
	return s
}

// Next returns the name and value of the next member as written, with their quotes. They
// are slices of the data. ok is false after the last member, and if data is not strict
// JSON; see Err.
func (s *Scanner) Next() (name, value []byte, ok bool) {
	if s.wrong || !s.more {
		return nil, nil, false
	}
	name, ok = s.p.name(&s.seen)
	start := s.p.pos
	if s.wrong = !ok || !s.p.value(1); s.wrong {
		return nil, nil, false
	}
	value = s.p.data[start:s.p.pos]
	s.p.space()
	s.more = !s.p.take('}')
	s.wrong = s.more && !s.p.take(',')
	return name, value, !s.wrong
}

// Err returns ErrSyntax unless all of data was read as one object.
func (s *Scanner) Err() error {
	if s.wrong || s.more || !s.p.end() {
		return ErrSyntax
	}
	return nil
}

// AnyOf returns the one of texts that a scanned string is equal to after unescaping, or "".
func AnyOf(quoted []byte, texts []string) string {
	plain := quoted[1 : len(quoted)-1]
	escaped := bytes.IndexByte(plain, '\\') >= 0
	for _, text := range texts {
		if string(plain) == text || escaped && Equal(quoted, text) {
			return text
		}
	}
	return ""
}

// IsString reports whether a scanned value is a JSON string.
func IsString(value []byte) bool { return value[0] == '"' }

// Equal reports whether a scanned value is a JSON string that is text after unescaping.
func Equal(value []byte, text string) bool {
	n, ok := match(value, text)
	return ok && n == 0
}

// HasPrefix reports whether a scanned value is a JSON string that begins with prefix after
// unescaping.
func HasPrefix(value []byte, prefix string) bool {
	_, ok := match(value, prefix)
	return ok
}

// match reports whether a string begins with text, and how much follows.
func match(value []byte, text string) (left int, ok bool) {
	if !IsString(value) {
		return 0, false
	}
	m := unescaper[[]byte]{written: value[1 : len(value)-1]}
	for i := range len(text) {
		if c, more := m.next(); !more || c != text[i] {
			return 0, false
		}
	}
	return len(m.written) - m.pos + m.to - m.from, true
}
