//go:build cgo

package decode

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/internal/kvsemu"
	"github.com/kvsframes/kvsframes/media"
)

func TestABlockOfNoBytesIsNoFrame(t *testing.T) {
	for _, clip := range []string{"bframes.mkv", "hevc.mkv"} {
		f := fragments(t, "testdata/"+clip)[0]
		clean, _ := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), []*media.Fragment{f})
		track, blocks := blocksIn(f, form{asIs, lengths, false})
		for _, at := range []int{0, 4, len(blocks)} {
			empty := kvsemu.Block{Track: track.Number, Time: 3 * time.Millisecond}
			frag := fragmentOf(t, track, slices.Insert(slices.Clone(blocks), at, empty))
			images, outcomes := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), []*media.Fragment{frag})
			if len(images[0]) != len(clean[0]) || len(outcomes[0].Gaps) > 0 {
				t.Fatalf("%s: %d images of %d, %+v", clip, len(images[0]), len(clean[0]), outcomes[0])
			}
			for i, img := range images[0] {
				if img.Index != i || img.Concealed || !bytes.Equal(img.Data, clean[0][i].Data) {
					t.Fatalf("%s, empty block at %d: image %d is not the picture of its frame", clip, at, i)
				}
			}
		}
	}
}
