package plan

import (
	"slices"

	"github.com/kvsframes/kvsframes/decode/h26x"
)

// hevcHistory implements history for H.265.
type hevcHistory struct {
	*references
	pictures hevcPictures
}

func (h *hevcHistory) add(k int, packet []byte) (refers []int, headerOnly []byte, ok bool) {
	headers, headerOnly, ok := h.hevcSlices(packet)
	if !ok || !h.pictures.add(k, headers) || h.pictures.missing && !h.pictures.mayMiss(&headers[0]) {
		return nil, nil, false
	}
	return h.pictures.refers, headerOnly, true
}

func (h *hevcHistory) kept() []int {
	var packets []int
	for _, r := range h.pictures.kept {
		packets = append(packets, r.packet)
	}
	return packets
}

// hevcSlices returns the headers of a packet's slice segments, and a packet that holds the first segment
// without its data, and all units that are no slices.
func (r *references) hevcSlices(packet []byte) (headers []h26x.HEVCSliceHeader, headerOnly []byte, ok bool) {
	ok = true
	whole := h26x.EachNAL(packet, r.reader.lengthSize, func(nal []byte) {
		t := h26x.NALType(h26x.HEVC, nal)
		switch {
		case !ok:
			return
		case t > h26x.HEVCTypeLastVCL:
			ok = t != h26x.HEVCTypeEOS && t != h26x.HEVCTypeEOB
			headerOnly = h26x.AppendNAL(headerOnly, r.reader.lengthSize, nal)
			return
		}
		h, b, read := r.headers.HEVCSlice(nal)
		if ok = read && h.First == (len(headers) == 0); !ok {
			return
		}
		if h.First {
			headerOnly = h26x.AppendNAL(headerOnly, r.reader.lengthSize, h.WithoutData(nal, &b))
		}
		headers = append(headers, h)
	})
	return headers, headerOnly, ok && whole && len(headers) > 0
}

// hevcKept is a picture that is still a reference. packet is -1 if it is missing.
type hevcKept struct {
	packet int
	order  int32 // PicOrderCntVal
	// lost reports whether it is missing, or refers to such a picture.
	lost bool
}

// hevcPictures tracks the reference pictures while pictures are decoded in order (ITU-T H.265, 8.3.2).
type hevcPictures struct {
	// open reports whether pictures may refer to ones before the first, begun whether the first was added.
	open, begun bool
	// start is a slice header of the first picture.
	start h26x.HEVCSliceHeader
	kept  []hevcKept
	// counted is the PicOrderCntVal of the last picture that later counts are relative to.
	counted int32
	// entry is the PicOrderCntVal of the last IRAP picture, recent are those of the last pictures since then.
	entry  int32
	recent []int32
	// refers are the packets that the last picture refers to, missing reports whether it or one of them refers to a missing
	// picture, or it is there twice.
	refers  []int
	missing bool
}

// mostRecent is more than any decoder keeps: twice the most pictures of a decoded picture buffer (A.4.2).
const mostRecent = 32

// mayMiss reports whether a picture may refer to pictures before the first one.
func (d *hevcPictures) mayMiss(h *h26x.HEVCSliceHeader) bool {
	return d.open && !d.start.IRAP() || d.start.IRAP() && !d.start.IDR() && h.Skipped()
}

// add adds the next picture. It returns false if the picture's references are not known.
func (d *hevcPictures) add(packet int, headers []h26x.HEVCSliceHeader) bool {
	h := &headers[0]
	first := !d.begun
	if first {
		if !h.IRAP() && !h.Counts() {
			return false // its order count cannot be known
		}
		d.begun, d.start = true, *h
	}
	order := d.order(h, first)
	twice := d.seen(h, order)
	usable, kept := d.resolve(h, order)
	if slices.ContainsFunc(kept, func(r hevcKept) bool { return r.order == order }) {
		return false
	}
	d.refers, d.missing = nil, twice
	for i := range headers {
		s := &headers[i]
		if s.Unit != h.Unit || s.SPS != h.SPS || s.Dependent && i == 0 {
			return false
		}
		if s.Dependent {
			continue
		}
		if s.OrderLSB != h.OrderLSB || s.Usable() != len(usable) {
			return false
		}
		d.refer(s, usable)
	}
	d.kept = append(kept, hevcKept{packet, order, d.missing})
	return true
}

// seen adds a picture to the recent ones, and reports whether it was among them. A decoder that still has it refuses the second one, and
// whether it has depends on the pictures between them that were not decoded.
func (d *hevcPictures) seen(h *h26x.HEVCSliceHeader, order int32) (twice bool) {
	if h.IRAP() {
		d.entry, d.recent = order, nil
	}
	twice = slices.Contains(d.recent, order)
	d.recent = append(d.recent[max(0, len(d.recent)+1-mostRecent):], order)
	return twice
}

// astray reports whether the next picture cannot be what it says, by the slice header: one that decoders skip because it leads the last IRAP picture, and
// is shown after it.
func (d *hevcPictures) astray(h *h26x.HEVCSliceHeader) bool {
	return d.begun && h.Skipped() && d.order(h, false) > d.entry
}

// order returns the picture order count (8.3.1).
func (d *hevcPictures) order(h *h26x.HEVCSliceHeader, first bool) int32 {
	order := h.OrderLSB
	if !first && !h.IDR() {
		low := d.counted & (1<<h.SPS.OrderBits - 1)
		order += orderMSB(d.counted-low, low, h.OrderLSB, h.SPS.OrderBits)
	}
	if h.Counts() {
		d.counted = order
	}
	return order
}

// resolve returns the pictures that a slice may refer to, in the order in which lists name them, and the pictures
// that remain references after it (8.3.2).
func (d *hevcPictures) resolve(h *h26x.HEVCSliceHeader, order int32) (usable, kept []hevcKept) {
	take := func(used bool, is func(hevcKept) bool) {
		r := hevcKept{packet: -1, lost: true}
		if i := slices.IndexFunc(d.kept, is); i >= 0 {
			r = d.kept[i]
			kept = append(kept, r)
		}
		if used {
			usable = append(usable, r)
		}
	}
	for _, refs := range [][]h26x.HEVCRef{h.Set.Before, h.Set.After} {
		for _, r := range refs {
			take(r.Used, func(k hevcKept) bool { return k.order == order+r.Delta })
		}
	}
	low := int32(1)<<h.SPS.OrderBits - 1
	for _, r := range h.LongTerm {
		take(r.Used, func(k hevcKept) bool {
			if r.Whole {
				return k.order == order+r.Order
			}
			return k.order&low == r.Order
		})
	}
	return usable, kept
}

// refer adds the entries of a slice's reference lists to refers (8.3.4).
func (d *hevcPictures) refer(h *h26x.HEVCSliceHeader, usable []hevcKept) {
	used := func(refs []h26x.HEVCRef) (n int) {
		for _, r := range refs {
			if r.Used {
				n++
			}
		}
		return n
	}
	before, after := used(h.Set.Before), used(h.Set.After)
	for l, list := range h.Lists {
		candidates := usable
		if l == 1 { // the pictures shown after it come first
			candidates = slices.Concat(usable[before:before+after], usable[:before], usable[before+after:])
		}
		for _, entry := range list {
			r := candidates[entry]
			d.missing = d.missing || r.lost
			if r.packet >= 0 && !slices.Contains(d.refers, r.packet) {
				d.refers = append(d.refers, r.packet)
			}
		}
	}
}
