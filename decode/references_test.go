//go:build cgo

package decode

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/kvsframes/kvsframes/decode/h26x"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
)

// planOf plans a fragment of which one frame is wanted, the one that packet k holds.
func planOf(f *media.Fragment, k int) (*plan.Plan, Output) {
	o := everyFrame()
	o.Sample = plan.Sample{Rule: plan.Timestamps{Asked: []plan.Request{{Time: f.ProducerTime.Add(f.Blocks[k].Time)}}}, Clock: media.ClockProducer}
	p := plan.NewPlanner(plan.SkipAuto, requested(o))
	pl := p.Plan(f)
	p.End()
	return pl, o
}

// TestNoPictureChangesWhenOnlyWhatItRefersToIsDecoded wants each frame alone, and holds it to libav's.
func TestNoPictureChangesWhenOnlyWhatItRefersToIsDecoded(t *testing.T) {
	for name, fewer := range map[string]bool{
		"lists-pyramid.mkv": true, "lists-slices.mkv": true, "lists-strict.mkv": true,
		"lists-forward.mkv": false, "bframes.mkv": true, "slices.mkv": true,
	} {
		t.Run(name, func(t *testing.T) {
			c := newClip(t, name)
			pool := newTestPool(t, nil)
			headersOnly := 0
			for i, f := range c.fragments {
				for k := range f.Blocks {
					pl, output := planOf(f, k)
					left := 0
					for _, p := range pl.Frames {
						if p.HeaderOnly != nil {
							left++
						}
					}
					headersOnly += left
					images, outcomes := decodeAll(t, stream(t, pool, output), []*media.Fragment{f})
					if len(images[0]) != 1 || images[0][0].Concealed || len(outcomes[0].Gaps) != 0 || !bytes.Equal(images[0][0].Data, c.pictures[i][k]) {
						t.Errorf("fragment %s packet %d, with %d of %d headers alone, differs from libav's: %d images, %+v", f.Number, k, left, len(pl.Frames), len(images[0]), outcomes[0])
					}
				}
			}
			if (headersOnly > 0) != fewer {
				t.Errorf("%d pictures were fed without their data; some: %t", headersOnly, fewer)
			}
		})
	}
}

// TestReferencesThatAreNotKnownAreAllNeeded loses each reference picture, so that lists are not those of the encoder.
func TestReferencesThatAreNotKnownAreAllNeeded(t *testing.T) {
	f := fragments(t, "testdata/lists-pyramid.mkv")[0]
	last := len(f.Blocks) - 1
	whole, _ := planOf(f, last)
	for lost := 1; lost < last; lost++ {
		if whole.Frames[lost].Disposable {
			continue
		}
		damaged := *f
		damaged.Blocks = slices.Delete(slices.Clone(f.Blocks), lost, lost+1)
		pl, _ := planOf(&damaged, last-1)
		for k, p := range pl.Frames {
			if p.HeaderOnly != nil {
				t.Errorf("packet %d is fed without its data although %d is lost: a gap in frame_num", k, lost)
			}
		}
	}
}

// TestAStreamWithTooManyReferencesIsAGap gives a fragment the sequence parameter set of another stream: 16 pictures of 7680x4320 at level
// 6.2.
func TestAStreamWithTooManyReferencesIsAGap(t *testing.T) {
	f := *fragments(t, "testdata/small.mkv")[0]
	f.Tracks = slices.Clone(f.Tracks)
	f.Tracks[0].CodecPrivate = h26x.AnnexB([][]byte{{0x67, 77, 0, 62, 0xf0, 0x88, 0x03, 0xc0, 0x01, 0x0e, 0xc8}})
	images, outcomes := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), []*media.Fragment{&f})
	gaps := outcomes[0].Gaps
	if len(images[0]) != 0 || len(gaps) != 1 || gaps[0].Reason != media.GapUnsupported || !strings.Contains(gaps[0].Detail, "16 reference pictures of 7680x4320") {
		t.Errorf("%d images, gaps %+v", len(images[0]), gaps)
	}
}
