package plan

import (
	"cmp"
	"slices"

	"github.com/kvsframes/kvsframes/decode/h26x"
	"github.com/kvsframes/kvsframes/media"
)

// references reads from slice headers which pictures each picture of a fragment may refer to: often
// fewer than nal_ref_idc, or a reference picture set, would allow. It does not support fields, long-term
// references of H.264, gaps in frame_num, layers, and packets with more than one picture: for those it
// reports that the references are not known.
type references struct {
	track   media.Track
	reader  *nalReader
	packets [][]byte
	// headers reads slice headers; nil until it is first needed.
	headers *h26x.HeaderReader
}

// history tracks what pictures may refer to while they are decoded in order.
type history interface {
	// add adds the packet of the next picture. It returns the earlier packets that the picture refers
	// to, and a packet of its slice headers alone, to feed in its place if no wanted picture refers to
	// it. ok is false if the references are not known.
	add(k int, packet []byte) (refers []int, headerOnly []byte, ok bool)
	// kept returns the packets that a later picture may refer to.
	kept() []int
}

// history returns a new history for a group of pictures that begins with e, or nil if the slice headers cannot be read.
func (r *references) history(e Entry) history {
	if !r.readSets() {
		return nil
	}
	if r.reader.codec == h26x.HEVC {
		return &hevcHistory{references: r, pictures: hevcPictures{open: e != EntryClosed}}
	}
	return &avcHistory{references: r, pictures: decodedPictures{open: e != EntryClosed}}
}

// readSets sets headers, and reports whether slice headers can be read.
func (r *references) readSets() bool {
	if r.reader.codec == "" || r.reader.sets.replaced() {
		return false
	}
	if r.headers == nil {
		r.headers = h26x.NewHeaderReader(r.reader.codec, slices.Concat(r.reader.sets.begin, r.reader.sets.inBand)...)
	}
	return true
}

// dropData replaces packets of a group by their headers, which keep the decoder's references in order, if no
// wanted picture needs the data and, where g.whole is set, no picture after the group.
func (r *references) dropData(frames []Frame, g group) {
	h := r.history(g.entry)
	if h == nil {
		return
	}
	refers := make([][]int, g.last+1)
	headerOnly := make([][]byte, g.last+1)
	for k := g.start; k <= g.last; k++ {
		var ok bool
		if refers[k], headerOnly[k], ok = h.add(k, r.packets[k]); !ok {
			return
		}
	}
	needed := make([]bool, g.last+1)
	if g.whole {
		for _, k := range h.kept() {
			needed[k] = true
		}
	}
	for k := g.last; k >= g.start; k-- {
		if !needed[k] && len(frames[k].Outputs) == 0 {
			frames[k].HeaderOnly = headerOnly[k]
			continue
		}
		for _, to := range refers[k] {
			needed[to] = true
		}
	}
}

// refPicture is a picture that is marked "used for short-term reference" (ITU-T H.264, 8.2.5).
type refPicture struct {
	packet   int
	frameNum int32
	order    int32 // PicOrderCnt
}

// avcHistory implements history for H.264.
type avcHistory struct {
	*references
	pictures decodedPictures
}

func (h *avcHistory) add(k int, packet []byte) (refers []int, headerOnly []byte, ok bool) {
	headers, headerOnly, ok := h.readSlices(packet)
	if !ok || !h.pictures.add(k, headers) {
		return nil, nil, false
	}
	return h.pictures.refers, headerOnly, true
}

func (h *avcHistory) kept() []int {
	var packets []int
	for _, r := range h.pictures.marked {
		packets = append(packets, r.packet)
	}
	return packets
}

