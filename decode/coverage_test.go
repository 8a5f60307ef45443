//go:build cgo

package decode

import (
	"bytes"
	"slices"
	"testing"

	"github.com/kvsframes/kvsframes/decode/h26x"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
)

// TestALostSliceOfH265MarksAllThatItReaches leaves out each slice of each picture in turn. Nothing of what was in the decoder's
// memory shows in its place.
func TestALostSliceOfH265MarksAllThatItReaches(t *testing.T) {
	frags := fragments(t, "testdata/hevc-cam-a.mkv")
	clean, _ := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), frags)
	for k, nals := range packetsOf(frags[1]) {
		for n, nal := range nals {
			if !h26x.IsSlice(h26x.HEVC, nal) {
				continue
			}
			p := packetsOf(frags[1])
			if p[k] = slices.Delete(p[k], n, n+1); len(p[k]) == 0 || !hasSlice(p[k]) {
				continue // then the frame is lost
			}
			bad := p.fragment(t, frags[1], 0)
			pl := plan.NewPlanner(plan.SkipAuto, requested(everyFrame())).Plan(frags[1])
			images, outcomes := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), []*media.Fragment{frags[0], bad})
			marked := checkUnmarked(t, images[1], dataOf(clean[1]))
			for _, index := range reached(pl, k) {
				if lost := len(images[1]) < len(clean[1]); !lost && !slices.Contains(marked, index) {
					t.Errorf("packet %d without slice %d: frame %d is not marked, %+v", k, n, index, outcomes[1])
				}
			}
		}
	}
}

func hasSlice(nals [][]byte) bool {
	return slices.ContainsFunc(nals, func(nal []byte) bool { return h26x.IsSlice(h26x.HEVC, nal) })
}

// TestASliceOfH265ThatIsCutIsNoticed cuts each slice of a fragment in its middle. What stands behind the cut would be taken
// for the picture, if a decoder read on in it.
func TestASliceOfH265ThatIsCutIsNoticed(t *testing.T) {
	frags := fragments(t, "testdata/hevc-cam-a.mkv")
	clean, _ := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), frags[:1])
	index := plan.NewPlanner(plan.SkipAuto, nil).Plan(frags[0]).Frames
	cut, noticed := 0, 0
	for k, nals := range packetsOf(frags[0]) {
		for n, nal := range nals {
			const head = 16
			if !h26x.IsSlice(h26x.HEVC, nal) || len(nal) < 3*head {
				continue
			}
			p := packetsOf(frags[0])
			p[k][n] = nal[:(head+len(nal))/2]
			images, _ := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), []*media.Fragment{p.fragment(t, frags[0], 0)})
			cut++
			at := slices.IndexFunc(images[0], func(img media.Image) bool { return img.Index == index[k].Info.Index })
			if at < 0 || images[0][at].Concealed || bytes.Equal(images[0][at].Data, clean[0][index[k].Info.Index].Data) {
				noticed++
			}
		}
	}
	t.Logf("%d of %d are noticed", noticed, cut)
	// In the smallest slices the end of the picture comes before it shows that the data is at its end.
	if cut < 12 || noticed < cut*9/10 {
		t.Errorf("%d of %d slices that were cut are noticed", noticed, cut)
	}
}

// TestBlocksOfSequences reads the sizes of coding tree blocks of clips that x265 made with them.
func TestBlocksOfSequences(t *testing.T) {
	for clip, want := range map[string]plan.Blocks{
		"hevc.mkv": {Side: 64}, "hevc-cam-a.mkv": {Side: 16}, "bframes.mkv": {}, "interlaced.mkv": {Side: 16, Fields: true},
	} {
		f := fragments(t, "testdata/"+clip)[0]
		if got := plan.NewPlanner(plan.SkipAuto, nil).Plan(f).Form.Blocks; got != want {
			t.Errorf("%s has blocks %+v, want %+v", clip, got, want)
		}
	}
}

// TestAPictureWhoseSizeIsLostIsAGap zeroes the length of a slice behind a SEI unit: the rest of the block is none
// of the units that stand beside pictures.
func TestAPictureWhoseSizeIsLostIsAGap(t *testing.T) {
	f := *fragments(t, "testdata/bframes.mkv")[0]
	f.MKV = bytes.Clone(f.MKV)
	first := f.MKV[f.Blocks[0].Offset : f.Blocks[0].Offset+f.Blocks[0].Size]
	sei := len(packetsOf(&f)[0][0])
	clear(first[4+sei : 4+sei+8])
	images, outcomes := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), []*media.Fragment{&f})
	if g := outcomes[0].Gaps; len(g) == 0 || len(images[0]) != len(f.Blocks)-1 {
		t.Errorf("%d images of %d, gaps %+v", len(images[0]), len(f.Blocks), g)
	}
}
