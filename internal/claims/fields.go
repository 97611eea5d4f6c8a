package claims

import (
	"bytes"
	"cmp"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// Ambiguous reports whether decoding data into a t would set a field from more than one
// member of an object. It reports false for what is not JSON, which the decoder rejects.
func Ambiguous(data []byte, t reflect.Type) bool {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	twice, err := setsTwice(d, t)
	return twice && err == nil
}

// setsTwice reads one value and reports whether it would set a field of a t twice.
func setsTwice(d *json.Decoder, t reflect.Type) (bool, error) {
	t = decoded(t)
	if t == nil {
		return false, d.Decode(&skipped{})
	}
	open, err := d.Token()
	if err != nil {
		return false, err
	}
	switch open {
	case json.Delim('{'), json.Delim('['):
	default:
		return false, nil
	}
	set := map[int]bool{}
	for d.More() {
		var of reflect.Type
		if open == json.Delim('[') {
			of = elementOf(t, reflect.Slice, reflect.Array)
		} else {
			name, err := d.Token()
			if err != nil {
				return false, err
			}
			of = elementOf(t, reflect.Map)
			if t.Kind() == reflect.Struct {
				fields := fieldsOf(t)
				if i, ok := fields.find(name.(string)); ok {
					if set[i] {
						return true, nil
					}
					set[i] = true
					of = fields.types[i]
				}
			}
		}
		if twice, err := setsTwice(d, of); twice || err != nil {
			return twice, err
		}
	}
	_, err = d.Token()
	return false, err
}

// skipped is decoded from any value.
type skipped struct{}

// UnmarshalJSON ignores the value.
func (skipped) UnmarshalJSON([]byte) error { return nil }

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// decoded returns t without its pointers if encoding/json can set fields in it, and nil
// otherwise. A type with an UnmarshalJSON sets its fields itself.
func decoded(t reflect.Type) reflect.Type {
	for t != nil {
		if t.Implements(unmarshaler) || reflect.PointerTo(t).Implements(unmarshaler) {
			return nil
		}
		switch t.Kind() {
		case reflect.Struct, reflect.Map, reflect.Slice, reflect.Array:
			return t
		case reflect.Pointer:
			t = t.Elem()
		default:
			return nil
		}
	}
	return nil
}

// elementOf returns the type of t's elements if t is of one of the given kinds, and nil
// otherwise.
func elementOf(t reflect.Type, kinds ...reflect.Kind) reflect.Type {
	if slices.Contains(kinds, t.Kind()) {
		return t.Elem()
	}
	return nil
}

// fields are those of a struct that encoding/json sets.
type fields struct {
	exact, folded map[string]int // by name
	types         []reflect.Type
}

// find returns the field that a member called name sets.
func (f *fields) find(name string) (i int, ok bool) {
	if i, ok = f.exact[name]; !ok {
		i, ok = f.folded[fold(name)]
	}
	return i, ok
}

var knownFields sync.Map // reflect.Type to *fields

// fieldsOf returns the fields of a struct type. They are computed once for each type.
func fieldsOf(t reflect.Type) *fields {
	if known, ok := knownFields.Load(t); ok {
		return known.(*fields) //nolint:forcetypeassert // nothing else is stored
	}
	known, _ := knownFields.LoadOrStore(t, newFields(t))
	return known.(*fields) //nolint:forcetypeassert // see above
}

// field is a candidate for a name.
type field struct {
	name   string
	tagged bool
	index  []int // as in reflect.StructField
	of     reflect.Type
}

// newFields collects the fields of t and of the structs embedded in it, by the rules of
// encoding/json: of several fields of one name the least nested is taken, of those the
// tagged one, and none if there are still several.
func newFields(t reflect.Type) *fields {
	byName := map[string][]field{}
	visited := map[reflect.Type]bool{}
	level, times := []field{{of: t}}, map[reflect.Type]int{}
	for len(level) > 0 {
		var next []field
		nextTimes := map[reflect.Type]int{}
		for _, outer := range level {
			if visited[outer.of] {
				continue
			}
			visited[outer.of] = true
			for i := range outer.of.NumField() {
				f, embedded, ok := newField(outer, i)
				switch {
				case !ok:
				case !embedded:
					byName[f.name] = append(byName[f.name], f)
					if times[outer.of] > 1 { // embedded as often, it hides itself
						byName[f.name] = append(byName[f.name], f)
					}
				default:
					if nextTimes[f.of]++; nextTimes[f.of] == 1 {
						next = append(next, f)
					}
				}
			}
		}
		level, times = next, nextTimes
	}
	var all []field
	for _, candidates := range byName {
		if f, ok := dominant(candidates); ok {
			all = append(all, f)
		}
	}
	slices.SortFunc(all, func(a, b field) int { return slices.Compare(a.index, b.index) })
	found := &fields{exact: map[string]int{}, folded: map[string]int{}}
	for i, f := range all {
		found.types = append(found.types, f.of)
		found.exact[f.name] = i
		if _, taken := found.folded[fold(f.name)]; !taken {
			found.folded[fold(f.name)] = i
		}
	}
	return found
}

// newField returns field i of a struct. If it is embedded, its own fields count in its
// place. ok is false if encoding/json ignores it.
func newField(outer field, i int) (f field, embedded, ok bool) {
	sf := outer.of.Field(i)
	of := sf.Type
	if of.Kind() == reflect.Pointer && of.Name() == "" {
		of = of.Elem()
	}
	tag := sf.Tag.Get("json")
	if tag == "-" || !sf.IsExported() && (!sf.Anonymous || of.Kind() != reflect.Struct) {
		return field{}, false, false
	}
	name, _, _ := strings.Cut(tag, ",")
	if !validName(name) {
		name = ""
	}
	f = field{cmp.Or(name, sf.Name), name != "", append(slices.Clone(outer.index), i), of}
	return f, sf.Anonymous && name == "" && of.Kind() == reflect.Struct, true
}

// validName reports whether encoding/json accepts a name in a tag.
func validName(name string) bool {
	return !strings.ContainsFunc(name, func(c rune) bool {
		return !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c)
	})
}

// dominant returns the one of several fields of one name that encoding/json sets, if
// any.
func dominant(candidates []field) (field, bool) {
	slices.SortStableFunc(candidates, func(a, b field) int {
		if d := len(a.index) - len(b.index); d != 0 || a.tagged == b.tagged {
			return d
		}
		if a.tagged {
			return -1
		}
		return 1
	})
	first := candidates[0]
	return first, len(candidates) == 1 || len(candidates[1].index) != len(first.index) || candidates[1].tagged != first.tagged
}

// fold returns the same string for all names that encoding/json takes to be equal.
func fold(name string) string {
	return strings.Map(func(c rune) rune {
		for {
			next := unicode.SimpleFold(c)
			if next <= c {
				return next // the smallest
			}
			c = next
		}
	}, name)
}
