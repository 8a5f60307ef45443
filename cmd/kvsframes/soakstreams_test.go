package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/kvstest"
)

// soakStream is a stream of the soak, and the file of its recording.
type soakStream struct{ name, path string }

// soakClips are the clips of these streams, and the number of packets of a fragment.
var soakClips = []struct {
	name string
	each int
}{
	{"no-b", 20}, {"bframes", 25}, {"opengop", 25}, {"hevc", 25}, {"hevc-open", 20}, {"slices", 25}, {"longgop", 20}, {"refresh", 25}, {"avc-cam-a", 12}, {"hevc-cam-a", 12},
}

// soakStreams records n streams of a length.
func soakStreams(t *testing.T, rng *rand.Rand, n int, start time.Time, length time.Duration) (streams []soakStream, mutants int) {
	t.Helper()
	folder := t.TempDir()
	for i := range n {
		clip := soakClips[i%len(soakClips)]
		whole := packetsOf(t, read(t, filepath.Join("../../decode/testdata", clip.name+".mkv")))
		whole.ProducerTime = start
		l := loops{whole: whole, each: clip.each, length: length, mutantEvery: 10}
		saved, _, damaged := l.record(rng)
		s := soakStream{fmt.Sprintf("cam-%02d", i), filepath.Join(folder, fmt.Sprint(i, ".mkv"))}
		if err := os.WriteFile(s.path, saved, 0o600); err != nil {
			t.Fatal(err)
		}
		streams, mutants = append(streams, s), mutants+damaged
	}
	return streams, mutants
}

// loops is a clip over and over, in fragments of so many packets. One in mutantEvery fragments is damaged.
type loops struct {
	whole             kvstest.Chunk
	each, mutantEvery int
	length            time.Duration
}

// record returns the recording, and the number of its fragments and of the damaged ones. It goes a little beyond the length, since only
// a fragment after its end ends a stream.
func (l loops) record(rng *rand.Rand) (saved []byte, fragments, mutants int) {
	last := l.whole.Blocks[len(l.whole.Blocks)-1].Time
	loop := last + last/time.Duration(len(l.whole.Blocks)-1)
	for shift := time.Duration(0); shift < l.length+loop; shift += loop {
		for blocks := range slices.Chunk(l.whole.Blocks, l.each) {
			if rng.IntN(l.mutantEvery) == 0 {
				blocks = mutate(rng, blocks)
				mutants++
			}
			fragments++
			saved = kvstest.AppendChunk(saved, l.chunk(fragments, shift, blocks))
		}
	}
	return saved, fragments, mutants
}

// chunk returns some packets as a chunk with a number, later by shift.
func (l loops) chunk(n int, shift time.Duration, blocks []kvstest.Block) kvstest.Chunk {
	number, first := fmt.Sprintf("%047d", n), blocks[0].Time
	for _, b := range blocks {
		first = min(first, b.Time)
	}
	at := l.whole.ProducerTime.Add(shift + first)
	c := kvstest.Chunk{FragmentNumber: number, ContinuationToken: number, ProducerTime: at, ServerTime: at.Add(time.Second), Tracks: l.whole.Tracks}
	for _, b := range blocks {
		b.Time -= first
		c.Blocks = append(c.Blocks, b)
	}
	return c
}

// mutate returns packets of which one to three are damaged.
func mutate(rng *rand.Rand, blocks []kvstest.Block) []kvstest.Block {
	blocks = slices.Clone(blocks)
	for range 1 + rng.IntN(3) {
		b := &blocks[rng.IntN(len(blocks))]
		if damaged := spoil(rng, b.Data); len(damaged) > 0 {
			b.Data = damaged
		}
	}
	return blocks
}
