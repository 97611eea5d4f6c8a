package introspect

import "container/list"

// memory remembers a bounded number of values, of which the one that was put
// there longest ago goes first.
type memory[V any] struct {
	max    int
	places map[Key]*list.Element
	order  list.List // oldest first
}

type remembered[V any] struct {
	key   Key
	value V
}

func newMemory[V any](limit int) *memory[V] {
	return &memory[V]{max: limit, places: make(map[Key]*list.Element)}
}

func (m *memory[V]) get(key Key) (value V, ok bool) {
	place, ok := m.places[key]
	if !ok {
		return value, false
	}
	r, ok := place.Value.(remembered[V])
	return r.value, ok
}

func (m *memory[V]) put(key Key, value V) {
	m.drop(key)
	m.places[key] = m.order.PushBack(remembered[V]{key, value})
	for len(m.places) > m.max {
		if oldest, ok := m.order.Front().Value.(remembered[V]); ok {
			m.drop(oldest.key)
		}
	}
}

func (m *memory[V]) drop(key Key) {
	if place, ok := m.places[key]; ok {
		m.order.Remove(place)
		delete(m.places, key)
	}
}
