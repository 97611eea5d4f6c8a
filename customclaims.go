package clerkauth

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// ClaimsAs decodes the claims of the caller's verified token into a T, which is
// how custom claims are read; of an opaque credential, the claims that it was
// created with. It fails with [ErrUnauthenticated] for an Auth without a verified
// token, and with [ErrTokenClaims] if the claims do not fit T, or if two of them,
// whose names differ only in case, would fill the same field of T: encoding/json
// would keep whichever comes last.
func ClaimsAs[T any](who Auth) (T, error) {
	var into T
	if who.proof == nil {
		return into, newError(ErrUnauthenticated, errors.New("there is no verified token"))
	}
	payload := []byte(who.proof.payload)
	if mixesUp(payload, reflect.TypeFor[T]()) {
		return into, newError(ErrTokenClaims, errors.New("two claims have names that differ only in case"))
	}
	if err := json.Unmarshal(payload, &into); err != nil {
		// The error would quote the claims.
		return into, newError(ErrTokenClaims, fmt.Errorf("claims do not fit into %T", into))
	}
	return into, nil
}

// mixesUp reports whether decoding data into a t would fill one field from two
// members of an object. What is not JSON is for the decoder to refuse.
func mixesUp(data []byte, t reflect.Type) bool {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	mixed, err := readsTwice(d, t)
	return mixed && err == nil
}

// readsTwice reads one value for a t, once, and reports whether a field in it would be
// filled twice.
func readsTwice(d *json.Decoder, t reflect.Type) (bool, error) {
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
	filled := map[int]bool{}
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
					if filled[i] {
						return true, nil
					}
					filled[i] = true
					of = fields.types[i]
				}
			}
		}
		if mixed, err := readsTwice(d, of); mixed || err != nil {
			return mixed, err
		}
	}
	_, err = d.Token()
	return false, err
}

// skipped is decoded from anything.
type skipped struct{}

// UnmarshalJSON does nothing.
func (skipped) UnmarshalJSON([]byte) error { return nil }

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// decoded returns the type that encoding/json decodes a t as, without its pointers;
// nil if no field in it can be filled, or if that is the type's own affair.
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

// elementOf returns the type of t's elements if t is of such a kind.
func elementOf(t reflect.Type, kinds ...reflect.Kind) reflect.Type {
	if slices.Contains(kinds, t.Kind()) {
		return t.Elem()
	}
	return nil
}

// fields are a struct's, as encoding/json finds them.
type fields struct {
	exact, folded map[string]int // by name
	types         []reflect.Type
}

// find returns the field that a member of that name fills.
func (f *fields) find(name string) (i int, ok bool) {
	if i, ok = f.exact[name]; !ok {
		i, ok = f.folded[fold(name)]
	}
	return i, ok
}

var knownFields sync.Map // reflect.Type to *fields

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
	index  []int // its place in the struct, and in those that are embedded
	of     reflect.Type
}

// newFields collects the fields of t and of the structs embedded in it. Of several of
// one name the least deep is taken, of those the tagged one; if there are still
// several, none is.
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
					if times[outer.of] > 1 { // it stands there as often
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

// newField reads field i of a struct. One that is embedded has fields of its own
// instead of being one.
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

// validName reports whether encoding/json takes a name from a tag.
func validName(name string) bool {
	return !strings.ContainsFunc(name, func(c rune) bool {
		return !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c)
	})
}

// dominant returns the one of several fields of a name that has it.
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

// fold returns one spelling for all names that encoding/json takes for one another.
func fold(name string) string {
	return strings.Map(func(c rune) rune {
		for {
			next := unicode.SimpleFold(c)
			if next <= c {
				return next // the least of them
			}
			c = next
		}
	}, name)
}
