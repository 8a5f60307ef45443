//go:build cgo

package decode

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
)

// spoiling returns the fragments with memory of their own, which is overwritten as soon as it is given back.
func spoiling(frags []*media.Fragment, recycled *int) []*media.Fragment {
	out := make([]*media.Fragment, len(frags))
	for i, f := range frags {
		own := *f
		own.MKV = bytes.Clone(f.MKV)
		own.Tracks = append([]media.Track(nil), f.Tracks...)
		for t := range own.Tracks {
			private := own.Tracks[t].CodecPrivate
			at := bytes.Index(own.MKV, private)
			own.Tracks[t].CodecPrivate = own.MKV[at : at+len(private)]
		}
		own.Recycle = func() {
			*recycled++
			clear(own.MKV)
		}
		out[i] = &own
	}
	return out
}

// TestWhatIsGivenBackIsReadNoMore holds whatever was decoded from memory that is overwritten when it is
// given back against what is decoded from memory that stays.
func TestWhatIsGivenBackIsReadNoMore(t *testing.T) {
	thumbs, thirds := jpegOf(plan.Sample{Rule: plan.Keyframes{}}, Resize{Width: 80}), everyFrame()
	thirds.Sample = plan.Sample{Rule: plan.Stride{N: 3}, Clock: media.ClockProducer}
	for name, frags := range map[string][]*media.Fragment{
		"cut anywhere": rechunk(t, "testdata/bframes.mkv", 10),
		"open groups":  rechunk(t, "testdata/opengop.mkv", 7),
		"refresh":      rechunk(t, "testdata/refresh.mkv", 5),
		"H.265":        fragments(t, "testdata/hevc-open.mkv"),
		"long groups":  fragments(t, "testdata/longgop.mkv"),
		"closed":       slices.Repeat(fragments(t, "testdata/small.mkv"), 5),
	} {
		for _, o := range []Output{thumbs, thirds, everyFrame()} {
			t.Run(fmt.Sprintf("%s %T", name, o.Sample.Rule), func(t *testing.T) {
				want, _ := decodeAll(t, stream(t, newTestPool(t, nil), o), frags)
				recycled := 0
				got, _ := decodeAll(t, stream(t, newTestPool(t, nil), o), spoiling(frags, &recycled))
				for i := range want {
					if len(got[i]) != len(want[i]) {
						t.Fatalf("fragment %d: %d images, want %d", i, len(got[i]), len(want[i]))
					}
					for k := range want[i] {
						if !bytes.Equal(got[i][k].Data, want[i][k].Data) {
							t.Errorf("fragment %d: image %d differs", i, k)
						}
					}
				}
				if recycled > len(frags) || name == "closed" && recycled < len(frags)-2 {
					t.Errorf("%d of %d fragments were given back", recycled, len(frags))
				}
			})
		}
	}
}
