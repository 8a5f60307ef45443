package h26x

import (
	"errors"
	"math/bits"
	"slices"
	"strings"
	"testing"
)

// avcSet returns a sequence parameter set of H.264's main profile, in frames of macroblocks.
func avcSet(level byte, references, width, height uint32) []byte {
	var w BitWriter
	for _, v := range []uint32{0, 0, 0, 0, references} { // id, frame_num, type and size of the order, max_num_ref_frames
		w.ue(v)
	}
	w.Bit(0)
	w.ue(width - 1)
	w.ue(height - 1)
	for _, bit := range []byte{1, 1, 0, 0, 1} { // frames only, direct 8x8, no cropping, no VUI, end
		w.Bit(bit)
	}
	return append([]byte{0x67, 77, 0, level}, Escape(w.data)...)
}

// hevcSet returns the beginning of a sequence parameter set of H.265, up to what no test looks at.
func hevcSet(level byte, pictures, width, height uint32) []byte {
	w := BitWriter{data: append(make([]byte, 12), level), at: 8 * 13}
	for _, v := range []uint32{0, 1, width, height} { // id, 4:2:0
		w.ue(v)
	}
	w.Bit(0)
	for _, v := range []uint32{0, 0, 4} { // 8 bits, size of the order
		w.ue(v)
	}
	w.Bit(1)
	for _, v := range []uint32{pictures - 1, 0, 0, 0, 3, 0, 3, 0, 0} {
		w.ue(v)
	}
	for range 8 { // no lists, tools, sets, extensions
		w.Bit(1)
	}
	return append([]byte{0x42, 1}, Escape(append(w.data, 0xff, 0xff))...)
}

// ue writes an unsigned Exp-Golomb code.
func (w *BitWriter) ue(v uint32) {
	v++
	n := bits.Len32(v) - 1
	for range n {
		w.Bit(0)
	}
	for ; n >= 0; n-- {
		w.Bit(byte(v >> n & 1))
	}
}

func TestMoreReferencesThanTheLevelAllowsAreRefused(t *testing.T) {
	for _, c := range []struct {
		name, codec string
		set         []byte
		want        string // empty if it is not refused
	}{
		{"8K at level 6.2", AVC, avcSet(62, 5, 480, 270), ""},
		{"8K with 16", AVC, avcSet(62, 16, 480, 270), "16 reference pictures of 7680x4320, but its level 6.2 allows 5"},
		{"1080p at level 4", AVC, avcSet(40, 4, 120, 68), ""},
		{"1080p at level 4 with 5", AVC, avcSet(40, 5, 120, 68), "5 reference pictures of 1920x1088, but its level 4 allows 4"},
		{"a level too low for its pictures", AVC, avcSet(30, 1, 120, 68), ""},
		{"an unknown level", AVC, avcSet(200, 16, 120, 68), ""},
		{"H.265, 1080p at level 4", HEVC, hevcSet(120, 6, 1920, 1088), ""},
		{"H.265, 1080p at level 4 with 7", HEVC, hevcSet(120, 8, 1920, 1088), "7 reference pictures of 1920x1088, but its level 4 allows 5"},
		{"H.265, small pictures", HEVC, hevcSet(120, 16, 640, 384), ""},
	} {
		switch err := CheckReferences(c.codec, [][]byte{c.set}); {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (!errors.Is(err, ErrTooManyReferences) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	if sequences(HEVC, [][]byte{hevcSet(120, 16, 640, 384)}) == nil {
		t.Error("the set of H.265 is not read")
	}
}

func TestMemoryOfADecoderGrowsWithReferencesAndSamples(t *testing.T) {
	// 8 pictures of 1080p: samples, and half a byte for each that tells where it moved from.
	if got, want := DecoderMemory(AVC, 0, 0, [][]byte{avcSet(40, 5, 120, 68)}), int64(8*1920*1088*2); got != want {
		t.Errorf("H.264: %d bytes, want %d", got, want)
	}
	small, large := hevcSet(120, 5, 640, 384), hevcSet(150, 5, 1920, 1088)
	if got, want := DecoderMemory(HEVC, 0, 0, [][]byte{small, large}), int64(7*1920*1088*9/4); got != want {
		t.Errorf("H.265: %d bytes, want %d", got, want)
	}
	if got := DecoderMemory(AVC, 0, 0, [][]byte{{0x67, 77}}); got != 0 {
		t.Errorf("of a set that cannot be read: %d bytes", got)
	}
}

// TestReferencesOfASetAreThoseThatItTells reads sets of H.265 that are told by their difference from others.
func TestReferencesOfASetAreThoseThatItTells(t *testing.T) {
	before := []HEVCRef{{-1, true}, {-3, false}}
	after := []HEVCRef{{2, true}}
	for _, c := range []struct {
		name         string
		bits         func(w *BitWriter)
		sets         []HEVCRefSet
		slice        bool
		want         HEVCRefSet
		wantNotKnown bool
	}{
		{"told whole", func(w *BitWriter) {
			w.ue(2)
			w.ue(1)
			w.ue(0)
			w.Bit(1)
			w.ue(1)
			w.Bit(0)
			w.ue(1)
			w.Bit(1)
		}, nil, false, HEVCRefSet{before, after}, false},
		{"told by the difference -1", func(w *BitWriter) {
			w.Bit(1)
			w.Bit(1) // minus
			w.ue(0)  // 1
			// -2 used, -4 not even kept, 1 not used but kept, and -1 itself used.
			for _, bit := range []byte{1, 0, 0, 0, 1, 1} {
				w.Bit(bit)
			}
		}, []HEVCRefSet{{before, after}}, false, HEVCRefSet{[]HEVCRef{{-1, true}, {-2, true}}, []HEVCRef{{1, false}}}, false},
		{"told by the set before the last", func(w *BitWriter) {
			w.Bit(1)
			w.ue(1)
			w.Bit(0)
			w.ue(0)
			for range 4 {
				w.Bit(1)
			}
		}, []HEVCRefSet{{before, after}, {}}, true, HEVCRefSet{[]HEVCRef{{-2, true}}, []HEVCRef{{1, true}, {3, true}}}, false},
		{"of a set that is not there", func(w *BitWriter) { w.Bit(1); w.ue(7) }, []HEVCRefSet{{}}, true, HEVCRefSet{}, true},
		{"too many", func(w *BitWriter) { w.ue(17); w.ue(0) }, nil, false, HEVCRefSet{}, true},
	} {
		var w BitWriter
		c.bits(&w)
		b := BitReader{data: w.data}
		got, ok := b.hevcSet(c.sets, c.slice)
		if ok == c.wantNotKnown || ok && (!slices.Equal(got.Before, c.want.Before) || !slices.Equal(got.After, c.want.After)) {
			t.Errorf("%s: %v (known: %t), want %v", c.name, got, ok, c.want)
		}
	}
}
