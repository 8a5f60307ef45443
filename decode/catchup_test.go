//go:build cgo

package decode

import (
	"fmt"
	"slices"
	"testing"

	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/internal/soaktest"
	"github.com/kvsframes/kvsframes/media"
)

// TestCatchingUpChangesNoOtherPicture catches up in the middle of streams that are cut in many ways. Key frames, and all pictures of the
// fragments before and after, are those of an undisturbed run; the other samples are named.
func TestCatchingUpChangesNoOtherPicture(t *testing.T) {
	rng := soaktest.Rand(t)
	tries, compared, sizes := 1, 0, []int{1, 3, 7, 11}
	if soaktest.Soaking() {
		tries = 20
	}
	for _, clip := range append(slices.Clone(cutClips), "refresh.mkv", "hevc-pyramid.mkv", "hevc-lists-open.mkv", "lists-open.mkv") {
		whole := fragments(t, "testdata/"+clip)
		rng.Shuffle(len(sizes), func(i, j int) { sizes[i], sizes[j] = sizes[j], sizes[i] })
		some := sizes[:1]
		if soaktest.Soaking() {
			some = sizes
		}
		for _, each := range some {
			frags := rechunkBlocks(t, whole, func(i int, _ media.Block) bool { return i%each == 0 })
			frags = frags[:min(len(frags), 60)]
			// The second key frame shows whether key frames refer to other pictures.
			begin := 1
			for keys := 0; begin < len(frags)-1 && keys < 2; begin++ {
				if hasKey(frags[begin]) {
					keys++
				}
			}
			p := newTestPool(t, nil)
			images, outcomes := decodeSideBySide(t, stream(t, p, everyFrame()), frags)
			want := shots(images, frags)["raw"]
			for range tries {
				first := begin + rng.IntN(len(frags)-begin)
				last := first + rng.IntN(len(frags)-first)
				s := stream(t, p, everyFrame())
				behind := plan.CaughtUp{Decided: frags[len(frags)-1].Number, KeysOnly: []plan.Span{{After: frags[first-1].Number, Last: frags[last].Number}}}
				if err := s.Resume([]plan.State{{CaughtUp: behind}}); err != nil {
					t.Fatal(err)
				}
				images, late := decodeSideBySide(t, s, frags)
				got := shots(images, frags)["raw"]
				// A planner ends it only where the pictures that the next ones refer to are kept.
				kept := slices.ContainsFunc(frags[first:last+1], hasKey)
				for i, f := range frags {
					text := fmt.Sprintf("%s by %d, behind from %d to %d, fragment %d of %d", clip, each, first, last, i, len(frags))
					left := lostFrames(late[i].Gaps, media.GapLeftOut)
					switch others := lostFrames(late[i].Gaps, "") - left; {
					case i < first || i > last && kept:
						if compared++; left > 0 || !slices.Equal(got[f.Number], want[f.Number]) {
							t.Errorf("%s: the pictures differ", text)
						}
					case i >= first && i <= last && len(got[f.Number])+left+others != len(want[f.Number])+lostFrames(outcomes[i].Gaps, ""):
						t.Errorf("%s: %d pictures and %d left out, want %d", text, len(got[f.Number]), left, len(want[f.Number]))
					case i >= first && i <= last && len(notIn(got[f.Number], want[f.Number])) > 0:
						t.Errorf("%s: these pictures differ: %.60q", text, notIn(got[f.Number], want[f.Number]))
					}
				}
			}
		}
	}
	if compared == 0 {
		t.Error("nothing was compared")
	}
}

func hasKey(f *media.Fragment) bool {
	return slices.ContainsFunc(f.Blocks, func(b media.Block) bool { return b.Key })
}

// lostFrames counts the frames of gaps that have a reason, or any.
func lostFrames(gaps []media.Gap, reason media.GapReason) (n int) {
	for _, g := range gaps {
		if reason == "" || g.Reason == reason {
			n += g.FramesLost
		}
	}
	return n
}

// notIn returns the entries of a that b does not have.
func notIn(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}
