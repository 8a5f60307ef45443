package plan

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

	"github.com/kvsframes/kvsframes/decode/h26x"
	"github.com/kvsframes/kvsframes/media"
)

// accessUnit is one frame as the decoder gets it: usually one block, with other blocks that belong to
// the frame (parameter sets, SEI, a second field, further slices) before or behind it.
type accessUnit struct {
	// last is the frame's last block, an index into the track's blocks.
	last int
	// at is the frame's time, which is that of the first block with a picture.
	at  time.Duration
	key bool
	// packet is what is decoded. It is the block itself, or if made is set, a copy.
	packet []byte
	made   bool
	// tail is a NAL unit at the packet's end that is longer than the packet: a slice that was cut, or
	// no slice at all. It is left out of the packet unless there is nothing else.
	tail []byte
	// cut reports whether the picture's only slice is cut.
	cut bool
}

// assembler makes access units of the blocks of one track.
type assembler struct {
	reader *nalReader
	// inForce takes the parameter sets of packets.
	inForce *setsInForce
	// fields tells fields of H.264 apart; nil for other codecs.
	fields *h26x.FieldReader

	units []accessUnit
	// pending are the NAL units of blocks without a picture, which belong to the next one.
	pending [][]byte
	// field is the first slice of the last unit, if that is a first field without its second.
	field *h26x.Field
}

// content is what a block holds.
type content struct {
	nals [][]byte
	tail []byte
	// first is the first NAL unit of a picture in nals, nil without a picture.
	first []byte
	// foreign: there are units of other layers.
	foreign bool
	// clean reports whether the block can be decoded as it stands; torn, that it ends with what is no NAL unit; dropped,
	// that units were left out which are not what they look like.
	clean, torn, dropped bool
}

// noUnit is a NAL unit that no decoder takes (forbidden_zero_bit is set), in the place of what is lost.
var noUnit = []byte{0x80, 0}

// assemble returns the access units of the blocks, and the NAL units behind the last picture, which
// belong to the next fragment's first. before are those of the fragment before.
func (r *nalReader) assemble(blocks []media.Block, payloads, before [][]byte, inForce *setsInForce) (units []accessUnit, behind [][]byte) {
	a := assembler{reader: r, pending: before, inForce: inForce}
	if r.codec == h26x.AVC {
		a.fields = h26x.NewFieldReader()
	}
	for _, nal := range slices.Concat(r.sets.begin, before) {
		a.readSet(nal)
	}
	for i := range blocks {
		a.add(blocks, i, payloads)
	}
	return a.units, a.pending
}

func (a *assembler) add(blocks []media.Block, i int, payloads [][]byte) {
	b, payload := blocks[i], payloads[i]
	if a.reader.codec != h26x.AVC && a.reader.codec != h26x.HEVC {
		a.units = append(a.units, accessUnit{last: i, at: b.Time, key: b.Key, packet: payload})
		return
	}
	c := a.reader.read(payload)
	c.dropDamaged(a.reader.codec)
	a.dropChanged(blocks, i, payloads, &c)
	for _, nal := range c.nals {
		a.inForce.put(nal)
		a.readSet(nal)
	}
	cut := c.first == nil && c.tail != nil
	if cut { // all that there is of a picture
		c.first, c.tail = c.tail, nil
		c.nals = append(c.nals, c.first)
	}
	if c.first == nil && c.isLost(a.reader.codec, beside(blocks, i)) {
		a.field = nil
		u := accessUnit{last: i, at: b.Time, key: b.Key, made: true}
		// What it looks like must not reach the decoder.
		u.append(a.reader.lengthSize, a.believed(c.nals), [][]byte{noUnit})
		a.units = append(a.units, u)
		return
	}
	if c.first == nil {
		a.pending = append(a.pending, c.nals...)
		return
	}
	var field *h26x.Field
	if a.fields != nil {
		field = a.fields.FieldOf(c.first)
	}
	if a.goesOn(c.first, field, b) {
		u := &a.units[len(a.units)-1]
		u.last = i
		u.key = u.key || b.Key
		u.append(a.reader.lengthSize, a.pending, c.nals)
		u.tail, u.cut = c.tail, u.cut || cut
		a.pending, a.field = nil, nil
		return
	}
	u := accessUnit{last: i, at: b.Time, key: b.Key, packet: payload, tail: c.tail, cut: cut}
	if !c.clean || len(a.pending) > 0 {
		u.packet, u.made = nil, true
		u.append(a.reader.lengthSize, a.pending, c.nals)
	}
	a.pending, a.field = nil, field
	a.units = append(a.units, u)
}

