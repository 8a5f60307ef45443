package decode

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/kvsframes/kvsframes/media"
)

// Codec ids of Matroska (RFC 9559 and the Matroska codec registry).
const (
	codecAVC  = "V_MPEG4/ISO/AVC"
	codecHEVC = "V_MPEGH/ISO/HEVC"
)

// entry reports whether decoding can start at a picture.
type entry uint8

const (
	// entryNone: what precedes the picture is needed.
	entryNone entry = iota
	// entryOpen: pictures that are shown from this one on need nothing before it, but
	// pictures that follow it in the stream and are shown before it do (a recovery
	// point; CRA in HEVC).
	entryOpen
	// entryClosed: nothing before the picture is needed any more (IDR).
	entryClosed
)

// noRecovery is the recovery count of a picture without a recovery point.
const noRecovery = -1

// picture is what the plan must know of one packet before it is decoded.
type picture struct {
	entry entry
	// intra: the picture refers to no other.
	intra bool
	// disposable: no other picture of the fragment refers to this one.
	disposable bool
	// sets: the packet brings parameter sets that the fragment did not have before.
	sets bool
	// recovery is the number of reference pictures after which all is well when
	// decoding starts here (H.264, D.2.8), or noRecovery.
	recovery int
}

// unknownPicture is a packet that could not be read: needed by others and no entry.
// That costs time, never a frame.
var unknownPicture = picture{recovery: noRecovery}

// nalReader finds the pictures' properties in packets of one track.
type nalReader struct {
	codec string
	// lengthSize is the size of the NAL length prefix in bytes; 0 for Annex B.
	lengthSize int
	// sets are the parameter sets met so far, of the codec data and in packets.
	sets parameterSets
}

// newNALReader returns a reader for packets of t, which begin with the parameter sets in begin. KVS checks
// neither codec data nor the form of the packets, so both may be of either form: what the packets look
// like decides.
func newNALReader(t media.Track, begin, packets [][]byte) nalReader {
	if t.Encoded {
		return nalReader{} // the payload is not the codec's: nothing can be said
	}
	r := nalReader{codec: t.CodecID, sets: newParameterSets(t.CodecID, begin)}
	r.lengthSize = lengthSize(t)
	if len(packets) == 0 {
		return r
	}
	const enough = 16 // one packet may be damaged, or its sizes look like start codes
	packets = packets[:min(len(packets), enough)]
	other := func(packet []byte) bool { return !startsAnnexB(packet) }
	prefixed := func(packet []byte) bool { return wellFormed(packet, cmp.Or(r.lengthSize, 4)) }
	switch byStream := !slices.ContainsFunc(packets, other); {
	case r.lengthSize > 0 && byStream && !slices.ContainsFunc(packets, prefixed):
		r.lengthSize = 0
	case r.lengthSize == 0 && !byStream && slices.ContainsFunc(packets, prefixed):
		r.lengthSize = 4
	}
	return r
}

// lengthSize returns the size of the length prefix that the codec data tells; 0 means
// Annex B.
func lengthSize(t media.Track) int {
	p := t.CodecPrivate
	switch {
	// ISO/IEC 14496-15, 5.3.3.1: byte 4 of avcC, low two bits.
	case t.CodecID == codecAVC && len(p) >= 7 && p[0] == 1:
		return int(p[4]&3) + 1
	// ISO/IEC 14496-15, 8.3.3.1: byte 21 of hvcC, low two bits.
	// Muxers of the time before the standard was finished wrote version 0.
	case t.CodecID == codecHEVC && len(p) >= 23 && (p[0] == 1 || p[0] == 0 && !startsAnnexB(p)):
		return int(p[21]&3) + 1
	}
	return 0
}

// pictures looks at the NAL unit headers of each packet.
func (r *nalReader) pictures(packets [][]byte) []picture {
	pics := make([]picture, len(packets))
	switch r.codec {
	case codecAVC:
		for i, p := range packets {
			pics[i] = r.avc(p)
		}
	case codecHEVC:
		r.hevc(packets, pics)
	default:
		for i := range pics {
			pics[i] = unknownPicture
		}
	}
	return pics
}

// Types of NAL units (ITU-T H.264, table 7-1).
const (
	avcSlice = 1
	avcIDR   = 5
	avcSEI   = 6
	avcSPS   = 7
	avcPPS   = 8
	// What follows is reserved, but for the extensions' slices.
	avcLastKnown = 21
)

