package h26x

import (
	"bytes"
	"slices"
	"testing"
)

// seedUnits are NAL units that the fuzzers start from: sets of both codecs, SEI, slices and units that end too early.
func seedUnits(f *testing.F) {
	for _, nal := range [][]byte{
		avcSet(40, 5, 120, 68), hevcSet(120, 6, 1920, 1088),
		{0x68, 0xce, 0x38, 0x80},
		{0x67, 77},
		{0x42, 1},
		{0x44, 1, 0xc1, 0x72, 0xb4, 0x62, 0x40},
		{0x06, 6, 1, 0xc4, 0x80},
		{0x65, 0x88, 0x84, 0},
		{0x41, 0x9a, 0},
		{0x26, 1, 0xaf},
		{0},
	} {
		f.Add(nal)
	}
}

// FuzzUnits gives any unit to everything that reads one, as each codec's.
func FuzzUnits(f *testing.F) {
	seedUnits(f)
	f.Fuzz(func(t *testing.T, nal []byte) {
		if len(nal) == 0 {
			return
		}
		for _, codec := range []string{AVC, HEVC} {
			if NALType(codec, nal) > 63 {
				t.Errorf("type %d", NALType(codec, nal))
			}
			if Harms(codec, nal) && !IsSlice(codec, nal) && BeliefIn(codec, nal) != Unbelievable {
				t.Error("a unit harms although it is believable")
			}
			FirstSlice(codec, nal)
			SetID(codec, nal)
			if err := CheckReferences(codec, [][]byte{nal}); err != nil && DecoderMemory(codec, 0, 0, [][]byte{nal}) == 0 {
				t.Error("a set with too many references tells no memory")
			}
		}
		IsAVCIntraSlice(nal)
		RecoveryFrames(nal)
	})
}

// FuzzParameterSets reads any set, and takes reordering out of those of H.265: what comes out must be read as the same set.
func FuzzParameterSets(f *testing.F) {
	seedUnits(f)
	f.Fuzz(func(t *testing.T, nal []byte) {
		if len(nal) == 0 {
			return
		}
		if _, s, ok := ParseAVCSPS(nal); ok && (s.References > 16 || s.frameNumBits > 16) {
			t.Errorf("%+v is taken for a set", s)
		}
		parseAVCPPS(nal)
		parseHEVCPPS(nal)
		id, s, ok := ParseHEVCSPS(nal)
		if !ok {
			return
		}
		sameID, same, ok := ParseHEVCSPS(WithoutReordering(nal))
		if !ok || id != sameID || s.size != same.size || s.OrderBits != same.OrderBits || s.pictures != same.pictures {
			t.Errorf("set %d %+v becomes %d %+v, %t", id, s, sameID, same, ok)
		}
	})
}

// FuzzSlices reads any slice with the sets of a stream, and what remains of it without its data once more.
func FuzzSlices(f *testing.F) {
	seedUnits(f)
	avc := NewHeaderReader(AVC, avcSet(40, 5, 120, 68), []byte{0x68, 0xce, 0x38, 0x80})
	hevc := NewHeaderReader(HEVC, hevcSet(120, 6, 1920, 1088), []byte{0x44, 1, 0xc1, 0x72, 0xb4, 0x62, 0x40})
	fields := NewFieldReader()
	fields.ReadSet(avcSet(40, 5, 120, 68))
	f.Fuzz(func(t *testing.T, nal []byte) {
		if len(nal) == 0 {
			return
		}
		if h, head, ok := avc.AVCSlice(nal); ok {
			again, _, ok := avc.AVCSlice(head)
			if !ok || again.FrameNum != h.FrameNum || again.Kind != h.Kind {
				t.Errorf("%+v is read again as %+v, %t", h, again, ok)
			}
		}
		if h, b, ok := hevc.HEVCSlice(nal); ok && h.First && !h.Dependent {
			if _, _, ok := hevc.HEVCSlice(h.WithoutData(nal, &b)); !ok {
				t.Errorf("%+v cannot be read again", h)
			}
		}
		fields.FieldOf(nal)
	})
}

// FuzzPackets takes any packet apart and puts its units together again.
func FuzzPackets(f *testing.F) {
	for size := range 5 {
		f.Add(uint8(size), AppendNAL(AppendNAL(nil, max(size, 1)%5, []byte{0x65, 1}), max(size, 1)%5, []byte{0x41, 2}))
	}
	f.Fuzz(func(t *testing.T, form uint8, packet []byte) {
		size := int(form % 5)
		var nals [][]byte
		if !EachNAL(packet, size, func(nal []byte) { nals = append(nals, nal) }) || size == 1 || size == 2 {
			return
		}
		var again []byte
		for _, nal := range nals {
			again = AppendNAL(again, size, nal)
		}
		var same [][]byte
		if !EachNAL(again, size, func(nal []byte) { same = append(same, nal) }) || !slices.EqualFunc(nals, same, bytes.Equal) {
			t.Errorf("%x becomes %x", nals, same)
		}
	})
}

// FuzzCodecData takes any codec data apart: units are parts of it, and none is empty.
func FuzzCodecData(f *testing.F) {
	f.Add(append([]byte{1, 77, 0, 40, 0xff, 0xe1, 0, 11}, avcSet(40, 5, 120, 68)...))
	f.Add(AnnexB([][]byte{hevcSet(120, 6, 1920, 1088)}))
	f.Add(make([]byte, 23))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, codec := range []string{AVC, HEVC} {
			size := 0
			for _, nal := range CodecDataUnits(codec, data) {
				if size += len(nal); len(nal) == 0 {
					t.Error("an empty unit")
				}
			}
			if size > len(data) || LengthSize(codec, data) > 4 {
				t.Errorf("%d bytes of units in %d, lengths of %d", size, len(data), LengthSize(codec, data))
			}
		}
	})
}

// FuzzEscape puts emulation prevention bytes into any payload and takes them out.
func FuzzEscape(f *testing.F) {
	f.Add([]byte{0, 0, 1, 0, 0, 0, 3})
	f.Fuzz(func(t *testing.T, payload []byte) {
		escaped := Escape(payload)
		if got := Unescape(escaped, len(escaped)); !bytes.Equal(got, payload) {
			t.Errorf("%x becomes %x", payload, got)
		}
		if bytes.Contains(escaped, []byte{0, 0, 1}) || bytes.Contains(escaped, []byte{0, 0, 0}) {
			t.Errorf("%x holds a start code", escaped)
		}
	})
}
