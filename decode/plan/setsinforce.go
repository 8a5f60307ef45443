package plan

import (
	"bytes"
	"cmp"
	"errors"
	"maps"
	"slices"

	"github.com/kvsframes/kvsframes/decode/h26x"
	"github.com/kvsframes/kvsframes/media"
)

// setsInForce are the latest parameter sets of a stream, by id. A fragment may rely on those of
// earlier fragments, so each fragment's decoder begins with them.
type setsInForce struct {
	codecID, codecData string
	sets               map[setKey][]byte
	// extra are the other NAL units of the codec data, such as SEI.
	extra [][]byte
	// inBand reports whether packets had sets that the codec data lacks.
	inBand bool
}

// setKey identifies a parameter set: a later one with the same type and id replaces it.
type setKey struct {
	kind byte
	id   uint32
}

// setKeyOf returns the key of a parameter set, and false for other NAL units.
func setKeyOf(codecID string, nal []byte) (setKey, bool) {
	id, ok := h26x.SetID(codecID, nal)
	return setKey{h26x.NALType(codecID, nal), id}, ok
}

// maxSetsInForce is the most parameter sets that are kept: there are ids for 16 VPS, 32 SPS and
// 256 PPS (ITU-T H.264, 7.4.2; ITU-T H.265, 7.4.3).
const maxSetsInForce = 304

// begin starts over with the codec data of a fragment, if it differs from the previous one's.
func (s *setsInForce) begin(t media.Track) {
	if s.sets != nil && t.CodecID == s.codecID && string(t.CodecPrivate) == s.codecData {
		return
	}
	*s = setsInForce{codecID: t.CodecID, codecData: string(t.CodecPrivate), sets: map[setKey][]byte{}}
	for _, nal := range h26x.CodecDataUnits(t.CodecID, t.CodecPrivate) {
		nal = bytes.Clone(nal)
		if h26x.NALType(t.CodecID, nal) == h26x.HEVCTypeSPS && t.CodecID == h26x.HEVC {
			nal = h26x.WithoutReordering(nal)
		}
		if key, ok := setKeyOf(t.CodecID, nal); ok {
			s.sets[key] = nal
		} else {
			s.extra = append(s.extra, nal)
		}
	}
}

// put adds a parameter set from a packet.
func (s *setsInForce) put(nal []byte) {
	key, ok := setKeyOf(s.codecID, nal)
	if !ok || bytes.Equal(s.sets[key], nal) || len(s.sets) >= maxSetsInForce {
		return
	}
	s.sets[key] = bytes.Clone(nal)
	s.inBand = true
}

// replaced returns the different set that nal would replace, or nil.
func (s *setsInForce) replaced(nal []byte) []byte {
	key, ok := setKeyOf(s.codecID, nal)
	if old := s.sets[key]; ok && !bytes.Equal(old, nal) {
		return old
	}
	return nil
}

// changes reports whether nal is a parameter set that is new, although sets of its type are known.
func (s *setsInForce) changes(nal []byte) bool {
	key, ok := setKeyOf(s.codecID, nal)
	if !ok || bytes.Equal(s.sets[key], nal) {
		return false
	}
	for known := range s.sets {
		if known.kind == key.kind {
			return true
		}
	}
	return false
}

// list returns the sets in an order in which each refers only to earlier ones.
func (s *setsInForce) list() [][]byte {
	keys := slices.SortedFunc(maps.Keys(s.sets), func(a, b setKey) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.id, b.id))
	})
	out := make([][]byte, 0, len(keys)+len(s.extra))
	for _, k := range keys {
		out = append(out, s.sets[k])
	}
	return append(out, s.extra...)
}

// errNoVPS is the error for H.265 without a video parameter set.
var errNoVPS = errors.New("the video parameter set (VPS) is missing, in the codec data and in the packets")

// hasVPS reports whether one of the sets is a video parameter set.
func hasVPS(sets [][]byte) bool {
	return slices.ContainsFunc(sets, func(nal []byte) bool { return h26x.NALType(h26x.HEVC, nal) == h26x.HEVCTypeVPS })
}
