package h26x

// Field is what distinguishes the two fields of a frame (ITU-T H.264, 7.4.1.2.4).
type Field struct {
	Bottom   bool
	FrameNum uint32
}

// FieldReader finds out which field of a frame a slice of H.264 belongs to. It needs the parameter sets that slices
// refer to (see ReadSet).
type FieldReader struct {
	sps map[uint32]AVCSPS
	pps map[uint32]avcPPS
	// some reports whether one of the sequences has pictures of fields.
	some bool
}

// NewFieldReader returns a reader without parameter sets.
func NewFieldReader() *FieldReader {
	return &FieldReader{sps: map[uint32]AVCSPS{}, pps: map[uint32]avcPPS{}}
}

// ReadSet reads a parameter set, and ignores other NAL units.
func (r *FieldReader) ReadSet(nal []byte) {
	switch nal[0] & 0x1f {
	case AVCTypeSPS:
		id, s, _ := ParseAVCSPS(nal)
		r.sps[id] = s
		r.some = r.some || !s.FramesOnly && s.frameNumBits > 0
	case AVCTypePPS:
		id, p, _ := parseAVCPPS(nal)
		r.pps[id] = p
	}
}

// FieldOf returns the field that a slice belongs to, nil if its picture is a whole frame (ITU-T H.264, 7.3.3).
func (r *FieldReader) FieldOf(nal []byte) *Field {
	if !r.some {
		return nil
	}
	b := bitsOf(nal[1:])
	b.UE() // first_mb_in_slice
	b.UE() // slice_type
	pps, ok := r.pps[b.UE()]
	s := r.sps[pps.sps]
	if !ok || s.FramesOnly || s.frameNumBits == 0 {
		return nil
	}
	if s.separate {
		b.Bits(2) // colour_plane_id
	}
	f := Field{FrameNum: b.Bits(s.frameNumBits)}
	isField := b.Bit() == 1
	f.Bottom = b.Bit() == 1
	if !isField || b.short {
		return nil
	}
	return &f
}
