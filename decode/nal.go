package decode

import (
	"encoding/binary"

	"github.com/kvsframes/kvsframes/media"
)

// Codec ids of Matroska (RFC 9559 and the Matroska codec registry).
const (
	codecAVC  = "V_MPEG4/ISO/AVC"
	codecHEVC = "V_MPEGH/ISO/HEVC"
)

// picture is what the plan must know of one packet before it is decoded.
type picture struct {
	// entry: decoding can start here and everything before can be left out (IDR).
	entry bool
	// disposable: no other picture of the fragment refers to this one.
	disposable bool
}

// nalReader finds the pictures' properties in packets of one track.
type nalReader struct {
	codec string
	// lengthSize is the size of the NAL length prefix in bytes; 0 for Annex B.
	lengthSize int
}

// newNALReader reads the codec data of t. Its zero length size stands for Annex B
// byte streams, which KVS does not forbid.
func newNALReader(t media.Track) nalReader {
	r := nalReader{codec: t.CodecID}
	if t.Encoded {
		return nalReader{} // the payload is not the codec's: nothing can be said
	}
	p := t.CodecPrivate
	switch {
	// ISO/IEC 14496-15, 5.3.3.1: byte 4 of avcC, low two bits.
	case t.CodecID == codecAVC && len(p) >= 7 && p[0] == 1:
		r.lengthSize = int(p[4]&3) + 1
	// ISO/IEC 14496-15, 8.3.3.1: byte 21 of hvcC, low two bits.
	case t.CodecID == codecHEVC && len(p) >= 23 && p[0] == 1:
		r.lengthSize = int(p[21]&3) + 1
	}
	return r
}

// pictures looks at the NAL unit headers of each packet. A packet that it cannot
// read is taken as needed by others and as no entry: that costs time, never a frame.
func (r nalReader) pictures(packets [][]byte) []picture {
	pics := make([]picture, len(packets))
	switch r.codec {
	case codecAVC:
		for i, p := range packets {
			pics[i] = r.avc(p)
		}
	case codecHEVC:
		r.hevc(packets, pics)
	}
	return pics
}

// avc reads nal_ref_idc and nal_unit_type (ITU-T H.264, 7.3.1).
func (r nalReader) avc(packet []byte) picture {
	slices, referred, entry := 0, false, true
	ok := r.each(packet, func(nal []byte) {
		if t := nal[0] & 0x1f; t >= 1 && t <= 5 {
			slices++
			referred = referred || nal[0]&0x60 != 0
			entry = entry && t == 5
		}
	})
	if !ok || slices == 0 {
		return picture{}
	}
	return picture{entry: entry, disposable: !referred}
}

// hevc reads nal_unit_type and nuh_temporal_id_plus1 (ITU-T H.265, 7.3.1.2). A
// sub-layer non-reference picture may be used by higher sub-layers, so only those
// of the highest one are disposable.
func (r nalReader) hevc(packets [][]byte, pics []picture) {
	layers := make([]byte, len(packets))
	var highest byte
	for i, p := range packets {
		slices, disposable, entry := 0, true, true
		ok := r.each(p, func(nal []byte) {
			t := nal[0] >> 1 & 0x3f
			if t > 31 || len(nal) < 2 {
				return
			}
			slices++
			layers[i] = max(layers[i], nal[1]&7)
			disposable = disposable && t < 16 && t%2 == 0
			entry = entry && (t == 19 || t == 20)
		})
		highest = max(highest, layers[i])
		if ok && slices > 0 {
			pics[i] = picture{entry: entry, disposable: disposable}
		}
	}
	for i := range pics {
		pics[i].disposable = pics[i].disposable && layers[i] == highest
	}
}

// each calls f for every NAL unit of a packet, and reports whether the packet
// was well-formed. f never sees an empty unit.
func (r nalReader) each(packet []byte, f func(nal []byte)) bool {
	if r.lengthSize == 0 {
		return eachAnnexB(packet, f)
	}
	for len(packet) > 0 {
		if len(packet) < r.lengthSize {
			return false
		}
		var size [4]byte
		copy(size[4-r.lengthSize:], packet)
		n := binary.BigEndian.Uint32(size[:])
		packet = packet[r.lengthSize:]
		if n == 0 || uint64(n) > uint64(len(packet)) {
			return false
		}
		f(packet[:n])
		packet = packet[n:]
	}
	return true
}

// eachAnnexB calls f with the bytes that follow each start code (ITU-T H.264,
// Annex B). What f sees runs to the packet's end: only its header is of use.
func eachAnnexB(packet []byte, f func(nal []byte)) bool {
	found, zeros := false, 0
	for i, b := range packet {
		if b == 1 && zeros >= 2 && i+1 < len(packet) {
			found = true
			f(packet[i+1:])
		}
		if b == 0 {
			zeros++
		} else {
			zeros = 0
		}
	}
	return found
}
