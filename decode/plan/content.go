package plan

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/kvsframes/kvsframes/decode/h26x"
)

// content holds the NAL units of a block.
type content struct {
	nals [][]byte
	tail []byte
	// first is the first NAL unit of a picture in nals, nil without a picture.
	first []byte
	// foreign reports whether the block has units of other layers.
	foreign bool
	// clean reports whether the block can be decoded as it is, torn whether it ends with an incomplete NAL unit, dropped
	// whether damaged units were left out.
	clean, torn, dropped bool
}

// noUnit is a NAL unit that decoders reject (forbidden_zero_bit is set). It replaces lost ones.
var noUnit = []byte{0x80, 0}

// entry reports whether decoding may begin with the picture.
func (c *content) entry(codec string) bool {
	intra := true
	for _, nal := range c.nals {
		switch t := h26x.NALType(codec, nal); {
		case codec == h26x.HEVC:
			if h26x.IsSlice(codec, nal) {
				return t >= h26x.HEVCTypeFirstIRAP && t <= h26x.HEVCTypeLastIRAP
			}
		case t == h26x.AVCTypeIDR, t == h26x.AVCTypeSEI && h26x.RecoveryFrames(nal) != h26x.NoRecovery:
			return true
		case h26x.IsSlice(codec, nal):
			intra = intra && h26x.IsAVCIntraSlice(nal)
		}
	}
	return intra
}

// isLost reports whether a block without a picture must have held one. Units that cannot be judged, such as those of
// extensions, belong to a picture with the same time if there is one (beside); otherwise they are the remains of a picture.
func (c *content) isLost(codec string, beside bool) bool {
	worst := h26x.Believable
	for _, nal := range c.nals {
		worst = max(worst, h26x.BeliefIn(codec, nal))
	}
	if c.foreign {
		worst = max(worst, h26x.Opaque)
	}
	return c.torn || c.dropped || worst == h26x.Unbelievable || worst == h26x.Opaque && !beside || len(c.nals) == 0 && !c.foreign
}

// dropDamaged leaves out the units that would harm pictures other than their own.
func (c *content) dropDamaged(codec string) {
	all := len(c.nals)
	c.nals = slices.DeleteFunc(c.nals, func(nal []byte) bool { return h26x.Harms(codec, nal) })
	if len(c.nals) == all {
		return
	}
	c.first, c.clean, c.dropped = nil, false, true
	if i := slices.IndexFunc(c.nals, func(nal []byte) bool { return h26x.IsSlice(codec, nal) }); i >= 0 {
		c.first = c.nals[i]
	}
}

// read splits a block into NAL units. For H.265, it leaves out units of layers other than the base layer, and
// changes sequence parameter sets (see h26x.WithoutReordering).
func (r *nalReader) read(payload []byte) content {
	c := content{clean: true}
	if r.lengthSize == 0 {
		found := h26x.EachAnnexB(payload, c.take(r.codec))
		c.clean = c.clean && found
		return c
	}
	take := c.take(r.codec)
	rest := payload
	for len(rest) >= r.lengthSize {
		var prefix [4]byte
		copy(prefix[4-r.lengthSize:], rest)
		n := uint64(binary.BigEndian.Uint32(prefix[:]))
		rest = rest[r.lengthSize:]
		switch {
		case n == 0:
			c.clean = false
		case n > uint64(len(rest)):
			const junk = 8 // bytes that some muxers append
			c.clean, c.torn = false, len(rest) > junk
			if len(rest) > h26x.HEVCHeaderSize && h26x.IsSlice(r.codec, rest) {
				c.tail = rest
			}
			return c
		case !h26x.IsSlice(r.codec, rest[:n]) && bytes.Contains(rest[:n], h26x.StartCode):
			// Muxers that only look for start codes of four bytes leave several units in one.
			c.clean = false
			at := bytes.Index(rest[:n], h26x.StartCode)
			if nal := bytes.TrimRight(rest[:at], "\x00"); len(nal) > 0 {
				take(nal)
			}
			h26x.EachAnnexB(rest[at:n], take)
		default:
			take(rest[:n])
		}
		rest = rest[n:]
	}
	c.clean = c.clean && len(rest) == 0
	return c
}

// take returns a function that adds a NAL unit.
func (c *content) take(codec string) func(nal []byte) {
	return func(nal []byte) {
		if codec == h26x.HEVC {
			if len(nal) <= h26x.HEVCHeaderSize {
				c.clean = c.clean && len(nal) == h26x.HEVCHeaderSize // an end of sequence is only a header
			}
			if len(nal) < h26x.HEVCHeaderSize || nal[0]&1 != 0 || nal[1]>>3 != 0 { // nuh_layer_id
				c.clean, c.foreign = false, true
				return
			}
			if h26x.NALType(codec, nal) == h26x.HEVCTypeSPS {
				nal = h26x.WithoutReordering(nal)
				c.clean = false
			}
		}
		if c.first == nil && h26x.IsSlice(codec, nal) {
			c.first = nal
		}
		c.nals = append(c.nals, nal)
	}
}
