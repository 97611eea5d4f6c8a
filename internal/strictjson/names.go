package strictjson

// span is the position of a name without its quotation marks.
type span struct {
	from, to int
	escaped  bool // the name contains escape sequences, so that it has other spellings
}

// names is the set of names of one object: a list for small objects, and a map for large
// ones, so that parsing stays linear in the input.
type names struct {
	few  [32]span
	n    int
	many map[string]struct{}
}

// add adds a name and reports whether it is new.
func add[T text](s *names, data T, name span) bool {
	text := data[name.from:name.to]
	if s.many == nil {
		for _, other := range s.few[:s.n] {
			seen := data[other.from:other.to]
			if string(seen) == string(text) || (name.escaped || other.escaped) && same(seen, text) {
				return false
			}
		}
		if s.n < len(s.few) {
			s.few[s.n] = name
			s.n++
			return true
		}
		s.many = make(map[string]struct{}, 2*len(s.few))
		for _, other := range s.few {
			s.many[plainly(data[other.from:other.to])] = struct{}{}
		}
	}
	plain := plainly(text)
	if _, ok := s.many[plain]; ok {
		return false
	}
	s.many[plain] = struct{}{}
	return true
}