// avc reads nal_ref_idc and nal_unit_type (ITU-T H.264, 7.3.1), slice types and
// recovery points.
func (r *nalReader) avc(packet []byte) picture {
	pic := picture{intra: true, recovery: noRecovery}
	slices, referred, idr := 0, false, false
	ok := eachNAL(packet, r.lengthSize, func(nal []byte) {
		switch t := nal[0] & 0x1f; {
		case t >= avcSlice && t <= avcIDR:
			// The second field of an IDR picture is none itself: the first slice decides.
			idr = idr || slices == 0 && t == avcIDR
			slices++
			referred = referred || nal[0]&0x60 != 0
			pic.intra = pic.intra && (idr || avcIntraSlice(nal))
		case t == avcSEI:
			if n := recoveryFrames(nal); n != noRecovery {
				pic.recovery = n
			}
		case t == avcSPS || t == avcPPS:
			pic.sets = r.sets.add(t, nal) || pic.sets
		}
	})
	if !ok || slices == 0 {
		return picture{sets: pic.sets, recovery: noRecovery}
	}
	pic.disposable = !referred
	switch {
	case idr:
		pic.entry = entryClosed
	case pic.intra && pic.recovery == 0:
		pic.entry = entryOpen
	}
	return pic
}

// Types of NAL units (ITU-T H.265, table 7-1).
const (
	hevcReserved  = 16 // below it: pictures that are no random access points
	hevcIDR       = 19
	hevcIDRNoLP   = 20
	hevcCRA       = 21
	hevcLastIRAP  = 23
	hevcLastVCL   = 31
	hevcVPS       = 32
	hevcSPS       = 33
	hevcPPS       = 34
	hevcEOS       = 36 // end of sequence
	hevcEOB       = 37 // end of bitstream
	hevcHeaderLen = 2
)

// hevc reads nal_unit_type and nuh_temporal_id_plus1 (ITU-T H.265, 7.3.1.2). A
// sub-layer non-reference picture may be used by higher sub-layers, so only those
// of the highest one are disposable.
func (r *nalReader) hevc(packets [][]byte, pics []picture) {
	layers := make([]byte, len(packets))
	var highest byte
	for i, p := range packets {
		slices, disposable, sets := 0, true, false
		kind := byte(hevcLastVCL)
		ok := eachNAL(p, r.lengthSize, func(nal []byte) {
			t := nal[0] >> 1 & 0x3f
			if len(nal) < hevcHeaderLen {
				return
			}
			if t > hevcLastVCL {
				if t >= hevcVPS && t <= hevcPPS {
					sets = r.sets.add(t, nal) || sets
				}
				return
			}
			slices++
			layers[i] = max(layers[i], nal[1]&7)
			disposable = disposable && t < hevcReserved && t%2 == 0
			kind = t
		})
		highest = max(highest, layers[i])
		pics[i] = picture{sets: sets, recovery: noRecovery}
		if !ok || slices == 0 {
			continue
		}
		pics[i].disposable = disposable
		pics[i].intra = kind >= hevcReserved && kind <= hevcLastIRAP
		switch {
		case kind == hevcIDR || kind == hevcIDRNoLP || kind >= hevcReserved && kind < hevcIDR: // the latter are BLA
			pics[i].entry = entryClosed
		case kind == hevcCRA:
			pics[i].entry = entryOpen
		}
	}
	for i := range pics {
		pics[i].disposable = pics[i].disposable && layers[i] == highest
	}
}

// avcIntraSlice reports whether a slice is of type I or SI (ITU-T H.264, 7.3.3 and table 7-6).
func avcIntraSlice(nal []byte) bool {
	b := bitsOf(nal[1:])
	b.ue() // first_mb_in_slice
	t := b.ue() % 5
	return !b.short && (t == 2 || t == 4)
}

// recoveryFrames returns the recovery_frame_cnt of the recovery point in a SEI unit,
// or noRecovery (ITU-T H.264, 7.3.2.3 and D.1.8).
func recoveryFrames(nal []byte) int {
	const recoveryPoint = 6
	// The sizes before a recovery point may be those of long messages, so all of it is unescaped.
	rest := unescape(nal[1:], len(nal))
	for len(rest) > 1 { // the last byte holds the stop bit
		kind, after, ok1 := seiNumber(rest)
		size, after, ok2 := seiNumber(after)
		if !ok1 || !ok2 || size > len(after) {
			return noRecovery
		}
		if kind == recoveryPoint {
			b := bitReader{data: after[:size]}
			if n := b.ue(); !b.short {
				return int(n)
			}
			return noRecovery
		}
		rest = after[size:]
	}
	return noRecovery
}

