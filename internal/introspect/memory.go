package introspect

import "container/list"

// memory remembers a bounded number of values of a bounded size in all, of which the
// one that was put there longest ago goes first.
type memory[V any] struct {
	max, maxSize int
	size         int
	places       map[Key]*list.Element
	order        list.List // oldest first
}

type remembered[V any] struct {
	key   Key
	value V
	size  int
}

func newMemory[V any](limit, size int) *memory[V] {
	return &memory[V]{max: limit, maxSize: size, places: make(map[Key]*list.Element)}
}

func (m *memory[V]) get(key Key) (value V, ok bool) {
	place, ok := m.places[key]
	if !ok {
		return value, false
	}
	r, ok := place.Value.(remembered[V])
	return r.value, ok
}

func (m *memory[V]) put(key Key, value V, size int) {
	m.drop(key)
	if size > m.maxSize {
		return // it would push out all others, and itself
	}
	m.places[key] = m.order.PushBack(remembered[V]{key, value, size})
	m.size += size
	for len(m.places) > m.max || m.size > m.maxSize {
		if oldest, ok := m.order.Front().Value.(remembered[V]); ok {
			m.drop(oldest.key)
		}
	}
}

func (m *memory[V]) drop(key Key) {
	place, ok := m.places[key]
	if !ok {
		return
	}
	if r, ok := place.Value.(remembered[V]); ok {
		m.size -= r.size
	}
	m.order.Remove(place)
	delete(m.places, key)
}
