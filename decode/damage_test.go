//go:build cgo

package decode

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/kvsframes/kvsframes/decode/h26x"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
)

// tear overwrites the middle of NAL unit n among the slices of packet k, of a fragment with
// length prefixes of four bytes.
func tear(f *media.Fragment, k, n int, fill func() byte) *media.Fragment {
	c := *f
	c.MKV = slices.Clone(f.MKV)
	b := f.Blocks[k]
	h26x.EachNAL(c.MKV[b.Offset:b.Offset+b.Size], 4, func(nal []byte) {
		if t := nal[0] & 0x1f; t != h26x.AVCTypeSlice && t != h26x.AVCTypeIDR {
			return
		}
		if n--; n == -1 {
			for i := min(len(nal), 8); i < len(nal); i++ {
				nal[i] = fill()
			}
		}
	})
	return &c
}

// torn fills with bytes that no slice of the clips goes on with.
func torn() byte { return 0x55 }

// checkUnmarked holds every image that is not marked as concealed against the clean one,
// and returns the indexes of the others.
func checkUnmarked(t *testing.T, images []media.Image, clean [][]byte) (marked []int) {
	t.Helper()
	for _, img := range images {
		if img.Concealed {
			marked = append(marked, img.Index)
		} else if !bytes.Equal(img.Data, clean[img.Index]) {
			t.Errorf("frame %d is not what it was, and not marked", img.Index)
		}
	}
	return marked
}

func dataOf(images []media.Image) (data [][]byte) {
	for _, img := range images {
		data = append(data, img.Data)
	}
	return data
}

// reached returns the indexes of the frames that a picture may spoil: it itself, and, if
// others refer to it, all that follow it in the stream before the next IDR picture.
func reached(pl *plan.Plan, k int) (indexes []int) {
	indexes = append(indexes, pl.Frames[k].Info.Index)
	for j := k + 1; j < len(pl.Frames) && !pl.Frames[k].Disposable && pl.Pictures[j].Entry == plan.EntryNone; j++ {
		indexes = append(indexes, pl.Frames[j].Info.Index)
	}
	slices.Sort(indexes)
	return indexes
}

func TestATornSliceCostsThePicturesThatItReachesAndNoMore(t *testing.T) {
	frags := fragments(t, "testdata/slices.mkv")
	clean, _ := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), frags)
	drop := func(c *Config) { c.Concealed = ConcealedDrop }
	noticed := 0
	for k := range frags[0].Blocks {
		bad := tear(frags[0], k, 1+k%3, torn)
		pl := plan.NewPlanner(plan.SkipAuto, requested(everyFrame())).Plan(bad)
		images, outcomes := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), []*media.Fragment{bad, frags[1]})
		if len(images[0]) != len(frags[0].Blocks) || len(outcomes[0].Gaps) != 0 {
			t.Fatalf("packet %d: %d images, %+v", k, len(images[0]), outcomes[0])
		}
		if !images[0][pl.Frames[k].Info.Index].Concealed {
			continue // what still makes sense to the decoder nobody can notice
		}
		noticed++
		marked := checkUnmarked(t, images[0], dataOf(clean[0]))
		if want := reached(pl, k); !slices.Equal(marked, want) || outcomes[0].FramesConcealed != len(want) {
			t.Errorf("packet %d: frames %v are marked (%d counted), it reaches %v", k, marked, outcomes[0].FramesConcealed, want)
		}
		if len(checkUnmarked(t, images[1], dataOf(clean[1]))) > 0 {
			t.Errorf("packet %d: the next fragment is marked", k)
		}

		images, outcomes = decodeAll(t, stream(t, newTestPool(t, drop), everyFrame()), []*media.Fragment{bad})
		checkUnmarked(t, images[0], dataOf(clean[0]))
		var lost []int
		for _, g := range outcomes[0].Gaps {
			for i := range g.FramesLost {
				lost = append(lost, max(g.FrameIndex, 0)+i)
			}
			if g.FragmentNumber != bad.Number || g.Detail != errConcealed.Error() {
				t.Errorf("gap = %+v", g)
			}
		}
		if !slices.Equal(lost, marked) || len(images[0]) != len(clean[0])-len(marked) {
			t.Errorf("packet %d dropped: frames %v are gaps, %v were marked", k, lost, marked)
		}
	}
	if noticed < len(frags[0].Blocks)/2 {
		t.Errorf("only %d torn slices of %d were noticed", noticed, len(frags[0].Blocks))
	}
}

func TestALostPictureIsAGapOfItsOwn(t *testing.T) {
	frags := fragments(t, "testdata/bframes.mkv")
	clean, _ := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), frags)
	for k := range frags[0].Blocks {
		bad := damaged(frags[0], k, k+1)
		index := plan.NewPlanner(plan.SkipAuto, nil).Plan(bad).Frames[k].Info.Index
		images, outcomes := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), []*media.Fragment{bad})
		checkUnmarked(t, images[0], dataOf(clean[0]))
		g := outcomes[0].Gaps
		if len(g) != 1 || g[0].FrameIndex != index || g[0].FramesLost != 1 || !strings.HasPrefix(g[0].Detail, "decode: ") {
			t.Errorf("packet %d: gaps = %+v, want one of frame %d", k, g, index)
		}
		if len(images[0]) != len(clean[0])-1 {
			t.Errorf("packet %d: %d images of %d", k, len(images[0]), len(clean[0]))
		}
	}
}

