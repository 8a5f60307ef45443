package h26x

// HeaderReader reads slice headers. It needs the parameter sets that they refer to (see ReadSet).
type HeaderReader struct {
	codec   string
	sps     map[uint32]AVCSPS
	pps     map[uint32]avcPPS
	hevcSPS map[uint32]*HEVCSPS
	hevcPPS map[uint32]*hevcPPS
}

// NewHeaderReader returns a reader of slice headers that refer to parameter sets among the NAL units in sets.
func NewHeaderReader(codec string, sets ...[]byte) *HeaderReader {
	h := &HeaderReader{
		codec: codec, sps: map[uint32]AVCSPS{}, pps: map[uint32]avcPPS{},
		hevcSPS: map[uint32]*HEVCSPS{}, hevcPPS: map[uint32]*hevcPPS{},
	}
	for _, nal := range sets {
		h.ReadSet(nal)
	}
	return h
}

// ReadSet reads a parameter set. It ignores a set that cannot be read, so slices that refer to it cannot be read either.
func (r *HeaderReader) ReadSet(nal []byte) {
	if r.codec == HEVC {
		switch NALType(HEVC, nal) {
		case HEVCTypeSPS:
			if id, s, ok := ParseHEVCSPS(nal); ok {
				r.hevcSPS[id] = &s
			}
		case HEVCTypePPS:
			if id, p, ok := parseHEVCPPS(nal); ok {
				r.hevcPPS[id] = &p
			}
		}
		return
	}
	switch NALType(AVC, nal) {
	case AVCTypeSPS:
		if id, s, ok := ParseAVCSPS(nal); ok {
			r.sps[id] = s
		}
	case AVCTypePPS:
		if id, p, ok := parseAVCPPS(nal); ok {
			r.pps[id] = p
		}
	}
}
