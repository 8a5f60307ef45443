package h26x

import (
	"bytes"
	"slices"
)

// Types of NAL units that accompany pictures (ITU-T H.264, table 7-1; ITU-T H.265, table 7-1).
const (
	avcTypeAUD    = 9  // access unit delimiter
	avcTypeEOS    = 10 // end of sequence
	avcTypeEOB    = 11 // end of stream
	avcTypeFiller = 12

	hevcTypeAUD       = 35
	hevcTypeFiller    = 38
	HEVCTypeSEI       = 39
	HEVCTypeSuffixSEI = 40
)

// Belief states whether the content of a NAL unit without a picture fits its type.
type Belief uint8

const (
	// Believable means that the content fits the type.
	Believable Belief = iota
	// Opaque means that the content cannot be judged: it is that of an extension, reserved, or private.
	Opaque
	// Unbelievable means that the content is something else, such as that of a slice whose header was damaged.
	Unbelievable
)

// BeliefIn judges a NAL unit that is no slice of the base layer. It tolerates the mistakes of cameras, such as missing
// stop bits: the content of slices differs much more.
func BeliefIn(codec string, nal []byte) Belief {
	const forbidden = 0x80 // forbidden_zero_bit
	if nal[0]&forbidden != 0 {
		return Unbelievable
	}
	fits := true
	switch codec {
	case AVC:
		t, payload := NALType(codec, nal), nal[1:]
		switch {
		case t == 0 || t > avcTypeLastKnown:
			fits = false
		case t == AVCTypeSEI:
			return beliefInSEI(payload)
		case t == AVCTypeSPS || t == AVCTypePPS:
			fits = believableAVCSet(nal)
		case t >= avcTypeAUD && t <= avcTypeEOB:
			fits = holdsNext(payload)
		case t == avcTypeFiller:
			fits = holdsFiller(payload)
		default:
			return Opaque
		}
	case HEVC:
		if len(nal) < HEVCHeaderSize {
			return Unbelievable
		}
		t, payload := NALType(codec, nal), nal[HEVCHeaderSize:]
		switch {
		case t <= HEVCTypeLastVCL:
			fits = false
		case t >= HEVCTypeVPS && t <= HEVCTypePPS:
			fits = believableHEVCSet(nal)
		case t >= hevcTypeAUD && t <= HEVCTypeEOB:
			fits = holdsNext(payload)
		case t == hevcTypeFiller:
			fits = holdsFiller(payload)
		case t == HEVCTypeSEI || t == HEVCTypeSuffixSEI:
			return beliefInSEI(payload)
		default:
			return Opaque
		}
	}
	if !fits {
		return Unbelievable
	}
	return Believable
}

// Harms reports whether a NAL unit whose content does not fit its type may change how other pictures are decoded: as a
// parameter set that replaces another, as the end of a sequence, or as the slice of an IDR picture of H.264 that refers to others.
func Harms(codec string, nal []byte) bool {
	t := NALType(codec, nal)
	if codec == AVC && t == AVCTypeIDR {
		kind, known := avcSliceKind(nal)
		return known && kind != AVCSliceI && kind != avcSliceSI
	}
	if codec == AVC && t == AVCTypeSEI || codec == HEVC && (t == HEVCTypeSEI || t == HEVCTypeSuffixSEI) {
		return false // cameras get SEI wrong, and decoders skip what they cannot read
	}
	return !IsSlice(codec, nal) && BeliefIn(codec, nal) == Unbelievable
}

// avcProfiles are the values of profile_idc (ITU-T H.264, annexes A, F, G and H, and the withdrawn 144).
var avcProfiles = []byte{44, 66, 77, 83, 86, 88, 100, 110, 118, 122, 128, 134, 135, 138, 139, 144, 244}

func believableAVCSet(nal []byte) bool {
	if NALType(AVC, nal) == AVCTypeSPS {
		const reserved, most = 3, 32 // reserved_zero_2bits; ids
		id, s, _ := ParseAVCSPS(nal)
		return len(nal) > 3 && slices.Contains(avcProfiles, nal[1]) && nal[2]&reserved == 0 && id < most && s.size.sane() &&
			s.OrderType <= 2 && max(s.frameNumBits, s.OrderBits) <= mostCountBits
	}
	const mostPPS, mostSPS, mostActive = 256, 32, 32
	id, p, _ := parseAVCPPS(nal)
	return !runsOfZeros(nal) && id < mostPPS && p.sps < mostSPS && max(p.active[0], p.active[1]) <= mostActive && !p.trailing
}

