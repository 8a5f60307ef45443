package plan

import (
	"encoding/binary"
	"errors"
)

// portable writes a plan as bytes, or reads them, so that a decoder in another process can work on it: what decoding needs, and
// neither names nor times. Its methods list the fields once, for both directions.
type portable struct {
	bytes   []byte
	reading bool
	// bad reports whether the bytes that were read are no plan.
	bad bool
}

var errNoPlan = errors.New("the bytes are no plan")

// Append appends a plan that is complete to dst, with the fragment's media. continues reports whether the decoder of the
// fragment before goes on, so that no lead-up is needed.
func (pl *Plan) Append(dst, mkv []byte, continues bool) []byte {
	p := portable{bytes: dst}
	p.plan(pl, &mkv)
	p.chain(pl, continues)
	return p.bytes
}

// Read reads a plan and its media, which alias b, and returns the bytes after them.
func Read(b []byte) (pl *Plan, mkv, rest []byte, err error) {
	p := portable{bytes: b, reading: true}
	pl = &Plan{}
	p.plan(pl, &mkv)
	p.chain(pl, false)
	if p.bad {
		return nil, nil, nil, errNoPlan
	}
	return pl, mkv, p.bytes, nil
}

func (p *portable) plan(pl *Plan, mkv *[]byte) {
	p.data(mkv)
	p.text(&pl.Track.CodecID)
	p.numbers(&pl.Track.Width, &pl.Track.Height, &pl.LengthSize)
	p.text(&pl.Form.CodecData)
	p.text(&pl.Form.InBand)
	p.flags(&pl.Form.ByStream, &pl.Form.Replaced, &pl.Form.Blocks.Fields, &pl.Ahead)
	p.numbers(&pl.Form.Blocks.Side, &pl.Refresh.From, &pl.Refresh.Done)
	pl.Frames = list(p, pl.Frames)
	if p.reading {
		pl.Pictures = make([]Picture, len(pl.Frames))
	}
	for k := range pl.Frames {
		p.frame(pl, k, *mkv)
	}
	pl.InOrder = list(p, pl.InOrder)
	for i := range pl.InOrder {
		p.numbers(&pl.InOrder[i])
		p.check(pl.InOrder[i] >= 0 && pl.InOrder[i] < len(pl.Frames))
	}
}

func (p *portable) frame(pl *Plan, k int, mkv []byte) {
	f := &pl.Frames[k]
	p.flags(&f.Cut, &f.Feed, &f.Fast, &f.Leads, &f.Disposable, &f.Broken)
	p.numbers(&f.Group)
	p.data(&f.HeaderOnly)
	p.packet(pl, f, mkv, f.Feed && f.HeaderOnly == nil)
	f.Outputs = list(p, f.Outputs)
	for i := range f.Outputs {
		p.numbers(&f.Outputs[i].Output)
		p.flags(&f.Outputs[i].Begins)
	}
	picture := pl.Pictures[k]
	entry := int(picture.Entry)
	p.numbers(&entry)
	p.flags(&picture.Intra)
	if p.reading {
		picture.Entry = Entry(entry)
		pl.Pictures[k] = picture
	}
}

// packet carries the packet of a frame if the decoder needs it: its place in the media, or its own bytes.
func (p *portable) packet(pl *Plan, f *Frame, mkv []byte, needed bool) {
	if !needed {
		return
	}
	p.data(&f.packet)
	if f.packet != nil {
		return
	}
	offset, size := 0, 0
	if !p.reading {
		b := pl.blocks[f.last]
		offset, size = b.Offset, b.Size
	}
	p.numbers(&offset, &size)
	if p.check(offset >= 0 && size >= 0 && offset <= len(mkv) && size <= len(mkv)-offset); p.reading && !p.bad {
		f.packet = mkv[offset : offset+size]
	}
}

// chain carries the lead-up of a new decoder, and whether a later fragment needs the decoder.
func (p *portable) chain(pl *Plan, continues bool) {
	chained, whole, next := pl.Chain != nil, true, pl.Next() != nil
	var leads []Lead
	if chained && !continues {
		leads, whole = pl.Chain.LeadUp()
	}
	p.flags(&chained, &whole, &next)
	leads = list(p, leads)
	for i := range leads {
		p.lead(&leads[i])
	}
	if !p.reading || !chained {
		return
	}
	pl.Chain = &Chain{Lead: leads, broken: !whole}
	if next {
		pl.Chain.Next = newLink()
	}
}

func (p *portable) lead(l *Lead) {
	whole := &Plan{}
	if !p.reading {
		whole = l.Whole()
	}
	p.plan(whole, &l.Media)
	p.numbers(&l.From)
	p.check(l.From >= 0 && l.From < len(whole.Frames))
	if p.reading {
		l.plan = whole
	}
}

// check notes whether what was read can be.
func (p *portable) check(ok bool) {
	if p.reading && !ok {
		p.bad = true
		p.bytes = nil
	}
}

func (p *portable) numbers(vs ...*int) {
	for _, v := range vs {
		if !p.reading {
			p.bytes = binary.AppendVarint(p.bytes, int64(*v))
			continue
		}
		n, size := binary.Varint(p.bytes)
		if p.check(size > 0); p.bad {
			*v = 0
			continue
		}
		*v, p.bytes = int(n), p.bytes[size:]
	}
}

func (p *portable) flags(vs ...*bool) {
	bits := 0
	for i, v := range vs {
		if *v {
			bits |= 1 << i
		}
	}
	p.numbers(&bits)
	for i, v := range vs {
		if p.reading {
			*v = bits>>i&1 != 0
		}
	}
}

// data carries bytes, and whether they are nil.
func (p *portable) data(v *[]byte) {
	n := len(*v)
	if *v == nil {
		n = -1
	}
	p.numbers(&n)
	if !p.reading {
		p.bytes = append(p.bytes, *v...)
		return
	}
	if p.check(n <= len(p.bytes)); n < 0 || p.bad {
		*v = nil
		return
	}
	*v, p.bytes = p.bytes[:n:n], p.bytes[n:]
}

func (p *portable) text(v *string) {
	b := []byte(*v)
	p.data(&b)
	if p.reading {
		*v = string(b)
	}
}

// list carries the length of a slice, and returns the slice to carry the elements of. Each element takes a byte at least.
func list[E any](p *portable, s []E) []E {
	n := len(s)
	p.numbers(&n)
	if !p.reading {
		return s
	}
	if p.check(n >= 0 && n <= len(p.bytes)); p.bad {
		return nil
	}
	return make([]E, n)
}
