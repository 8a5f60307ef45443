package sink

// element is one byte of a key, or any number of bytes.
type element struct {
	bytes  byteSet
	repeat bool
	name   bool // part of a value with any content
}

type byteSet [4]uint64

func (s *byteSet) add(chars string) {
	for i := range len(chars) {
		s[chars[i]>>6] |= 1 << (chars[i] & 63)
	}
}

func (s *byteSet) meets(other *byteSet) bool {
	for i := range s {
		if s[i]&other[i] != 0 {
			return true
		}
	}
	return false
}

// separator separates the segments of a key. No other element contains its byte.
var separator = literal(nil, "/")[0]

func literal(to []element, text string) []element {
	for i := range len(text) {
		var e element
		e.bytes.add(text[i : i+1])
		to = append(to, e)
	}
	return to
}

// wildcard appends one or more bytes of chars or, if chars is empty, any bytes but a separator.
func wildcard(to []element, chars string) []element {
	var e element
	if e.bytes.add(chars); chars == "" {
		e.name = true
		e.bytes = byteSet{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}
		for i := range e.bytes {
			e.bytes[i] &^= separator.bytes[i]
		}
	}
	more := e
	more.repeat = true
	return append(to, e, more)
}

// none is the index of no pattern.
const none = -1

// keyspace holds the patterns of one place in a trie, so that common prefixes are compared once. The cost of
// a search depends on the common prefixes and not on the number of patterns: different names diverge at their
// first letters.
type keyspace struct {
	all *trieNode
	// byDepth holds the patterns by their number of segments: only patterns of the same number can be equal.
	byDepth map[int]*trieNode
	// searches is the number of searches until now.
	searches uint32
}

// trieNode is the node after one element of the patterns with the same beginning.
type trieNode struct {
	element element
	// first is the first pattern through this node, end the first one that ends here, or none.
	first, end int
	// literals are the children after one byte, wild those after any other element.
	literals map[element]*trieNode
	wild     []*trieNode
	// seen holds, by index in a pattern, the last search that continued from this node and that index. A
	// wildcard meets thousands of nodes, for which a map of pairs would be too slow.
	seen []uint32
}

func newKeyspace() *keyspace { return &keyspace{all: newRoot(), byDepth: map[int]*trieNode{}} }

func newRoot() *trieNode { return &trieNode{first: none, end: none} }

// depth returns the number of separators of a pattern.
func depth(pattern []element) int {
	n := 0
	for _, e := range pattern {
		if e == separator {
			n++
		}
	}
	return n
}

// insert adds a pattern, whose index must be larger than all earlier ones.
func (k *keyspace) insert(pattern []element, index int) {
	d := depth(pattern)
	if k.byDepth[d] == nil {
		k.byDepth[d] = newRoot()
	}
	k.byDepth[d].insert(pattern, index)
	k.all.insert(pattern, index)
}

// meets returns the first pattern that can produce the same key as this one, or a key of which one is a
// folder of the other. It returns none if there is no such pattern.
func (k *keyspace) meets(pattern []element) (first int, folder bool) {
	literal := literalOf(pattern)
	k.searches += 2
	same := search{pattern: pattern, literal: literal, anyName: true, best: none, number: k.searches - 1}
	if root := k.byDepth[depth(pattern)]; root != nil {
		same.from(root, 0)
	}
	inside := search{pattern: pattern, literal: literal, folder: true, best: none, number: k.searches}
	inside.from(k.all, 0)
	if inside.best != none && (same.best == none || inside.best < same.best) {
		return inside.best, true
	}
	return same.best, false
}

func (n *trieNode) insert(pattern []element, index int) {
	for _, e := range pattern {
		next := n.child(e)
		if next == nil {
			next = &trieNode{element: e, first: index, end: none}
			n.adopt(next)
		}
		n = next
	}
	if n.end == none {
		n.end = index
	}
}

func (n *trieNode) child(e element) *trieNode {
	if found := n.literals[e]; found != nil {
		return found
	}
	for _, w := range n.wild {
		if w.element == e {
			return w
		}
	}
	return nil
}

func (n *trieNode) adopt(child *trieNode) {
	if !child.element.isLiteral() {
		n.wild = append(n.wild, child)
		return
	}
	if n.literals == nil {
		n.literals = map[element]*trieNode{}
	}
	n.literals[child.element] = child
}

// isLiteral reports whether e is one given byte.
func (e element) isLiteral() bool {
	count := 0
	for _, word := range e.bytes {
		for ; word != 0; word &= word - 1 {
			count++
		}
	}
	return count == 1 && !e.repeat
}

func literalOf(pattern []element) []bool {
	out := make([]bool, len(pattern))
	for i, e := range pattern {
		out[i] = e.isLiteral()
	}
	return out
}

// search walks a pattern and a trie side by side, over pairs of positions.
type search struct {
	pattern []element
	literal []bool // by index in the pattern
	// folder searches for keys that are folders of others, rather than for equal ones. anyName is false
	// then: a name is assumed to contain no literal and no number.
	folder, anyName bool
	best            int
	number          uint32 // of the search, from 1
}

// from continues after a node and before an element of the pattern.
func (s *search) from(n *trieNode, at int) {
	if s.best != none && n.first >= s.best {
		return
	}
	repeats := at < len(s.pattern) && s.pattern[at].repeat
	if repeats || n.element.repeat {
		if n.visited(at, s.number) {
			return
		}
	}
	s.end(n, at)
	for _, w := range n.wild {
		if w.element.repeat {
			s.from(w, at)
		}
	}
	if at == len(s.pattern) {
		return
	}
	next := at + 1
	if repeats {
		s.from(n, next)
		next = at
	}
	if n.element.repeat && s.fits(n, at) {
		s.from(n, next)
	}
	for _, w := range n.wild {
		if !w.element.repeat && s.fits(w, at) {
			s.from(w, next)
		}
	}
	if s.literal[at] {
		if l := n.literals[s.pattern[at]]; l != nil {
			s.from(l, next)
		}
		return
	}
	for _, l := range n.literals {
		if s.fits(l, at) {
			s.from(l, next)
		}
	}
}

// visited reports whether a search has continued from this node and the index at, and marks the pair.
func (n *trieNode) visited(at int, search uint32) bool {
	if at >= len(n.seen) {
		n.seen = append(n.seen, make([]uint32, at+1-len(n.seen))...)
	}
	before := n.seen[at]
	n.seen[at] = search
	return before == search
}

func (s *search) fits(n *trieNode, at int) bool {
	e := &s.pattern[at]
	return e.bytes.meets(&n.element.bytes) && (s.anyName || e.name == n.element.name)
}

// end records a match where the pattern or one of the trie's ends.
func (s *search) end(n *trieNode, at int) {
	found := none
	switch {
	case !s.folder && at == len(s.pattern):
		found = n.end
	case s.folder && at == len(s.pattern):
		if below := n.literals[separator]; below != nil {
			found = below.first
		}
	case s.folder && s.pattern[at] == separator:
		found = n.end
	}
	if found != none && (s.best == none || found < s.best) {
		s.best = found
	}
}