func believableHEVCSet(nal []byte) bool {
	switch NALType(HEVC, nal) {
	case HEVCTypeVPS:
		const ones = 2 // the offset of vps_reserved_0xffff_16bits (ITU-T H.265, 7.3.2.1)
		payload := nal[HEVCHeaderSize:]
		return len(payload) > ones+2 && payload[ones] == 0xff && payload[ones+1] == 0xff
	case HEVCTypeSPS:
		const most, spaceAt = 16, 1 // of general_profile_space, which is 0
		payload := nal[HEVCHeaderSize:]
		id, s, _ := ParseHEVCSPS(nal)
		return id < most && s.size.sane() && payload[spaceAt]>>6 == 0 && s.OrderBits <= mostCountBits && s.blocksFit()
	}
	const mostPPS, mostSPS, mostActive = 64, 16, 16
	id, p, _ := parseHEVCPPS(nal)
	return !runsOfZeros(nal) && id < mostPPS && p.sps < mostSPS && max(p.active[0], p.active[1]) <= mostActive && !p.trailing
}

// mostCountBits is the largest size in bits of frame numbers and order counts in slice headers.
const mostCountBits = 16

// runsOfZeros reports whether a NAL unit contains three zero bytes, which escaping prevents (ITU-T H.264, 7.4.1). Only
// picture parameter sets are checked for it: other sets are read even if they were never escaped.
func runsOfZeros(nal []byte) bool {
	return bytes.Contains(bytes.TrimRight(nal, "\x00"), []byte{0, 0, 0})
}

// holdsNext reports whether a payload may be that of a delimiter or of an end: at most one byte.
func holdsNext(payload []byte) bool {
	return len(bytes.TrimRight(payload, "\x00")) <= 1
}

// holdsFiller reports whether a payload is filler data: bytes of ones and the stop bit.
func holdsFiller(payload []byte) bool {
	payload = bytes.TrimSuffix(bytes.TrimRight(payload, "\x00"), []byte{stopBit})
	return !slices.ContainsFunc(payload, func(b byte) bool { return b != 0xff })
}

// stopBit is the byte that ends a payload of whole bytes (rbsp_trailing_bits).
const stopBit = 0x80

// beliefInSEI judges a payload as SEI messages whose sizes add up, with or without the required escaping.
func beliefInSEI(payload []byte) Belief {
	return min(beliefInMessages(Unescape(payload, len(payload))), beliefInMessages(payload))
}

// beliefInMessages judges a sequence of messages. One in some hundred slices adds up by chance, but rarely with types that
// the standards define. So all types must be defined if there are several messages, or no proper end.
func beliefInMessages(payload []byte) Belief {
	rest := bytes.TrimRight(payload, "\x00")
	rest, ended := bytes.CutSuffix(rest, []byte{stopBit})
	trimmed := len(payload) - len(rest) // these bytes may belong to the last message
	named := true
	for n := 1; ; n++ {
		if len(rest) == 0 {
			return Unbelievable
		}
		kind, after, ok := seiNumber(rest)
		if !ok {
			return Unbelievable
		}
		if n == 1 && len(after) == 0 { // a type without a size, as some muxers write it
			return Believable
		}
		named = named && slices.ContainsFunc(seiTypes, func(r [2]int) bool { return r[0] <= kind && kind <= r[1] })
		size, after, ok := seiNumber(after)
		if !ok || size > len(after)+trimmed {
			return Unbelievable
		}
		if size < len(after) {
			rest = after[size:]
			continue
		}
		switch exact := ended && size == len(after); {
		case named && (exact || n <= mostUnended), n == 1 && exact:
			return Believable
		case n == 1:
			return Opaque
		default:
			return Unbelievable
		}
	}
}

// mostUnended is the largest number of messages in a sequence without a proper end.
const mostUnended = 2

// seiTypes are ranges of the payload types that the standards define (ITU-T H.264, D.1.1; ITU-T H.265, D.2.1).
var seiTypes = [][2]int{{0, 59}, {128, 168}, {176, 181}, {200, 213}}