func TestOnErrorFailStopsAtTheFirstDamage(t *testing.T) {
	frags := fragments(t, "testdata/slices.mkv")
	p := newTestPool(t, func(c *Config) { c.OnError = OnErrorFail })
	n := 0
	count := func(media.Image) error { n++; return nil }
	_, err := stream(t, p, everyFrame()).Plan(tear(frags[0], 12, 1, torn))(t.Context(), count)
	if !errors.Is(err, errDamaged) || !strings.Contains(err.Error(), frags[0].Number) || !strings.Contains(err.Error(), "frame 1") || n > 14 {
		t.Errorf("after %d images: %v", n, err)
	}
}

func TestAStreamThatIsEnteredInTheMiddleIsMarkedUntilItRecovers(t *testing.T) {
	for _, c := range []struct {
		clip      string
		cut, from int
		marked    func(fragment, index int) bool
	}{
		// Without any entry nothing is ever known to be whole.
		{"longgop.mkv", 25, 1, func(int, int) bool { return true }},
		// The refresh begins with the fragment and takes eight pictures.
		{"refresh.mkv", 0, 1, func(fragment, index int) bool { return fragment == 0 && index < 8 }},
		// Only what leads the first picture misses the fragment before.
		{"opengop.mkv", 0, 1, nil},
	} {
		t.Run(c.clip, func(t *testing.T) {
			frags := dependentFragments(t, c.clip, c.cut)
			clean := inOrderOfTime(t, frags)[c.from:]
			frags = frags[c.from:]
			images, _ := decodeSideBySide(t, stream(t, newTestPool(t, nil), everyFrame()), frags)
			for i := range frags {
				marked := checkUnmarked(t, images[i], clean[i])
				for index := range clean[i] {
					want := false
					if c.marked != nil {
						want = c.marked(i, index)
					} else {
						first := plan.NewPlanner(plan.SkipAuto, nil).Plan(frags[i]).Frames[0].Info.Index
						want = i == 0 && index < first
					}
					if got := slices.Contains(marked, index); got != want && len(images[i]) == len(clean[i]) {
						t.Errorf("fragment %d frame %d: marked is %t", i, index, got)
					}
				}
			}
		})
	}
}

func TestAfterALostFragmentWhatMayReferToItIsMarked(t *testing.T) {
	frags := dependentFragments(t, "longgop.mkv", 25)
	clean := inOrderOfTime(t, frags)
	s := stream(t, newTestPool(t, nil), everyFrame())
	var marked []int
	for i, f := range frags {
		if i == 2 {
			s.Lost()
			continue
		}
		_, err := s.Plan(f)(t.Context(), func(img media.Image) error {
			if img.Concealed {
				marked = append(marked, i)
			} else if !bytes.Equal(img.Data, clean[i][img.Index]) {
				t.Errorf("fragment %d frame %d is not what it was, and not marked", i, img.Index)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	s.End()
	if len(marked) == 0 || marked[0] != 3 {
		t.Errorf("fragments with marked frames: %v", marked)
	}
}

// TestACutSliceMarksItsPicture takes a few bytes from the end of each block: what a decoder makes of the rest is often wrong in the
// last blocks alone, and without complaint.
func TestACutSliceMarksItsPicture(t *testing.T) {
	for _, name := range []string{"bframes.mkv", "hevc.mkv", "hevc-wavefronts.mkv"} {
		t.Run(name, func(t *testing.T) {
			frags := fragments(t, "testdata/"+name)[:1]
			pool := newTestPool(t, nil)
			clean, _ := decodeAll(t, stream(t, pool, everyFrame()), frags)
			for _, bytesCut := range []int{1, 2, 3, 5} {
				track, blocks := blocksIn(frags[0], forms["lengths and codec data"])
				for k := range blocks {
					cut := slices.Clone(blocks)
					cut[k].Data = cut[k].Data[:len(cut[k].Data)-bytesCut]
					images, _ := decodeAll(t, stream(t, pool, everyFrame()), []*media.Fragment{fragmentOf(t, track, cut)})
					marked := false
					for _, img := range images[0] {
						marked = marked || img.Concealed
						if !img.Concealed && !bytes.Equal(img.Data, clean[0][img.Index].Data) {
							t.Errorf("%d bytes cut from packet %d: image %d is not exact, and not marked", bytesCut, k, img.Index)
						}
					}
					if !marked && len(images[0]) == len(clean[0]) {
						t.Errorf("%d bytes cut from packet %d: no image is marked", bytesCut, k)
					}
				}
			}
		})
	}
}
