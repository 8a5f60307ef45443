package decode

import (
	"bytes"
	"slices"
)

// Types of NAL units that stand beside pictures (ITU-T H.264, table 7-1; ITU-T H.265, table 7-1).
const (
	avcAUD    = 9  // access unit delimiter
	avcEOS    = 10 // end of sequence
	avcEOB    = 11 // end of stream
	avcFiller = 12

	hevcAUD       = 35
	hevcFiller    = 38
	hevcSEI       = 39
	hevcSuffixSEI = 40
)

// belief is how far the content of a NAL unit without a picture bears out its type.
type belief uint8

const (
	// believable: the content is what the type promises.
	believable belief = iota
	// opaque: nothing is known of the content: it is of an extension, reserved, or private.
	opaque
	// unbelievable: the content is something else, such as that of a slice whose header was damaged.
	unbelievable
)

// beliefIn judges a NAL unit that is no slice of the base layer. It is lenient with what cameras get wrong, such as
// missing stop bits: the content of slices is far from all of these.
func beliefIn(codec string, nal []byte) belief {
	const forbidden = 0x80 // forbidden_zero_bit
	if nal[0]&forbidden != 0 {
		return unbelievable
	}
	borneOut := true
	switch codec {
	case codecAVC:
		t, payload := nalType(codec, nal), nal[1:]
		switch {
		case t == 0 || t > avcLastKnown:
			borneOut = false
		case t == avcSEI:
			return beliefInSEI(payload)
		case t == avcSPS || t == avcPPS:
			borneOut = believableAVCSet(nal)
		case t >= avcAUD && t <= avcEOB:
			borneOut = holdsNext(payload)
		case t == avcFiller:
			borneOut = holdsFiller(payload)
		default:
			return opaque
		}
	case codecHEVC:
		if len(nal) < hevcHeaderLen {
			return unbelievable
		}
		t, payload := nalType(codec, nal), nal[hevcHeaderLen:]
		switch {
		case t <= hevcLastVCL:
			borneOut = false
		case t >= hevcVPS && t <= hevcPPS:
			borneOut = believableHEVCSet(nal)
		case t >= hevcAUD && t <= hevcEOB:
			borneOut = holdsNext(payload)
		case t == hevcFiller:
			borneOut = holdsFiller(payload)
		case t == hevcSEI || t == hevcSuffixSEI:
			return beliefInSEI(payload)
		default:
			return opaque
		}
	}
	if !borneOut {
		return unbelievable
	}
	return believable
}

// harms reports whether a NAL unit may change how pictures are decoded although its content is not that of its type: as
// parameter sets, which take the place of others, or as the end of a sequence.
func harms(codec string, nal []byte) bool {
	t := nalType(codec, nal)
	if codec == codecAVC && t == avcSEI || codec == codecHEVC && (t == hevcSEI || t == hevcSuffixSEI) {
		return false // cameras get it wrong, and decoders pass over what they cannot read
	}
	return !isSlice(codec, nal) && beliefIn(codec, nal) == unbelievable
}

// avcProfiles are the values of profile_idc (ITU-T H.264, annexes A, F, G and H, and the withdrawn 144).
var avcProfiles = []byte{44, 66, 77, 83, 86, 88, 100, 110, 118, 122, 128, 134, 135, 138, 139, 144, 244}

func believableAVCSet(nal []byte) bool {
	if nalType(codecAVC, nal) == avcSPS {
		const reserved, most = 3, 32 // reserved_zero_2bits; ids
		id, s, _ := readSPS(nal)
		return len(nal) > 3 && slices.Contains(avcProfiles, nal[1]) && nal[2]&reserved == 0 && id < most && s.size.sane() &&
			s.orderType <= 2 && max(s.frameNumBits, s.orderBits) <= mostCountBits
	}
	const mostPPS, mostSPS, mostActive = 256, 32, 32
	id, p, _ := readPPS(nal)
	if runsOfZeros(nal) {
		return false
	}
	return id < mostPPS && p.sps < mostSPS && max(p.active[0], p.active[1]) <= mostActive && !p.goesOn
}

