package decode

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/kvsframes/kvsframes/media"
)

// parameterSets are the distinct parameter sets of a fragment: those that it begins
// with, and those that its packets bring.
type parameterSets struct {
	seen map[string]bool
	// begin are those that the fragment begins with.
	begin [][]byte
	// inBand are the ones that only packets brought, in order.
	inBand [][]byte
	// kinds counts the distinct ones of each NAL unit type.
	kinds map[byte]int
}

func newParameterSets(codecID string, begin [][]byte) parameterSets {
	s := parameterSets{seen: map[string]bool{}, begin: begin, kinds: map[byte]int{}}
	for _, nal := range begin {
		s.seen[string(nal)] = true
		s.kinds[nalType(codecID, nal)]++
	}
	return s
}

// add notes a set of a packet and reports whether it is new.
func (s *parameterSets) add(kind byte, nal []byte) bool {
	if s.seen[string(nal)] {
		return false
	}
	s.seen[string(nal)] = true
	s.kinds[kind]++
	s.inBand = append(s.inBand, nal)
	return true
}

// digest names the sets that packets brought; it is empty when there were none. A
// decoder that has met these sets is as good as new for a fragment that brings them again.
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

// replaced reports whether packets brought sets that may have taken the place of others: a
// decoder that met them begins the next fragment with other sets than this one.
func (s *parameterSets) replaced() bool {
	if len(s.inBand) == 0 {
		return false
	}
	for _, n := range s.kinds {
		if n > 1 {
			return true
		}
	}
	return false
}

func nalType(codec string, nal []byte) byte {
	if codec == codecHEVC {
		return nal[0] >> 1 & 0x3f
	}
	return nal[0] & 0x1f
}

// codecSets returns the parameter sets of the codec data, whatever its form.
func codecSets(t media.Track) [][]byte {
	p := t.CodecPrivate
	var sets [][]byte
	if lengthSize(t) == 0 {
		eachAnnexB(p, func(nal []byte) { sets = append(sets, nal) })
		return sets
	}
	// take reads n sets, each after its length.
	take := func(n int) bool {
		for range n {
			if len(p) < 2 {
				return false
			}
			size := int(binary.BigEndian.Uint16(p))
			if p = p[2:]; size > len(p) {
				return false
			}
			if size > 0 {
				sets = append(sets, p[:size])
			}
			p = p[size:]
		}
		return true
	}
	if t.CodecID == codecHEVC { // ISO/IEC 14496-15, 8.3.3.1
		arrays := int(p[22])
		p = p[23:]
		for range arrays {
			if len(p) < 3 {
				break
			}
			n := int(binary.BigEndian.Uint16(p[1:]))
			if p = p[3:]; !take(n) {
				break
			}
		}
		return sets
	}
	// ISO/IEC 14496-15, 5.3.3.1
	n := int(p[5] & 0x1f)
	if p = p[6:]; take(n) && len(p) > 0 {
		n = int(p[0])
		p = p[1:]
		take(n)
	}
	return sets
}

// annexB returns NAL units as a byte stream.
func annexB(nals [][]byte) []byte {
	var out []byte
	for _, nal := range nals {
		out = appendNAL(out, 0, nal)
	}
	return out
}
