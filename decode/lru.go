package decode

// lru is a small cache of objects that are expensive to create: it frees the least recently used one when it is full.
type lru[K comparable, V interface{ free() }] struct {
	limit   int
	entries []lruEntry[K, V] // the most recently used is last
}

type lruEntry[K comparable, V interface{ free() }] struct {
	key   K
	value V
}

// get returns the object for key, and opens it if it is not in the cache. The cache owns it.
func (c *lru[K, V]) get(key K, open func(K) (V, error)) (V, error) {
	for i, e := range c.entries {
		if e.key == key {
			copy(c.entries[i:], c.entries[i+1:])
			c.entries[len(c.entries)-1] = e
			return e.value, nil
		}
	}
	if len(c.entries) >= c.limit {
		c.drop(c.entries[0].key)
	}
	v, err := open(key)
	if err == nil {
		c.entries = append(c.entries, lruEntry[K, V]{key, v})
	}
	return v, err
}

// dropOldest frees the least recently used object, and reports whether there was one.
func (c *lru[K, V]) dropOldest() bool {
	if len(c.entries) == 0 {
		return false
	}
	c.drop(c.entries[0].key)
	return true
}

// drop frees the object for key, if it is in the cache.
func (c *lru[K, V]) drop(key K) {
	for i, e := range c.entries {
		if e.key == key {
			e.value.free()
			c.entries = append(c.entries[:i], c.entries[i+1:]...)
			return
		}
	}
}

// free frees all objects.
func (c *lru[K, V]) free() {
	for _, e := range c.entries {
		e.value.free()
	}
	c.entries = nil
}