// readSlices returns the headers of a packet's slices, and the packet without the slices' data.
func (r *references) readSlices(packet []byte) (headers []h26x.AVCSliceHeader, headerOnly []byte, ok bool) {
	ok = true
	whole := h26x.EachNAL(packet, r.reader.lengthSize, func(nal []byte) {
		if !ok {
			return
		}
		if t := nal[0] & 0x1f; t != h26x.AVCTypeSlice && t != h26x.AVCTypeIDR {
			headerOnly = h26x.AppendNAL(headerOnly, r.reader.lengthSize, nal)
			return
		}
		var h h26x.AVCSliceHeader
		var head []byte
		h, head, ok = r.headers.AVCSlice(nal)
		headers = append(headers, h)
		headerOnly = h26x.AppendNAL(headerOnly, r.reader.lengthSize, head)
	})
	return headers, headerOnly, ok && whole && len(headers) > 0
}

// decodedPictures tracks the reference pictures while a group of H.264 is decoded.
type decodedPictures struct {
	// open reports whether the group does not begin with an IDR picture. Pictures before the group may then be marked as
	// well; they are not in marked. begun reports whether the first picture was added.
	open, begun bool
	firstOrder  int32 // of the group's first picture
	marked      []refPicture
	// The last values of the picture order count and the frame number (8.2.1).
	orderMSB, orderLSB int32
	numOffset, lastNum int32
	lastReferred       int32 // frame_num of the last reference
	// refers are the packets that the last picture refers to.
	refers []int
}

// add adds the next picture. It returns false if the picture's references are not known.
func (d *decodedPictures) add(packet int, headers []h26x.AVCSliceHeader) bool {
	h := &headers[0]
	if h.IDR == (d.begun || d.open) || !h.First {
		return false
	}
	first := !d.begun
	if first && d.open {
		d.orderLSB, d.lastNum = h.OrderLSB, h.FrameNum
	}
	if !first && h.FrameNum != (d.lastReferred+1)%h.MaxNum() {
		return false // a gap
	}
	order := d.order(h)
	if first {
		d.begun, d.firstOrder = true, order
	}
	d.refers = nil
	for i := range headers {
		s := &headers[i]
		if s.First != (i == 0) || s.FrameNum != h.FrameNum || s.Referred != h.Referred || s.IDR != h.IDR || s.SPS != h.SPS || s.LongTerm {
			return false
		}
		if !d.refer(s, order) {
			return false
		}
	}
	if !h.Referred {
		return true
	}
	d.lastReferred = h.FrameNum
	return d.mark(h, refPicture{packet, h.FrameNum, order})
}

// order returns the picture order count (8.2.1.1 and 8.2.1.3).
func (d *decodedPictures) order(h *h26x.AVCSliceHeader) int32 {
	if h.SPS.OrderType == 2 {
		if h.IDR {
			d.numOffset = 0
		} else if d.lastNum > h.FrameNum {
			d.numOffset += h.MaxNum()
		}
		d.lastNum = h.FrameNum
		order := 2 * (d.numOffset + h.FrameNum)
		if !h.Referred {
			order--
		}
		return order
	}
	if h.IDR {
		d.orderMSB, d.orderLSB = 0, 0
	}
	msb := orderMSB(d.orderMSB, d.orderLSB, h.OrderLSB, h.SPS.OrderBits)
	if h.Referred {
		d.orderMSB, d.orderLSB = msb, h.OrderLSB
	}
	return msb + h.OrderLSB + min(0, h.OrderDelta)
}

// orderMSB returns the upper part of a picture order count, whose lower part of some bits is lsb, from the parts of an
// earlier one that is near (ITU-T H.264, 8.2.1.1; ITU-T H.265, 8.3.1).
func orderMSB(nearMSB, nearLSB, lsb int32, bits int) int32 {
	size := int32(1) << bits
	switch {
	case lsb < nearLSB && nearLSB-lsb >= size/2:
		return nearMSB + size
	case lsb > nearLSB && lsb-nearLSB > size/2:
		return nearMSB - size
	}
	return nearMSB
}

