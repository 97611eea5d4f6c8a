package introspect

import "container/list"

// cache holds a bounded number of values of a bounded total size. The value that was
// put longest ago is evicted first.
type cache[V any] struct {
	max, maxSize int
	size         int
	entries      map[Key]*list.Element
	order        list.List // of entry[V], the oldest first
}

type entry[V any] struct {
	key   Key
	value V
	size  int
}

func newCache[V any](limit, size int) *cache[V] {
	return &cache[V]{max: limit, maxSize: size, entries: make(map[Key]*list.Element)}
}

func (c *cache[V]) get(key Key) (value V, ok bool) {
	element, ok := c.entries[key]
	if !ok {
		return value, false
	}
	e, ok := element.Value.(entry[V])
	return e.value, ok
}

func (c *cache[V]) put(key Key, value V, size int) {
	c.remove(key)
	if size > c.maxSize {
		return // it would evict all others, and itself
	}
	c.entries[key] = c.order.PushBack(entry[V]{key, value, size})
	c.size += size
	for len(c.entries) > c.max || c.size > c.maxSize {
		if oldest, ok := c.order.Front().Value.(entry[V]); ok {
			c.remove(oldest.key)
		}
	}
}

func (c *cache[V]) remove(key Key) {
	element, ok := c.entries[key]
	if !ok {
		return
	}
	if e, ok := element.Value.(entry[V]); ok {
		c.size -= e.size
	}
	c.order.Remove(element)
	delete(c.entries, key)
}
