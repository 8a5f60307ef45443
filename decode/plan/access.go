package plan

import (
	"bytes"
	"slices"
	"time"

	"github.com/kvsframes/kvsframes/decode/h26x"
	"github.com/kvsframes/kvsframes/media"
)

// accessUnit is one frame as the decoder gets it: usually one block, together with blocks before and
// after it that belong to the same frame (parameter sets, SEI, a second field, further slices).
type accessUnit struct {
	// last is the frame's last block, an index into the track's blocks.
	last int
	// at is the frame's time: that of its first block with a picture.
	at  time.Duration
	key bool
	// packet is what the decoder gets: the block itself or, if made is set, a copy.
	packet []byte
	made   bool
	// tail is a NAL unit at the block's end that should be longer than the block: a slice that was
	// cut, or damage that looks like one. It is left out of the packet unless it is the only slice.
	tail []byte
	// cut reports whether the picture's only slice is cut.
	cut bool
}

// assembler makes access units of the blocks of one track.
type assembler struct {
	reader *nalReader
	// inForce collects the parameter sets of packets.
	inForce *setsInForce
	// fields recognises the fields of H.264 frames; nil for other codecs.
	fields *h26x.FieldReader

	units []accessUnit
	// pending are the NAL units of blocks without a picture, which belong to the next one.
	pending [][]byte
	// field describes the last unit if that is a first field without its second.
	field *h26x.Field
}

// assemble returns the access units of the blocks, and the NAL units after the last picture, which
// belong to the first picture of the next fragment. before are those of the previous fragment.
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
	if cut { // the picture has no other slice
		c.first, c.tail = c.tail, nil
		c.nals = append(c.nals, c.first)
	}
	if c.first == nil && c.isLost(a.reader.codec, beside(blocks, i)) {
		a.field = nil
		u := accessUnit{last: i, at: b.Time, key: b.Key, made: true}
		// Damaged units must not reach the decoder.
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
	if a.continuesLast(c.first, field, b) {
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

// dropChanged leaves out parameter sets that are unlikely to replace others: a slice with a damaged header may look like a
// parameter set. A new sequence begins only at an entry (ITU-T H.264, 7.4.1.2.1; ITU-T H.265, 7.4.2.4.2). Elsewhere, picture
// parameter sets change only in a block with a picture, and to sets of about the same size.
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

// entryNext reports whether decoding may begin with the next picture, which is that of block i if it has one. If no block from
// i on has a picture, the next one is not known, and the result is true.
func (a *assembler) entryNext(blocks []media.Block, i int, payloads [][]byte, c *content) bool {
	for ; c.first == nil && i+1 < len(blocks); i++ {
		next := a.reader.read(payloads[i+1])
		c = &next
	}
	return c.first == nil || blocks[i].Key || c.entry(a.reader.codec)
}

// beside reports whether a block has the same time as a neighbour: then both belong to one frame.
func beside(blocks []media.Block, i int) bool {
	return i > 0 && blocks[i-1].Time == blocks[i].Time || i+1 < len(blocks) && blocks[i+1].Time == blocks[i].Time
}

// believed returns the NAL units whose content fits their type (see h26x.BeliefIn).
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

// readSet records a parameter set that later slices may refer to.
func (a *assembler) readSet(nal []byte) {
	if a.fields != nil {
		a.fields.ReadSet(nal)
	}
}

// continuesLast reports whether the slice first belongs to the last access unit: as its second field, or as a
// further slice.
func (a *assembler) continuesLast(first []byte, field *h26x.Field, b media.Block) bool {
	if len(a.units) == 0 {
		return false
	}
	if field != nil && a.field != nil && h26x.FirstSlice(a.reader.codec, first) {
		return field.Bottom != a.field.Bottom && field.FrameNum == a.field.FrameNum && first[0]&0x1f != h26x.AVCTypeIDR
	}
	return !h26x.FirstSlice(a.reader.codec, first) && b.Time == a.units[len(a.units)-1].at
}
