//go:build cgo

package decode

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/kvsframes/kvsframes/decode/h26x"
	"github.com/kvsframes/kvsframes/internal/soaktest"
	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// cases returns how many cases a test tries: a sample unless soaking.
func cases(sample, all int) int {
	if soaktest.Soaking() {
		return all
	}
	return sample
}

// packets are those of a fragment as their NAL units, of clips with length prefixes of four bytes.
type packets [][][]byte

func packetsOf(f *media.Fragment) packets {
	p := make(packets, len(f.Blocks))
	for k, b := range f.Blocks {
		h26x.EachNAL(f.MKV[b.Offset:b.Offset+b.Size], 4, func(nal []byte) { p[k] = append(p[k], bytes.Clone(nal)) })
	}
	return p
}

// empty reports whether nothing is left that could be changed.
func (p packets) empty() bool {
	return !slices.ContainsFunc(p, func(nals [][]byte) bool {
		return slices.ContainsFunc(nals, func(nal []byte) bool { return len(nal) > 0 })
	})
}

// fragment returns the packets as a fragment, at the times of f's blocks. A packet without NAL units is left
// out, and cut bytes are missing at the end of the last one.
func (p packets) fragment(t testing.TB, f *media.Fragment, cut int) *media.Fragment {
	t.Helper()
	chunk := kvstest.Chunk{
		FragmentNumber: f.Number, ContinuationToken: f.Number, ProducerTime: f.ProducerTime, ServerTime: f.ServerTime, Tracks: f.Tracks,
	}
	for k, nals := range p {
		b := f.Blocks[min(k, len(f.Blocks)-1)]
		var data []byte
		for _, nal := range nals {
			data = append(binary.BigEndian.AppendUint32(data, uint32(len(nal))), nal...)
		}
		if k == len(p)-1 {
			data = data[:max(0, len(data)-cut)]
		}
		if len(data) > 0 {
			chunk.Blocks = append(chunk.Blocks, kvstest.Block{Track: b.Track, Time: b.Time, Key: b.Key, Data: data})
		}
	}
	out := split(t, bytes.NewReader(kvstest.AppendChunk(nil, chunk)), payload.Config{Stream: f.Stream})
	if len(out) != 1 {
		t.Fatalf("%d fragments", len(out))
	}
	return out[0]
}

// mutations are what happens to the slices of a camera on their way. Each changes the packets and
// returns how many bytes the last one lacks.
var mutations = map[string]func(rng *rand.Rand, p packets) int{
	"flip bits": func(rng *rand.Rand, p packets) int {
		nal := someSlice(rng, p)
		for range 1 + rng.IntN(8) {
			nal[rng.IntN(len(nal))] ^= 1 << rng.IntN(8)
		}
		return 0
	},
	"zero a range": func(rng *rand.Rand, p packets) int {
		nal := someSlice(rng, p)
		from := rng.IntN(len(nal))
		clear(nal[from:min(len(nal), from+1+rng.IntN(40))])
		return 0
	},
	"cut a slice": func(rng *rand.Rand, p packets) int {
		k, n := somePlace(rng, p)
		p[k][n] = p[k][n][:1+rng.IntN(len(p[k][n]))]
		return 0
	},
	"drop a slice": func(rng *rand.Rand, p packets) int {
		k, n := somePlace(rng, p)
		p[k] = slices.Delete(p[k], n, n+1)
		return 0
	},
	"double a slice": func(rng *rand.Rand, p packets) int {
		k, n := somePlace(rng, p)
		p[k] = slices.Insert(p[k], n, bytes.Clone(p[k][n]))
		return 0
	},
	"drop a packet": func(rng *rand.Rand, p packets) int {
		p[rng.IntN(len(p))] = nil
		return 0
	},
	"double a packet": func(rng *rand.Rand, p packets) int {
		k, to := rng.IntN(len(p)), rng.IntN(len(p))
		p[to] = nil
		for _, nal := range p[k] {
			p[to] = append(p[to], bytes.Clone(nal))
		}
		return 0
	},
	"cut the packet": func(rng *rand.Rand, p packets) int {
		last := 0
		for _, nal := range p[len(p)-1] {
			last += 4 + len(nal)
		}
		return rng.IntN(last + 1)
	},
}

// somePlace picks one of the NAL units that are not empty; the clips have nothing but slices and the sets of x265.
func somePlace(rng *rand.Rand, p packets) (k, n int) {
	for {
		k = rng.IntN(len(p))
		if len(p[k]) == 0 {
			continue
		}
		if n = rng.IntN(len(p[k])); len(p[k][n]) > 0 {
			return k, n
		}
	}
}

func someSlice(rng *rand.Rand, p packets) []byte {
	k, n := somePlace(rng, p)
	return p[k][n]
}

// mutant returns a fragment with one to three of the mutations, and their names.
func mutant(t testing.TB, rng *rand.Rand, f *media.Fragment) (*media.Fragment, []string) {
	names := make([]string, 0, len(mutations))
	for name := range mutations {
		names = append(names, name)
	}
	slices.Sort(names)
	p, cut := packetsOf(f), 0
	var did []string
	for n := 1 + rng.IntN(3); n > 0 && !p.empty(); n-- {
		name := names[rng.IntN(len(names))]
		if n := mutations[name](rng, p); n > 0 {
			cut = n
		}
		did = append(did, name)
	}
	return p.fragment(t, f, cut), did
}
