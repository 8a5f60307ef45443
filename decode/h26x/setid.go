package h26x

// SetID returns the id of a parameter set, which identifies it among those of its type. ok is false for other NAL units, and for
// sets that are too short to have one.
func SetID(codecID string, nal []byte) (id uint32, ok bool) {
	kind := NALType(codecID, nal)
	var b BitReader
	switch {
	case codecID == AVC && kind == AVCTypeSPS:
		const levels = 3 // bytes: profile, constraints, level
		b = bitsOf(nal[1:])
		b.Bits(8 * levels)
	case codecID == AVC && kind == AVCTypePPS:
		b = bitsOf(nal[1:])
	case codecID == HEVC && len(nal) > HEVCHeaderSize && kind == HEVCTypeVPS:
		return uint32(nal[HEVCHeaderSize] >> 4), true
	case codecID == HEVC && len(nal) > HEVCHeaderSize && kind == HEVCTypeSPS:
		b = BitReader{data: Unescape(nal[HEVCHeaderSize:], maxHEVCLevels)}
		b.hevcLevels()
	case codecID == HEVC && len(nal) > HEVCHeaderSize && kind == HEVCTypePPS:
		b = bitsOf(nal[HEVCHeaderSize:])
	default:
		return 0, false
	}
	id = b.UE()
	return id, !b.short
}
