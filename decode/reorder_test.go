//go:build cgo

package decode

import (
	"bytes"
	"slices"
	"testing"

	"github.com/kvsframes/kvsframes/decode/h26x"
	"github.com/kvsframes/kvsframes/media"
)

// untold returns a sequence parameter set of H.264 that does not tell how many pictures are held back to put them in
// order, at a level that allows sixteen of them.
func untold(t *testing.T, sps []byte) []byte {
	t.Helper()
	const level = 2
	payload := h26x.Unescape(sps[1:], len(sps))
	payload[level] = 51
	b := h26x.NewBitReader(payload)
	if profile := b.Bits(8); profile != 100 {
		t.Fatalf("profile %d", profile)
	}
	b.Skip(16)
	for range 4 {
		b.UE() // id, chroma format, bit depths
	}
	b.Bit()
	if b.Bit() == 1 {
		t.Fatal("there are scaling lists")
	}
	b.UE()
	if b.UE() != 0 { // pic_order_cnt_type
		t.Fatal("another order count")
	}
	b.UE()
	b.UE()
	b.Bit()
	b.UE()
	b.UE()
	if b.Bit() == 0 { // frame_mbs_only_flag
		b.Bit()
	}
	b.Bit()
	if b.Bit() == 1 {
		for range 4 {
			b.UE()
		}
	}
	w := h26x.BitWriter{}
	w.Copy(payload, 0, b.Pos())
	w.Bit(0) // vui_parameters_present_flag
	w.Bit(1)
	return append([]byte{sps[0]}, h26x.Escape(w.Bytes())...)
}

// TestPicturesAreHeldBackForAsLongAsTheirOrderNeeds has streams that hold back many pictures, or do not tell how many.
func TestPicturesAreHeldBackForAsLongAsTheirOrderNeeds(t *testing.T) {
	for _, clip := range []string{"bframes.mkv", "lists-pyramid.mkv", "sixteen-b.mkv"} {
		for _, f := range fragments(t, "testdata/"+clip) {
			want := continuously(t, []*media.Fragment{f})
			track, blocks := blocksIn(f, form{asIs, lengths, false})
			frags := map[string]*media.Fragment{"as it is": f}
			if clip != "sixteen-b.mkv" {
				sets := h26x.CodecDataUnits(track.CodecID, track.CodecPrivate)
				at := slices.IndexFunc(sets, func(nal []byte) bool { return h26x.NALType(h26x.AVC, nal) == h26x.AVCTypeSPS })
				sets[at] = untold(t, sets[at])
				track.CodecPrivate = h26x.AnnexB(sets)
				frags["untold"] = fragmentOf(t, track, blocks)
			}
			for name, frag := range frags {
				images, outcomes := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), []*media.Fragment{frag})
				if len(images[0]) != len(want) || len(outcomes[0].Gaps) > 0 {
					t.Fatalf("%s %s: %d images of %d, %+v", clip, name, len(images[0]), len(want), outcomes[0].Gaps)
				}
				for i, img := range images[0] {
					if img.Concealed || !bytes.Equal(img.Data, want[i]) {
						t.Fatalf("%s %s: frame %d is not libav's", clip, name, i)
					}
				}
			}
		}
	}
}