// eachNAL calls f for every NAL unit of a packet, and reports whether the packet
// was well-formed. f never sees an empty unit. size is that of the length prefix in
// bytes, 0 for Annex B.
func eachNAL(packet []byte, size int, f func(nal []byte)) bool {
	if size == 0 {
		return eachAnnexB(packet, f)
	}
	for len(packet) > 0 {
		if len(packet) < size {
			return false
		}
		var prefix [4]byte
		copy(prefix[4-size:], packet)
		n := binary.BigEndian.Uint32(prefix[:])
		packet = packet[size:]
		if n == 0 || uint64(n) > uint64(len(packet)) {
			return false
		}
		f(packet[:n])
		packet = packet[n:]
	}
	return true
}

// wellFormed reports whether a packet is a row of NAL units with length prefixes.
func wellFormed(packet []byte, size int) bool {
	return len(packet) > 0 && eachNAL(packet, size, func([]byte) {})
}

var startCode = []byte{0, 0, 1}

// startsAnnexB reports whether a packet begins with a start code, with any number of zero bytes before it.
func startsAnnexB(packet []byte) bool {
	code := bytes.TrimLeft(packet, "\x00")
	return len(packet)-len(code) >= 2 && len(code) > 0 && code[0] == 1
}

// eachAnnexB calls f with the NAL units that follow each start code (ITU-T H.264,
// Annex B), without the zero bytes after them.
func eachAnnexB(packet []byte, f func(nal []byte)) bool {
	at := bytes.Index(packet, startCode)
	found := false
	for at >= 0 {
		packet = packet[at+len(startCode):]
		end := len(packet)
		if at = bytes.Index(packet, startCode); at >= 0 {
			end = at
		}
		if nal := bytes.TrimRight(packet[:end], "\x00"); len(nal) > 0 {
			found = true
			f(nal)
		}
	}
	return found
}

// unescape returns at most n bytes of a NAL unit's payload without the emulation
// prevention bytes (ITU-T H.264, 7.3.1).
func unescape(nal []byte, n int) []byte {
	out := make([]byte, 0, min(n, len(nal)))
	zeros := 0
	for _, b := range nal {
		if len(out) == n {
			break
		}
		if zeros >= 2 && b == 3 {
			zeros = 0
			continue
		}
		zeros = zeroRun(zeros, b)
		out = append(out, b)
	}
	return out
}

// escape returns a payload with the emulation prevention bytes that unescape takes out.
func escape(payload []byte) []byte {
	out := make([]byte, 0, len(payload)+len(payload)/2)
	zeros := 0
	for _, b := range payload {
		if zeros >= 2 && b <= 3 {
			out = append(out, 3)
			zeros = 0
		}
		zeros = zeroRun(zeros, b)
		out = append(out, b)
	}
	return out
}

// appendNAL appends a NAL unit to a packet, with a length prefix of size bytes, or a start code if size is 0.
func appendNAL(packet []byte, size int, nal []byte) []byte {
	if size == 0 {
		return append(append(append(packet, 0), startCode...), nal...)
	}
	for i := size - 1; i >= 0; i-- {
		packet = append(packet, byte(len(nal)>>(8*i)))
	}
	return append(packet, nal...)
}

// zeroRun returns how many zero bytes end with b, after a run of them.
func zeroRun(run int, b byte) int {
	if b != 0 {
		return 0
	}
	return run + 1
}

// bitReader reads Exp-Golomb codes.
type bitReader struct {
	data  []byte
	at    int  // in bits
	short bool // the data ended inside a code
}

// bitsOf reads the head of a NAL unit's payload.
func bitsOf(nal []byte) bitReader {
	const head = 16
	return bitReader{data: unescape(nal, head)}
}

func (b *bitReader) bit() uint32 {
	if b.at >= 8*len(b.data) {
		b.short = true
		return 0
	}
	v := b.data[b.at/8] >> (7 - b.at%8) & 1
	b.at++
	return uint32(v)
}

// bits reads an unsigned number of n bits.
func (b *bitReader) bits(n int) (v uint32) {
	for range n {
		v = v<<1 | b.bit()
	}
	return v
}

// ue reads an unsigned Exp-Golomb code (ITU-T H.264, 9.1).
func (b *bitReader) ue() uint32 {
	zeros := 0
	for b.bit() == 0 {
		if zeros++; b.short || zeros > 31 {
			b.short = true
			return 0
		}
	}
	v := uint32(1)
	for range zeros {
		v = v<<1 | b.bit()
	}
	return v - 1
}

// se reads a signed Exp-Golomb code (ITU-T H.264, 9.1.1).
func (b *bitReader) se() int32 {
	v := b.ue()
	if v&1 == 1 {
		return int32(v/2) + 1
	}
	return -int32(v / 2)
}

// goesOn reports whether more than what muxers leave behind follows on what was read.
func (b *bitReader) goesOn() bool {
	const junk = 8 // bytes
	return len(bytes.TrimRight(b.data, "\x00")) > b.at/8+1+junk
}
