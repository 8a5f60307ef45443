package plan

import (
	"cmp"
	"slices"

	"github.com/kvsframes/kvsframes/decode/h26x"
	"github.com/kvsframes/kvsframes/media"
)

// Entry states whether decoding can start at a picture.
type Entry uint8

const (
	// EntryNone means that the picture needs earlier pictures.
	EntryNone Entry = iota
	// EntryOpen means that this picture and those shown after it need nothing before it, but
	// that its leading pictures do: they follow it in the stream and are shown before it
	// (a recovery point of H.264, CRA of H.265).
	EntryOpen
	// EntryClosed means that no later picture needs anything before this one (IDR).
	EntryClosed
)

// Picture is what the plan must know about a packet before it is decoded.
type Picture struct {
	Entry Entry
	// Intra reports whether the picture refers to no other.
	Intra bool
	// disposable reports whether no other picture of the fragment refers to this one.
	disposable bool
	// sets reports whether the packet has parameter sets that are new in the fragment.
	sets bool
	// recovery is the number of reference pictures after which pictures are correct if
	// decoding starts here (H.264, D.2.8), or NoRecovery.
	recovery int
}

// unknownPicture stands for a packet that could not be read: no entry, and others may
// refer to it. If that is wrong it costs time, but never a frame.
var unknownPicture = Picture{recovery: h26x.NoRecovery}

// nalReader finds the pictures' properties in packets of one track.
type nalReader struct {
	codec string
	// lengthSize is the size of the NAL length prefix in bytes; 0 for Annex B.
	lengthSize int
	// sets are the parameter sets read so far, from codec data and packets.
	sets parameterSets
}

// newNALReader returns a reader for packets of t, which begin with the parameter sets in begin. KVS checks
// neither the codec data nor the form of the packets, so the forms may differ. The content of the packets
// decides.
func newNALReader(t media.Track, begin, packets [][]byte) nalReader {
	if t.Encoded {
		return nalReader{} // the payload is compressed or encrypted, and cannot be read
	}
	r := nalReader{codec: t.CodecID, sets: newParameterSets(t.CodecID, begin)}
	r.lengthSize = h26x.LengthSize(t.CodecID, t.CodecPrivate)
	if len(packets) == 0 {
		return r
	}
	const enough = 16 // a single packet may be damaged, or its sizes may look like start codes
	packets = packets[:min(len(packets), enough)]
	other := func(packet []byte) bool { return !h26x.StartsAnnexB(packet) }
	prefixed := func(packet []byte) bool { return h26x.WellFormed(packet, cmp.Or(r.lengthSize, 4)) }
	switch byStream := !slices.ContainsFunc(packets, other); {
	case r.lengthSize > 0 && byStream && !slices.ContainsFunc(packets, prefixed):
		r.lengthSize = 0
	case r.lengthSize == 0 && !byStream && slices.ContainsFunc(packets, prefixed):
		r.lengthSize = 4
	}
	return r
}

// pictures describes the picture of each packet, from the headers of its NAL units.
func (r *nalReader) pictures(packets [][]byte) []Picture {
	pics := make([]Picture, len(packets))
	switch r.codec {
	case h26x.AVC:
		for i, p := range packets {
			pics[i] = r.avc(p)
		}
	case h26x.HEVC:
		r.hevc(packets, pics)
	default:
		for i := range pics {
			pics[i] = unknownPicture
		}
	}
	return pics
}

// avc reads nal_ref_idc and nal_unit_type (ITU-T H.264, 7.3.1), slice types and
// recovery points.
func (r *nalReader) avc(packet []byte) Picture {
	pic := Picture{Intra: true, recovery: h26x.NoRecovery}
	count, referred, idr := 0, false, false
	ok := h26x.EachNAL(packet, r.lengthSize, func(nal []byte) {
		switch t := nal[0] & 0x1f; {
		case t >= h26x.AVCTypeSlice && t <= h26x.AVCTypeIDR:
			// The second field of an IDR picture may not be IDR itself: the first slice decides.
			idr = idr || count == 0 && t == h26x.AVCTypeIDR
			count++
			referred = referred || nal[0]&0x60 != 0
			pic.Intra = pic.Intra && (idr || h26x.IsAVCIntraSlice(nal))
		case t == h26x.AVCTypeSEI:
			if n := h26x.RecoveryFrames(nal); n != h26x.NoRecovery {
				pic.recovery = n
			}
		case t == h26x.AVCTypeSPS || t == h26x.AVCTypePPS:
			pic.sets = r.sets.add(t, nal) || pic.sets
		}
	})
	if !ok || count == 0 {
		return Picture{sets: pic.sets, recovery: h26x.NoRecovery}
	}
	pic.disposable = !referred
	switch {
	case idr:
		pic.Entry = EntryClosed
	case pic.Intra && pic.recovery == 0:
		pic.Entry = EntryOpen
	}
	return pic
}

// hevc reads nal_unit_type and nuh_temporal_id_plus1 (ITU-T H.265, 7.3.1.2). A
// sub-layer non-reference picture may be used by higher sub-layers, so only those
// of the highest one are disposable.
func (r *nalReader) hevc(packets [][]byte, pics []Picture) {
	layers := make([]byte, len(packets))
	var highest byte
	for i, p := range packets {
		count, disposable, sets := 0, true, false
		kind := byte(h26x.HEVCTypeLastVCL)
		ok := h26x.EachNAL(p, r.lengthSize, func(nal []byte) {
			t := nal[0] >> 1 & 0x3f
			if len(nal) < h26x.HEVCHeaderSize {
				return
			}
			if t > h26x.HEVCTypeLastVCL {
				if t >= h26x.HEVCTypeVPS && t <= h26x.HEVCTypePPS {
					sets = r.sets.add(t, nal) || sets
				}
				return
			}
			count++
			layers[i] = max(layers[i], nal[1]&7)
			disposable = disposable && t < h26x.HEVCTypeFirstIRAP && t%2 == 0
			kind = t
		})
		highest = max(highest, layers[i])
		pics[i] = Picture{sets: sets, recovery: h26x.NoRecovery}
		if !ok || count == 0 {
			continue
		}
		pics[i].disposable = disposable
		pics[i].Intra = kind >= h26x.HEVCTypeFirstIRAP && kind <= h26x.HEVCTypeLastIRAP
		switch {
		case kind == h26x.HEVCTypeIDR || kind == h26x.HEVCTypeIDRNoLP || kind >= h26x.HEVCTypeFirstIRAP && kind < h26x.HEVCTypeIDR: // the latter are BLA
			pics[i].Entry = EntryClosed
		case kind == h26x.HEVCTypeCRA:
			pics[i].Entry = EntryOpen
		}
	}
	for i := range pics {
		pics[i].disposable = pics[i].disposable && layers[i] == highest
	}
}
