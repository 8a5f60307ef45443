//go:build cgo

package decode

import (
	"bytes"
	"slices"
	"testing"

	"github.com/kvsframes/kvsframes/media"
)

// untold returns a sequence parameter set of H.264 that does not tell how many pictures are held back to put them in
// order, at a level that allows sixteen of them.
func untold(t *testing.T, sps []byte) []byte {
	t.Helper()
	const level = 2
	payload := unescape(sps[1:], len(sps))
	payload[level] = 51
	b := bitReader{data: payload}
	if profile := b.bits(8); profile != 100 {
		t.Fatalf("profile %d", profile)
	}
	b.skip(16)
	for range 4 {
		b.ue() // id, chroma format, bit depths
	}
	b.bit()
	if b.bit() == 1 {
		t.Fatal("there are scaling lists")
	}
	b.ue()
	if b.ue() != 0 { // pic_order_cnt_type
		t.Fatal("another order count")
	}
	b.ue()
	b.ue()
	b.bit()
	b.ue()
	b.ue()
	if b.bit() == 0 { // frame_mbs_only_flag
		b.bit()
	}
	b.bit()
	if b.bit() == 1 {
		for range 4 {
			b.ue()
		}
	}
	w := bitWriter{}
	w.copy(payload, 0, b.at)
	w.bit(0) // vui_parameters_present_flag
	w.bit(1)
	return append([]byte{sps[0]}, escape(w.data)...)
}

// TestPicturesAreHeldBackForAsLongAsTheirOrderNeeds has streams that hold back many pictures, or do not tell how many.
func TestPicturesAreHeldBackForAsLongAsTheirOrderNeeds(t *testing.T) {
	for _, clip := range []string{"bframes.mkv", "lists-pyramid.mkv", "sixteen-b.mkv"} {
		for _, f := range fragments(t, "testdata/"+clip) {
			want := continuously(t, []*media.Fragment{f})
			track, blocks := blocksIn(f, form{asIs, lengths, false})
			frags := map[string]*media.Fragment{"as it is": f}
			if clip != "sixteen-b.mkv" {
				sets := codecSets(track)
				at := slices.IndexFunc(sets, func(nal []byte) bool { return nalType(codecAVC, nal) == avcSPS })
				sets[at] = untold(t, sets[at])
				track.CodecPrivate = annexB(sets)
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