func believableHEVCSet(nal []byte) bool {
	switch nalType(codecHEVC, nal) {
	case hevcVPS:
		const ones = 2 // where vps_reserved_0xffff_16bits stands (ITU-T H.265, 7.3.2.1)
		payload := nal[hevcHeaderLen:]
		return len(payload) > ones+2 && payload[ones] == 0xff && payload[ones+1] == 0xff
	case hevcSPS:
		const most, spaceAt = 16, 1 // of general_profile_space, which is 0
		payload := nal[hevcHeaderLen:]
		id, s, _ := readHEVCSPS(nal)
		return id < most && s.size.sane() && payload[spaceAt]>>6 == 0 && s.orderBits <= mostCountBits && s.blocksFit()
	}
	const mostPPS, mostSPS, mostActive = 64, 16, 16
	id, p, _ := readHEVCPPS(nal)
	if runsOfZeros(nal) {
		return false
	}
	return id < mostPPS && p.sps < mostSPS && max(p.active[0], p.active[1]) <= mostActive && !p.goesOn
}

// mostCountBits is the most bits of a count of pictures in slice headers.
const mostCountBits = 16

// runsOfZeros reports whether a NAL unit holds what escaping keeps out of it: three zero bytes (ITU-T H.264, 7.4.1). Only
// picture parameter sets are held to that: other sets that were never escaped are read all the same.
func runsOfZeros(nal []byte) bool {
	return bytes.Contains(bytes.TrimRight(nal, "\x00"), []byte{0, 0, 0})
}

// holdsNext reports whether a payload is that of a delimiter, or of an end: a byte at most.
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

// beliefInSEI judges a payload as a row of SEI messages whose sizes add up, escaped as the standard wants it, or not at
// all.
func beliefInSEI(payload []byte) belief {
	return min(beliefInMessages(unescape(payload, len(payload))), beliefInMessages(payload))
}

// beliefInMessages judges a row of messages. The content of a slice adds up by chance once in some hundred times, and seldom
// with types that the standards name: a row that is longer, or does not end as it should, must have these alone.
func beliefInMessages(payload []byte) belief {
	rest := bytes.TrimRight(payload, "\x00")
	rest, ended := bytes.CutSuffix(rest, []byte{stopBit})
	trimmed := len(payload) - len(rest) // a message may end with what was taken for the end
	named := true
	for n := 1; ; n++ {
		if len(rest) == 0 {
			return unbelievable
		}
		kind, after, ok := seiNumber(rest)
		if !ok {
			return unbelievable
		}
		if n == 1 && len(after) == 0 { // a message of nothing, as some muxers make up
			return believable
		}
		named = named && slices.ContainsFunc(seiTypes, func(r [2]int) bool { return r[0] <= kind && kind <= r[1] })
		size, after, ok := seiNumber(after)
		if !ok || size > len(after)+trimmed {
			return unbelievable
		}
		if size < len(after) {
			rest = after[size:]
			continue
		}
		switch exact := ended && size == len(after); {
		case named && (exact || n <= mostUnended), n == 1 && exact:
			return believable
		case n == 1:
			return opaque
		default:
			return unbelievable
		}
	}
}

// mostUnended is how many messages a row without a proper end may have.
const mostUnended = 2

// seiTypes are ranges that hold the payload types that the standards name (ITU-T H.264, D.1.1; ITU-T H.265, D.2.1).
var seiTypes = [][2]int{{0, 59}, {128, 168}, {176, 181}, {200, 213}}

// seiNumber reads the type or the size of a SEI message (ITU-T H.264, 7.3.2.3.1).
func seiNumber(data []byte) (n int, rest []byte, ok bool) {
	for i, v := range data {
		if n += int(v); v != 0xff {
			return n, data[i+1:], true
		}
	}
	return 0, nil, false
}