// refer adds the entries of a slice's reference lists to refers.
func (d *decodedPictures) refer(h *h26x.AVCSliceHeader, order int32) bool {
	if d.open && order < d.firstOrder { // its lists contain pictures before the group, at unknown places
		for _, r := range d.marked {
			d.referTo(r)
		}
		return true
	}
	for l, list := range d.initial(h, order) {
		if len(list) == 0 {
			return false
		}
		list = list[:min(len(list), int(h.Active[l]))]
		list, ok := d.modified(list, h, l)
		if !ok {
			return false
		}
		for _, r := range list {
			d.referTo(r)
		}
	}
	return true
}

func (d *decodedPictures) referTo(r refPicture) {
	if !slices.Contains(d.refers, r.packet) {
		d.refers = append(d.refers, r.packet)
	}
}

// initial returns the reference lists before they are modified (8.2.4.2.1 and 8.2.4.2.3).
func (d *decodedPictures) initial(h *h26x.AVCSliceHeader, order int32) [][]refPicture {
	list := slices.Clone(d.marked)
	switch h.Kind {
	case h26x.AVCSliceP:
		slices.SortFunc(list, func(a, b refPicture) int { return cmp.Compare(h.Number(b.frameNum), h.Number(a.frameNum)) })
		return [][]refPicture{list}
	case h26x.AVCSliceB:
		slices.SortFunc(list, func(a, b refPicture) int { return cmp.Compare(a.order, b.order) })
		at, _ := slices.BinarySearchFunc(list, order, func(r refPicture, o int32) int { return cmp.Compare(r.order, o) })
		past, future := list[:at], list[at:]
		back := slices.Clone(past)
		slices.Reverse(back)
		zero, one := slices.Concat(back, future), slices.Concat(future, back)
		if len(one) > 1 && slices.Equal(zero, one) {
			one[0], one[1] = one[1], one[0]
		}
		return [][]refPicture{zero, one}
	}
	return nil
}

// modified applies the modifications of a list (8.2.4.3.1).
func (d *decodedPictures) modified(list []refPicture, h *h26x.AVCSliceHeader, l int) ([]refPicture, bool) {
	maxNum := h.MaxNum()
	predicted := h.FrameNum
	for at, difference := range h.Changes[l] {
		predicted += difference
		switch {
		case predicted < 0:
			predicted += maxNum
		case predicted >= maxNum:
			predicted -= maxNum
		}
		wanted := predicted
		if wanted > h.FrameNum {
			wanted -= maxNum
		}
		found := slices.IndexFunc(d.marked, func(r refPicture) bool { return h.Number(r.frameNum) == wanted })
		if found < 0 || at > len(list) {
			return nil, false
		}
		// The picture is removed from its old place, further on.
		rest := slices.DeleteFunc(slices.Clone(list[at:]), func(r refPicture) bool { return h.Number(r.frameNum) == wanted })
		list = append(append(slices.Clone(list[:at]), d.marked[found]), rest...)
		list = list[:min(len(list), int(h.Active[l]))]
	}
	return list, true
}

// mark marks the picture as a reference, and unmarks others (8.2.5). It returns false if the marks are not known.
func (d *decodedPictures) mark(h *h26x.AVCSliceHeader, r refPicture) bool {
	most := max(int(h.SPS.References), 1)
	switch {
	case h.IDR:
		d.marked = nil
	case h.Adaptive:
		for _, difference := range h.Unmarked {
			wanted := h.FrameNum - difference
			at := slices.IndexFunc(d.marked, func(r refPicture) bool { return h.Number(r.frameNum) == wanted })
			switch {
			case at >= 0:
				d.marked = slices.Delete(d.marked, at, at+1)
			case !d.open:
				return false
			}
		}
	case len(d.marked) >= most:
		oldest := slices.MinFunc(d.marked, func(a, b refPicture) int { return cmp.Compare(h.Number(a.frameNum), h.Number(b.frameNum)) })
		at := slices.Index(d.marked, oldest)
		d.marked = slices.Delete(d.marked, at, at+1)
	}
	d.marked = append(d.marked, r)
	return len(d.marked) <= most
}
