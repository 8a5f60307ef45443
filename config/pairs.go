package config

// simple returns the value of a key with its mappings, where the key accepts any, turned into text: the form that the
// environment and the flags use. It does not change other values.
func (k *key) simple(n *node) *node {
	if k.Pairs && n.shape == shapeMapping {
		return k.pairList(n)
	}
	if k.Entry[0] == "" || n.shape != shapeList {
		return n
	}
	copied := *n
	copied.items = make([]*node, len(n.items))
	for i, item := range n.items {
		copied.items[i] = k.namedEntry(item)
	}
	return &copied
}

// pairList turns {a: x, b: y} into [a=x, b=y].
func (k *key) pairList(n *node) *node {
	l := &node{at: n.at, shape: shapeList, refused: n.refused}
	for _, f := range n.fields {
		if !f.value.isScalar() {
			return n
		}
		l.items = append(l.items, &node{at: f.at, shape: shapeText, text: f.key + "=" + f.value.text, refused: f.value.refused})
	}
	return l
}

// namedEntry turns {stream: x, as: y} into y=x.
func (k *key) namedEntry(n *node) *node {
	var values [2]string
	if n.shape != shapeMapping || len(n.fields) != len(values) {
		return n
	}
	entry := &node{at: n.at, shape: shapeText, refused: n.refused}
	for _, f := range n.fields {
		for i, name := range k.Entry {
			if f.key == name && f.value.isScalar() {
				values[i] = f.value.text
				entry.refused = entry.refused || f.value.refused
			}
		}
	}
	if values[0] == "" || values[1] == "" {
		return n
	}
	entry.text = values[1] + "=" + values[0]
	return entry
}

// isScalar reports whether the node is one value.
func (n *node) isScalar() bool {
	return n.shape == shapeText || n.shape == shapeNumber || n.shape == shapeBool
}
