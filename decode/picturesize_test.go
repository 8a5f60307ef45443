package decode

import (
	"errors"
	"math/bits"
	"slices"
	"strings"
	"testing"

	"github.com/kvsframes/kvsframes/media"
)

// avcSet returns a sequence parameter set of H.264's main profile, in frames of macroblocks.
func avcSet(level byte, references, width, height uint32) []byte {
	var w bitWriter
	for _, v := range []uint32{0, 0, 0, 0, references} { // id, frame_num, type and size of the order, max_num_ref_frames
		w.ue(v)
	}
	w.bit(0)
	w.ue(width - 1)
	w.ue(height - 1)
	for _, bit := range []byte{1, 1, 0, 0, 1} { // frames only, direct 8x8, no cropping, no VUI, end
		w.bit(bit)
	}
	return append([]byte{0x67, 77, 0, level}, escape(w.data)...)
}

// hevcSet returns the beginning of a sequence parameter set of H.265, up to what no test looks at.
func hevcSet(level byte, pictures, width, height uint32) []byte {
	w := bitWriter{data: append(make([]byte, 12), level), at: 8 * 13}
	for _, v := range []uint32{0, 1, width, height} { // id, 4:2:0
		w.ue(v)
	}
	w.bit(0)
	for _, v := range []uint32{0, 0, 4} { // 8 bits, size of the order
		w.ue(v)
	}
	w.bit(1)
	for _, v := range []uint32{pictures - 1, 0, 0, 0, 3, 0, 3, 0, 0} {
		w.ue(v)
	}
	for range 8 { // no lists, tools, sets, extensions
		w.bit(1)
	}
	return append([]byte{0x42, 1}, escape(append(w.data, 0xff, 0xff))...)
}

// ue writes an unsigned Exp-Golomb code.
func (w *bitWriter) ue(v uint32) {
	v++
	n := bits.Len32(v) - 1
	for range n {
		w.bit(0)
	}
	for ; n >= 0; n-- {
		w.bit(byte(v >> n & 1))
	}
}

func TestMoreReferencesThanTheLevelAllowsAreRefused(t *testing.T) {
	for _, c := range []struct {
		name, codec string
		set         []byte
		want        string // empty if it is not refused
	}{
		{"8K at level 6.2", codecAVC, avcSet(62, 5, 480, 270), ""},
		{"8K with 16", codecAVC, avcSet(62, 16, 480, 270), "16 reference pictures of 7680x4320, where its level 6.2 allows 5"},
		{"1080p at level 4", codecAVC, avcSet(40, 4, 120, 68), ""},
		{"1080p at level 4 with 5", codecAVC, avcSet(40, 5, 120, 68), "5 reference pictures of 1920x1088, where its level 4 allows 4"},
		{"a level too low for its pictures", codecAVC, avcSet(30, 1, 120, 68), ""},
		{"an unknown level", codecAVC, avcSet(200, 16, 120, 68), ""},
		{"H.265, 1080p at level 4", codecHEVC, hevcSet(120, 6, 1920, 1088), ""},
		{"H.265, 1080p at level 4 with 7", codecHEVC, hevcSet(120, 8, 1920, 1088), "7 reference pictures of 1920x1088, where its level 4 allows 5"},
		{"H.265, small pictures", codecHEVC, hevcSet(120, 16, 640, 384), ""},
	} {
		switch err := tooManyReferences(c.codec, [][]byte{c.set}); {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (!errors.Is(err, errTooManyReferences) || reasonOf(err) != media.GapUnsupported || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	if sequences(codecHEVC, [][]byte{hevcSet(120, 16, 640, 384)}) == nil {
		t.Error("the set of H.265 is not read")
	}
}

func TestMemoryOfADecoderGrowsWithReferencesAndSamples(t *testing.T) {
	// 8 pictures of 1080p: samples, and half a byte for each that tells where it moved from.
	if got, want := decoderMemory(codecAVC, [][]byte{avcSet(40, 5, 120, 68)}), int64(8*1920*1088*2); got != want {
		t.Errorf("H.264: %d bytes, want %d", got, want)
	}
	small, large := hevcSet(120, 5, 640, 384), hevcSet(150, 5, 1920, 1088)
	if got, want := decoderMemory(codecHEVC, [][]byte{small, large}), int64(7*1920*1088*9/4); got != want {
		t.Errorf("H.265: %d bytes, want %d", got, want)
	}
	if got := decoderMemory(codecAVC, [][]byte{{0x67, 77}}); got != 0 {
		t.Errorf("of a set that cannot be read: %d bytes", got)
	}
}

// TestReferencesOfASetAreThoseThatItTells reads sets of H.265 that are told by their difference from others.
func TestReferencesOfASetAreThoseThatItTells(t *testing.T) {
	before := []hevcRef{{-1, true}, {-3, false}}
	after := []hevcRef{{2, true}}
	for _, c := range []struct {
		name         string
		bits         func(w *bitWriter)
		sets         []hevcRefSet
		slice        bool
		want         hevcRefSet
		wantNotKnown bool
	}{
		{"told whole", func(w *bitWriter) {
			w.ue(2)
			w.ue(1)
			w.ue(0)
			w.bit(1)
			w.ue(1)
			w.bit(0)
			w.ue(1)
			w.bit(1)
		}, nil, false, hevcRefSet{before, after}, false},
		{"told by the difference -1", func(w *bitWriter) {
			w.bit(1)
			w.bit(1) // minus
			w.ue(0)  // 1
			// -2 used, -4 not even kept, 1 not used but kept, and -1 itself used.
			for _, bit := range []byte{1, 0, 0, 0, 1, 1} {
				w.bit(bit)
			}
		}, []hevcRefSet{{before, after}}, false, hevcRefSet{[]hevcRef{{-1, true}, {-2, true}}, []hevcRef{{1, false}}}, false},
		{"told by the set before the last", func(w *bitWriter) {
			w.bit(1)
			w.ue(1)
			w.bit(0)
			w.ue(0)
			for range 4 {
				w.bit(1)
			}
		}, []hevcRefSet{{before, after}, {}}, true, hevcRefSet{[]hevcRef{{-2, true}}, []hevcRef{{1, true}, {3, true}}}, false},
		{"of a set that is not there", func(w *bitWriter) { w.bit(1); w.ue(7) }, []hevcRefSet{{}}, true, hevcRefSet{}, true},
		{"too many", func(w *bitWriter) { w.ue(17); w.ue(0) }, nil, false, hevcRefSet{}, true},
	} {
		var w bitWriter
		c.bits(&w)
		b := bitReader{data: w.data}
		got, ok := b.hevcSet(c.sets, c.slice)
		if ok == c.wantNotKnown || ok && (!slices.Equal(got.before, c.want.before) || !slices.Equal(got.after, c.want.after)) {
			t.Errorf("%s: %v (known: %t), want %v", c.name, got, ok, c.want)
		}
	}
}
