package decode

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

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
	// sps and pps are read from the parameter sets met so far, for slice headers.
	sps map[uint32]avcSPSHeader
	pps map[uint32]avcPPSHeader
	// fields reports whether one of the sequences has pictures of fields.
	fields bool

	units []accessUnit
	// pending are the NAL units of blocks without a picture, which belong to the next one.
	pending [][]byte
	// field is the first slice of the last unit, if that is a first field without its second.
	field *avcField
}

// avcField is what tells the two fields of a frame (ITU-T H.264, 7.4.1.2.4).
type avcField struct {
	bottom   bool
	frameNum uint32
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
	a := assembler{reader: r, pending: before, inForce: inForce, sps: map[uint32]avcSPSHeader{}, pps: map[uint32]avcPPSHeader{}}
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
	if a.reader.codec != codecAVC && a.reader.codec != codecHEVC {
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
	field := a.fieldOf(c.first)
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
	picture, sequence := byte(avcPPS), byte(avcSPS)
	if codec == codecHEVC {
		picture, sequence = hevcPPS, hevcSPS
	}
	entry := !slices.ContainsFunc(c.nals, a.inForce.changes) || a.entryNext(blocks, i, payloads, c)
	if entry && slices.ContainsFunc(c.nals, func(nal []byte) bool { return nalType(codec, nal) == sequence }) {
		return
	}
	kept := slices.DeleteFunc(slices.Clone(c.nals), func(nal []byte) bool {
		const more = 16
		if nalType(codec, nal) != picture {
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
		switch t := nalType(codec, nal); {
		case codec == codecHEVC:
			if isSlice(codec, nal) {
				return t >= hevcReserved && t <= hevcLastIRAP
			}
		case t == avcIDR, t == avcSEI && recoveryFrames(nal) != noRecovery:
			return true
		case isSlice(codec, nal):
			intra = intra && avcIntraSlice(nal)
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
	worst := believable
	for _, nal := range c.nals {
		worst = max(worst, beliefIn(codec, nal))
	}
	if c.foreign {
		worst = max(worst, opaque)
	}
	return c.torn || c.dropped || worst == unbelievable || worst == opaque && !beside || len(c.nals) == 0 && !c.foreign
}

// dropDamaged leaves out the units that would harm other pictures than their own.
func (c *content) dropDamaged(codec string) {
	kept := slices.DeleteFunc(c.nals, func(nal []byte) bool { return harms(codec, nal) })
	if len(kept) < len(c.nals) {
		c.nals, c.clean, c.dropped = kept, false, true
	}
}

// believed returns the NAL units that are what they look like.
func (a *assembler) believed(nals [][]byte) [][]byte {
	return slices.DeleteFunc(slices.Clone(nals), func(nal []byte) bool { return beliefIn(a.reader.codec, nal) != believable })
}

// append adds NAL units to the packet, which is a copy from then on.
func (u *accessUnit) append(lengthSize int, groups ...[][]byte) {
	packet := u.packet
	if !u.made {
		packet = bytes.Clone(packet)
	}
	for _, nals := range groups {
		for _, nal := range nals {
			packet = appendNAL(packet, lengthSize, nal)
		}
	}
	u.packet, u.made = packet, true
}

// goesOn reports whether the picture that starts with a NAL unit belongs to the frame before: a second field,
// or more slices.
func (a *assembler) goesOn(first []byte, field *avcField, b media.Block) bool {
	if len(a.units) == 0 {
		return false
	}
	if field != nil && a.field != nil && firstSlice(a.reader.codec, first) {
		return field.bottom != a.field.bottom && field.frameNum == a.field.frameNum && first[0]&0x1f != avcIDR
	}
	return !firstSlice(a.reader.codec, first) && b.Time == a.units[len(a.units)-1].at
}

// firstSlice reports whether a slice is the first of its picture.
func firstSlice(codec string, nal []byte) bool {
	if codec == codecHEVC {
		return len(nal) <= hevcHeaderLen || nal[hevcHeaderLen]&0x80 != 0 // first_slice_segment_in_pic_flag
	}
	return len(nal) < 2 || nal[1]&0x80 != 0 // first_mb_in_slice is 0
}

// readSet reads a parameter set of H.264.
func (a *assembler) readSet(nal []byte) {
	if a.reader.codec != codecAVC {
		return
	}
	switch nal[0] & 0x1f {
	case avcSPS:
		id, s, _ := readSPS(nal)
		a.sps[id] = s
		a.fields = a.fields || !s.framesOnly && s.frameNumBits > 0
	case avcPPS:
		id, p, _ := readPPS(nal)
		a.pps[id] = p
	}
}

// fieldOf returns what a slice says of its field, nil if it is not of a field (ITU-T H.264, 7.3.3).
func (a *assembler) fieldOf(nal []byte) *avcField {
	if !a.fields {
		return nil
	}
	b := bitsOf(nal[1:])
	b.ue() // first_mb_in_slice
	b.ue() // slice_type
	pps, ok := a.pps[b.ue()]
	s := a.sps[pps.sps]
	if !ok || s.framesOnly || s.frameNumBits == 0 {
		return nil
	}
	if s.separate {
		b.bits(2) // colour_plane_id
	}
	f := avcField{frameNum: b.bits(s.frameNumBits)}
	isField := b.bit() == 1
	f.bottom = b.bit() == 1
	if !isField || b.short {
		return nil
	}
	return &f
}

// read takes a block apart. Of H.265 the units of other layers than the base are left out, and sequences
// promise pictures in decode order.
func (r *nalReader) read(payload []byte) content {
	c := content{clean: true}
	if r.lengthSize == 0 {
		found := eachAnnexB(payload, c.take(r.codec))
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
			if len(rest) > hevcHeaderLen && isSlice(r.codec, rest) {
				c.tail = rest
			}
			return c
		case !isSlice(r.codec, rest[:n]) && bytes.Contains(rest[:n], startCode):
			// Muxers that look for start codes of four bytes alone leave units together.
			c.clean = false
			at := bytes.Index(rest[:n], startCode)
			if nal := bytes.TrimRight(rest[:at], "\x00"); len(nal) > 0 {
				take(nal)
			}
			eachAnnexB(rest[at:n], take)
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
		if codec == codecHEVC {
			if len(nal) <= hevcHeaderLen {
				c.clean = c.clean && len(nal) == hevcHeaderLen // an end of sequence has no more
			}
			if len(nal) < hevcHeaderLen || nal[0]&1 != 0 || nal[1]>>3 != 0 { // nuh_layer_id
				c.clean, c.foreign = false, true
				return
			}
			if nalType(codec, nal) == hevcSPS {
				nal = withoutReordering(nal)
				c.clean = false
			}
		}
		if c.first == nil && isSlice(codec, nal) {
			c.first = nal
		}
		c.nals = append(c.nals, nal)
	}
}

// isSlice reports whether a NAL unit holds a part of a picture (of the base layer, in H.265).
func isSlice(codec string, nal []byte) bool {
	t := nalType(codec, nal)
	if codec == codecHEVC {
		return t <= hevcLastVCL && nal[0]&1 == 0 && (len(nal) < hevcHeaderLen || nal[1]>>3 == 0)
	}
	return t >= avcSlice && t <= avcIDR
}