// dropChanged leaves out parameter sets that would take the place of others although nothing speaks for it: a slice with a
// damaged header may look like one. A sequence begins where decoding may (ITU-T H.264, 7.4.1.2.1; ITU-T H.265, 7.4.2.4.2).
// Picture parameter sets alone change before a picture, to one of about the same size.
func (a *assembler) dropChanged(blocks []media.Block, i int, payloads [][]byte, c *content) {
	codec := a.reader.codec
	picture, sequence := byte(h26x.AVCTypePPS), byte(h26x.AVCTypeSPS)
	if codec == h26x.HEVC {
		picture, sequence = h26x.HEVCTypePPS, h26x.HEVCTypeSPS
	}
	entry := !slices.ContainsFunc(c.nals, a.inForce.changes) || a.entryNext(blocks, i, payloads, c)
	if entry && slices.ContainsFunc(c.nals, func(nal []byte) bool { return h26x.NALType(codec, nal) == sequence }) {
		return
	}
	kept := slices.DeleteFunc(slices.Clone(c.nals), func(nal []byte) bool {
		const more = 16
		if h26x.NALType(codec, nal) != picture {
			return !entry && a.inForce.changes(nal)
		}
		old := a.inForce.replaced(nal)
		return old != nil && (c.first == nil || len(nal) > 2*len(old)+more)
	})
	if len(kept) < len(c.nals) {
		c.nals, c.clean, c.dropped = kept, false, true
	}
}

// entryNext reports whether decoding may begin with the next picture, which is that of block i if it has one. What comes
// after the last block is not known, so it may.
func (a *assembler) entryNext(blocks []media.Block, i int, payloads [][]byte, c *content) bool {
	for ; c.first == nil && i+1 < len(blocks); i++ {
		next := a.reader.read(payloads[i+1])
		c = &next
	}
	return c.first == nil || blocks[i].Key || c.entry(a.reader.codec)
}

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

// beside reports whether a block has the time of one of its neighbours: then both belong to one frame.
func beside(blocks []media.Block, i int) bool {
	return i > 0 && blocks[i-1].Time == blocks[i].Time || i+1 < len(blocks) && blocks[i+1].Time == blocks[i].Time
}

// isLost reports whether a block without a picture must have held one: it holds what does not stand beside pictures. What
// nothing is known of, such as units of extensions, belongs to a picture of the same time, or is what is left of one.
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

// dropDamaged leaves out the units that would harm other pictures than their own.
func (c *content) dropDamaged(codec string) {
	kept := slices.DeleteFunc(c.nals, func(nal []byte) bool { return h26x.Harms(codec, nal) })
	if len(kept) < len(c.nals) {
		c.nals, c.clean, c.dropped = kept, false, true
	}
}

// believed returns the NAL units that are what they look like.
func (a *assembler) believed(nals [][]byte) [][]byte {
	return slices.DeleteFunc(slices.Clone(nals), func(nal []byte) bool { return h26x.BeliefIn(a.reader.codec, nal) != h26x.Believable })
}

// append adds NAL units to the packet, which is a copy from then on.
func (u *accessUnit) append(lengthSize int, groups ...[][]byte) {
	packet := u.packet
	if !u.made {
		packet = bytes.Clone(packet)
	}
	for _, nals := range groups {
		for _, nal := range nals {
			packet = h26x.AppendNAL(packet, lengthSize, nal)
		}
	}
	u.packet, u.made = packet, true
}

// readSet notes a parameter set that later slices may refer to.
func (a *assembler) readSet(nal []byte) {
	if a.fields != nil {
		a.fields.ReadSet(nal)
	}
}

// goesOn reports whether the picture that starts with a NAL unit belongs to the frame before: a second field,
// or more slices.
func (a *assembler) goesOn(first []byte, field *h26x.Field, b media.Block) bool {
	if len(a.units) == 0 {
		return false
	}
	if field != nil && a.field != nil && h26x.FirstSlice(a.reader.codec, first) {
		return field.Bottom != a.field.Bottom && field.FrameNum == a.field.FrameNum && first[0]&0x1f != h26x.AVCTypeIDR
	}
	return !h26x.FirstSlice(a.reader.codec, first) && b.Time == a.units[len(a.units)-1].at
}

// read takes a block apart. Of H.265 the units of other layers than the base are left out, and sequences
// promise pictures in decode order.
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
			const junk = 8 // bytes that muxers leave behind
			c.clean, c.torn = false, len(rest) > junk
			if len(rest) > h26x.HEVCHeaderSize && h26x.IsSlice(r.codec, rest) {
				c.tail = rest
			}
			return c
		case !h26x.IsSlice(r.codec, rest[:n]) && bytes.Contains(rest[:n], h26x.StartCode):
			// Muxers that look for start codes of four bytes alone leave units together.
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
				c.clean = c.clean && len(nal) == h26x.HEVCHeaderSize // an end of sequence has no more
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
