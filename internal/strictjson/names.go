package strictjson

// span is a part of the data.
type span struct{ from, to int }

// names is the set of names of one object. Objects are small, so a list is
// searched; a large one gets a map, so that reading stays linear in the input.
type names struct {
	few  [32]span
	n    int
	many map[string]struct{}
}

// add adds a name, given without its quotation marks, and reports whether it was
// not there.
func add[T text](s *names, data T, name span) bool {
	at := func(i span) T { return data[i.from:i.to] }
	if s.many == nil {
		for _, seen := range s.few[:s.n] {
			if same(at(seen), at(name)) {
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
			s.many[plainly(at(seen))] = struct{}{}
		}
	}
	text := plainly(at(name))
	if _, ok := s.many[text]; ok {
		return false
	}
	s.many[text] = struct{}{}
	return true
}
