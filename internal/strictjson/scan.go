package strictjson

import (
	"bytes"
	"unicode/utf8"
)

// Scanner steps through the members of a JSON object in the grammar of Object. It
// allocates nothing, so it is for what has not been authenticated.
type Scanner struct {
	p     parser[[]byte]
	seen  names
	more  bool
	wrong bool
}

// Scan returns a Scanner that stands before the first member of data. It does not
// find names that stand twice.
func Scan(data []byte) Scanner {
	return scan(parser[[]byte]{data: data, left: len(data)})
}

// ScanFew is Scan for an object of at most that many members, those of objects in
// it included. It compares their names; most is at most 32.
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

// Next steps to the next member and returns its name and value as written, quotes
// included: they are parts of the data. There is none behind the last one, or where
// data is not strict JSON; see Err.
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

// Err returns ErrSyntax unless the whole of data was read as one object.
func (s *Scanner) Err() error {
	if s.wrong || s.more || !s.p.end() {
		return ErrSyntax
	}
	return nil
}

// AnyOf returns the one of the given texts that a string means, "" if it means
// another.
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

// IsString reports whether a value that was scanned is a JSON string.
func IsString(value []byte) bool { return value[0] == '"' }

// Equal reports whether a value that was scanned is a JSON string that means text.
func Equal(value []byte, text string) bool {
	n, ok := match(value, text)
	return ok && n == 0
}

// HasPrefix reports whether a value that was scanned is a JSON string whose meaning
// begins with prefix.
func HasPrefix(value []byte, prefix string) bool {
	_, ok := match(value, prefix)
	return ok
}

// match reads text from the start of a string, and returns how much is left there.
func match(value []byte, text string) (left int, ok bool) {
	if !IsString(value) {
		return 0, false
	}
	m := meaning[[]byte]{written: value[1 : len(value)-1]}
	for i := range len(text) {
		if c, more := m.next(); !more || c != text[i] {
			return 0, false
		}
	}
	return len(m.written) - m.pos + m.to - m.from, true
}
