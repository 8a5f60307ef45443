//go:build cgo

package decode

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/kvsframes/kvsframes/internal/soaktest"
	"github.com/kvsframes/kvsframes/media"
)

// cutClips are the kinds of stream that are cut at each packet.
var cutClips = []string{"no-b.mkv", "flat-b.mkv", "bframes.mkv", "opengop.mkv", "hevc.mkv", "hevc-open.mkv"}

// TestEveryFrameIsExactWhereverTheStreamIsCut cuts streams in two at each packet, and into fragments of few
// packets. Every frame must be what libav gives for the stream in one piece. A sample is played unless soaking.
func TestEveryFrameIsExactWhereverTheStreamIsCut(t *testing.T) {
	rng := soaktest.Rand(t)
	for _, clip := range cutClips {
		whole := fragments(t, "testdata/"+clip)
		n := 0
		for _, f := range whole {
			n += len(f.Blocks)
		}
		want := continuously(t, whole)
		if len(want) != n {
			t.Fatalf("%s: libav gives %d frames of %d", clip, len(want), n)
		}
		const sampled = 6
		for at := 1; at < n; at++ {
			if !soaktest.Soaking() && rng.IntN(n) >= sampled {
				continue
			}
			frags := rechunkBlocks(t, whole, func(i int, _ media.Block) bool { return i == 0 || i == at })
			holdAgainst(t, fmt.Sprintf("%s cut before packet %d", clip, at), frags, want, 1+rng.IntN(3))
		}
		for _, each := range []int{1, 3, 7, 11} {
			frags := rechunkBlocks(t, whole, func(i int, _ media.Block) bool { return i%each == 0 })
			holdAgainst(t, fmt.Sprintf("%s by %d", clip, each), frags, want, 1+rng.IntN(3))
		}
	}
}

// continuously returns what libav gives for a stream in one piece.
func continuously(t *testing.T, whole []*media.Fragment) [][]byte {
	t.Helper()
	var all [][]byte
	for _, f := range inOrderOfTime(t, rechunkBlocks(t, whole, func(i int, _ media.Block) bool { return i == 0 })) {
		all = append(all, f...)
	}
	return all
}

// byTime sorts images by capture time: fragments that are cut between a key frame and what leads it overlap.
func byTime(images []media.Image) {
	slices.SortStableFunc(images, func(a, b media.Image) int { return a.ProducerTime.Compare(b.ProducerTime) })
}

func holdAgainst(t *testing.T, what string, frags []*media.Fragment, want [][]byte, workers int) {
	t.Helper()
	p := newTestPool(t, func(c *Config) { c.Workers = workers })
	images, outcomes := decodeSideBySide(t, stream(t, p, everyFrame()), frags)
	var got []media.Image
	for i := range frags {
		if len(outcomes[i].Gaps) > 0 {
			t.Errorf("%s: fragment %d: %+v", what, i, outcomes[i].Gaps)
		}
		got = append(got, images[i]...)
	}
	byTime(got)
	if len(got) != len(want) {
		t.Errorf("%s: %d frames, want %d", what, len(got), len(want))
		return
	}
	for i, img := range got {
		if img.Concealed || !bytes.Equal(img.Data, want[i]) {
			t.Errorf("%s: frame %d (fragment %s, index %d, concealed %t) is not libav's", what, i, img.FragmentNumber, img.Index, img.Concealed)
			return
		}
	}
}
