package plan

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/kvsframes/kvsframes/decode/h26x"
)

// parameterSets are the distinct parameter sets of a fragment: those in force where it
// begins, and those in its packets.
type parameterSets struct {
	seen map[string]bool
	// begin are those in force where the fragment begins.
	begin [][]byte
	// inBand are the others, which only packets contain, in order.
	inBand [][]byte
	// kinds counts the distinct ones of each NAL unit type, and most is the largest of these numbers.
	kinds map[byte]int
	most  int
}

func newParameterSets(codecID string, begin [][]byte) parameterSets {
	s := parameterSets{seen: map[string]bool{}, begin: begin, kinds: map[byte]int{}}
	for _, nal := range begin {
		s.note(h26x.NALType(codecID, nal), nal)
	}
	return s
}

func (s *parameterSets) note(kind byte, nal []byte) {
	s.seen[string(nal)] = true
	s.kinds[kind]++
	s.most = max(s.most, s.kinds[kind])
}

// add adds a set from a packet, and reports whether it is new.
func (s *parameterSets) add(kind byte, nal []byte) bool {
	if s.seen[string(nal)] {
		return false
	}
	s.note(kind, nal)
	s.inBand = append(s.inBand, nal)
	return true
}

// digest identifies the sets in inBand; it is empty if there are none. A decoder that has
// read these sets decodes a fragment with the same ones like a new decoder.
func (s *parameterSets) digest() string {
	if len(s.inBand) == 0 {
		return ""
	}
	h := sha256.New()
	for _, nal := range s.inBand {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(nal)))
		h.Write(size[:])
		h.Write(nal)
	}
	return string(h.Sum(nil))
}

// replaced reports whether sets in packets may have replaced others. A decoder that has
// read them begins the next fragment with different sets than this one.
func (s *parameterSets) replaced() bool { return len(s.inBand) > 0 && s.most > 1 }
