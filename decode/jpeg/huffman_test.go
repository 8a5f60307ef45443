package jpeg

import (
	"math/rand/v2"
	"testing"
)

func TestHuffmanCodesArePrefixFreeAndWithinTheLimit(t *testing.T) {
	fibonacci := make([]uint32, 40)
	for i := range fibonacci {
		fibonacci[i] = 1
		if i > 1 {
			fibonacci[i] = fibonacci[i-1] + fibonacci[i-2]
		}
	}
	random := make([]uint32, 256)
	source := rand.New(rand.NewPCG(1, 2))
	for i := range random {
		random[i] = uint32(source.Float64() * float64(uint32(1)<<source.IntN(31)))
	}
	equal := make([]uint32, 256)
	for i := range equal {
		equal[i] = 7
	}
	for name, counts := range map[string][]uint32{
		"one symbol": {0, 0, 5}, "two symbols": {1, 0, 1000000}, "fibonacci": fibonacci, "random": random, "equal": equal,
	} {
		table := newHuffmanTable(counts)
		seen := map[uint8]bool{}
		free := 1 << huffmanLimit // how much of the code space is left
		previous := -1
		table.codes(func(symbol uint8, code uint32, length int) {
			from := int(code) << (huffmanLimit - length)
			if counts[symbol] == 0 || seen[symbol] || length > huffmanLimit || from <= previous {
				t.Fatalf("%s: symbol %d has code %b of %d bits", name, symbol, code, length)
			}
			seen[symbol] = true
			free -= 1 << (huffmanLimit - length)
			previous = from + 1<<(huffmanLimit-length) - 1
		})
		for symbol, n := range counts {
			if n > 0 && !seen[uint8(symbol)] {
				t.Errorf("%s: symbol %d has no code", name, symbol)
			}
		}
		if free < 1 || previous >= 1<<huffmanLimit-1 {
			t.Errorf("%s: the code of only ones is taken", name)
		}
	}
}

// TestHuffmanCodesAreTheShortest compares with lengths that were found by hand; one
// code of the greatest length is never used.
func TestHuffmanCodesAreTheShortest(t *testing.T) {
	table := newHuffmanTable([]uint32{1, 2, 4, 8, 16})
	want := map[uint8]int{4: 1, 3: 2, 2: 3, 1: 4, 0: 5}
	table.codes(func(symbol uint8, _ uint32, length int) {
		if length != want[symbol] {
			t.Errorf("symbol %d has %d bits, want %d", symbol, length, want[symbol])
		}
	})
}
