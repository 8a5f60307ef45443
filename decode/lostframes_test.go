//go:build cgo

package decode

import (
	"bytes"
	"slices"
	"testing"

	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
)

// without returns a fragment that lacks some of its blocks, as when they never reached the producer.
func without(f *media.Fragment, lost ...int) *media.Fragment {
	g := *f
	g.Blocks = nil
	for k, b := range f.Blocks {
		if !slices.Contains(lost, k) {
			g.Blocks = append(g.Blocks, b)
		}
	}
	return &g
}

// TestWhatRefersToALostFrameIsMarked loses one frame after the other: what is not marked is exact, and frames are marked
// if, and only if, others refer to the lost one.
func TestWhatRefersToALostFrameIsMarked(t *testing.T) {
	for _, name := range []string{
		"bframes.mkv", "lists-forward.mkv", "lists-pyramid.mkv", "lists-slices.mkv",
		"hevc.mkv", "hevc-pyramid.mkv", "hevc-forward.mkv", "hevc-wavefronts.mkv",
	} {
		t.Run(name, func(t *testing.T) {
			c := newClip(t, name)
			pool := newTestPool(t, nil)
			first := c.fragments[0]
			frames := plan.NewPlanner(plan.SkipAuto, requested(everyFrame())).Plan(first).Frames
			for lost := 1; lost < len(frames)-10; lost += 3 {
				images, _ := decodeAll(t, stream(t, pool, everyFrame()), []*media.Fragment{without(first, lost), c.fragments[1]})
				marked := 0
				for _, img := range images[0] {
					k := slices.IndexFunc(first.Blocks, func(b media.Block) bool { return b.Time == img.PTS })
					if img.Concealed {
						marked++
					} else if !bytes.Equal(img.Data, c.pictures[0][k]) {
						t.Errorf("packet %d is lost: %d is not marked and not exact", lost, k)
					}
				}
				if referred := !frames[lost].Disposable; (marked > 0) != referred || marked >= len(frames)-1 {
					t.Errorf("packet %d is lost, others refer to it: %t; %d are marked", lost, referred, marked)
				}
				for _, img := range images[1] {
					if img.Concealed {
						t.Errorf("packet %d is lost: frame %d of the next fragment is marked", lost, img.Index)
					}
				}
			}
		})
	}
}

// markedOf returns the indexes of the marked images.
func markedOf(images []media.Image) (marked []int) {
	for _, img := range images {
		if img.Concealed {
			marked = append(marked, img.Index)
		}
	}
	return marked
}

func TestLostFramesMarkAllUpToTheNextEntry(t *testing.T) {
	frags := fragments(t, "testdata/lists-forward.mkv")[:2]
	frags[0] = without(frags[0], 3, 4)
	images, outcomes := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), frags)
	want := make([]int, len(frags[0].Blocks)-3)
	for i := range want {
		want[i] = i + 3
	}
	if got := markedOf(images[0]); !slices.Equal(got, want) || outcomes[0].FramesConcealed != len(want) {
		t.Errorf("marked are %v, want %v; %+v", got, want, outcomes[0])
	}
	if got := markedOf(images[1]); len(got) != 0 {
		t.Errorf("of the next fragment are marked %v", got)
	}
	drop := newTestPool(t, func(c *Config) { c.Concealed = ConcealedDrop })
	images, outcomes = decodeAll(t, stream(t, drop, everyFrame()), frags)
	if len(images[0]) != 3 || len(outcomes[0].Gaps) == 0 || len(images[1]) != len(frags[1].Blocks) {
		t.Errorf("with concealed: drop there are %d and %d images, gaps %v", len(images[0]), len(images[1]), outcomes[0].Gaps)
	}
}

// TestALostIDRMarksItsGroup loses the first frame of a fragment, on which all others of it build.
func TestALostIDRMarksItsGroup(t *testing.T) {
	for _, name := range []string{"bframes.mkv", "hevc.mkv"} {
		t.Run(name, func(t *testing.T) {
			frags := fragments(t, "testdata/"+name)[:3]
			frags[1] = without(frags[1], 0)
			images, _ := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), frags)
			if got := markedOf(images[1]); len(got) != len(images[1]) || len(got) == 0 {
				t.Errorf("of %d frames without their IDR are marked %v", len(images[1]), got)
			}
			if got := slices.Concat(markedOf(images[0]), markedOf(images[2])); len(got) != 0 {
				t.Errorf("of the other fragments are marked %v", got)
			}
		})
	}
}

// TestWholeStreamsHaveNoLostFrames plans encodes of many kinds, cut anywhere.
func TestWholeStreamsHaveNoLostFrames(t *testing.T) {
	for _, name := range append(slices.Clone(referenceClips), "refresh.mkv", "longgop.mkv", "bframes.mkv", "interlaced.mkv", "slices.mkv") {
		for _, n := range []int{1, 3, 11} {
			p := plan.NewPlanner(plan.SkipAuto, requested(everyFrame()))
			for i, f := range rechunk(t, "testdata/"+name, n) {
				for k, frame := range p.Plan(f).Frames {
					if frame.Broken {
						t.Errorf("%s in fragments of %d: frame %d of fragment %d is taken for one that misses another", name, n, k, i)
					}
				}
			}
			p.End()
		}
	}
}
