package jpeg

import "slices"

// huffmanLimit is the longest code of a JPEG in bits.
const huffmanLimit = 16

// huffmanTable is a Huffman code in the form of a JPEG.
type huffmanTable struct {
	lengths [huffmanLimit + 1]uint8 // how many codes there are of each length
	symbols []uint8                 // by length of their codes
}

// newHuffmanTable returns the optimal code for symbols with the given counts. Symbols
// with a count of 0 have none. Equal counts give equal codes.
func newHuffmanTable(counts []uint32) huffmanTable {
	var symbols []int
	for s, n := range counts {
		if n > 0 {
			symbols = append(symbols, s)
		}
	}
	slices.SortStableFunc(symbols, func(a, b int) int { return int(int64(counts[b]) - int64(counts[a])) })
	t := huffmanTable{symbols: make([]uint8, len(symbols))}
	weights := make([]uint64, len(symbols)+1)
	for i, s := range symbols {
		t.symbols[i] = uint8(s)
		weights[len(symbols)-i] = uint64(counts[s])
	}
	// weights[0] stays 0. It is that of an extra symbol, which takes the code of only
	// ones, since a JPEG must not use that code, and is left out at the end.
	depths := huffmanDepths(weights)
	for n := len(depths) - 1; n > huffmanLimit; n-- {
		for depths[n] > 0 { // one of the two longest codes takes their prefix, the other moves next to a shorter one
			shorter := n - 2
			for depths[shorter] == 0 {
				shorter--
			}
			depths[n] -= 2
			depths[n-1]++
			depths[shorter]--
			depths[shorter+1] += 2
		}
	}
	longest := min(len(depths)-1, huffmanLimit)
	for depths[longest] == 0 {
		longest--
	}
	depths[longest]--
	for n := 1; n <= longest; n++ {
		t.lengths[n] = uint8(depths[n])
	}
	return t
}

// huffmanDepths returns how many leaves lie at each depth of the Huffman tree over
// weights, which ascend. A single leaf lies at depth 1.
func huffmanDepths(weights []uint64) []int {
	n := len(weights)
	if n == 1 {
		return []int{0, 1}
	}
	// Leaves come first, then inner nodes in the order of their creation. Both ascend,
	// so the two lightest nodes are always at the heads.
	weight := append(make([]uint64, 0, 2*n-1), weights...)
	parent := make([]int, 2*n-1)
	leaf, inner := 0, n
	lightest := func() int {
		if leaf < n && (inner == len(weight) || weight[leaf] <= weight[inner]) {
			leaf++
			return leaf - 1
		}
		inner++
		return inner - 1
	}
	for len(weight) < 2*n-1 {
		a, b := lightest(), lightest()
		parent[a], parent[b] = len(weight), len(weight)
		weight = append(weight, weight[a]+weight[b])
	}
	depth := make([]int, 2*n-1)
	depths := make([]int, max(n, 2))
	for i := 2*n - 3; i >= 0; i-- {
		depth[i] = depth[parent[i]] + 1
		if i < n {
			depths[depth[i]]++
		}
	}
	return depths
}

// codes calls yield with the code of each symbol and its length in bits.
func (t *huffmanTable) codes(yield func(symbol uint8, code uint32, length int)) {
	code, i := uint32(0), 0
	for length := 1; length <= huffmanLimit; length++ {
		for range t.lengths[length] {
			yield(t.symbols[i], code, length)
			code++
			i++
		}
		code <<= 1
	}
}

// appendTo appends the table in the form of a DHT segment.
func (t *huffmanTable) appendTo(dst []byte) []byte {
	dst = append(dst, t.lengths[1:]...)
	return append(dst, t.symbols...)
}
