package decode

// kept is a small cache of objects that are dear to make: the least recently
// used one is freed when there are too many.
type kept[K comparable, V interface{ free() }] struct {
	limit   int
	entries []keptEntry[K, V] // the most recently used is last
}

type keptEntry[K comparable, V interface{ free() }] struct {
	key   K
	value V
}

// get returns the object of key, made by open if it is not there.
func (c *kept[K, V]) get(key K, open func(K) (V, error)) (V, error) {
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
		c.entries = append(c.entries, keptEntry[K, V]{key, v})
	}
	return v, err
}

// dropOldest frees the least recently used object, and reports whether there was one.
func (c *kept[K, V]) dropOldest() bool {
	if len(c.entries) == 0 {
		return false
	}
	c.drop(c.entries[0].key)
	return true
}

// drop frees the object of key, if there is one.
func (c *kept[K, V]) drop(key K) {
	for i, e := range c.entries {
		if e.key == key {
			e.value.free()
			c.entries = append(c.entries[:i], c.entries[i+1:]...)
			return
		}
	}
}

// free frees all objects.
func (c *kept[K, V]) free() {
	for _, e := range c.entries {
		e.value.free()
	}
	c.entries = nil
}
