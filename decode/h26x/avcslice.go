package h26x

import "slices"

// AVCSliceHeader holds the parts of a slice header of H.264 that determine its references (ITU-T H.264, 7.3.3).
type AVCSliceHeader struct {
	// SPS is the sequence parameter set in force.
	SPS AVCSPS
	// IDR reports whether the picture is an IDR picture, Referred whether other pictures refer to it, First whether the slice is the first of
	// its picture.
	IDR, Referred, First bool
	// Kind is AVCSliceP, AVCSliceB or AVCSliceI: slice_type modulo 5.
	Kind uint32
	// FrameNum is frame_num.
	FrameNum int32
	// OrderLSB is pic_order_cnt_lsb, OrderDelta delta_pic_order_cnt_bottom.
	OrderLSB, OrderDelta int32
	// Active holds the sizes of both reference lists, 0 if there is no list.
	Active [2]uint32
	// Changes are the modifications of both lists, as differences of picture numbers.
	Changes [2][]int32
	// Adaptive reports whether the header itself names the pictures that are no longer references: Unmarked, as differences of
	// picture numbers. Otherwise the oldest one is dropped (sliding window).
	Adaptive bool
	Unmarked []int32
	// LongTerm reports whether the header handles long-term references, which are not returned; Reset whether it drops all references.
	LongTerm, Reset bool
}

// Kinds of slices (ITU-T H.264, table 7-6).
const (
	AVCSliceP  = 0
	AVCSliceB  = 1
	AVCSliceI  = 2
	avcSliceSI = 4
)

// maxActive is the largest number of entries in a reference list (ITU-T H.264, 7.4.3).
const maxActive = 32

// MaxNum returns MaxFrameNum, at which frame_num wraps to 0 (7.4.2.1.1).
func (h *AVCSliceHeader) MaxNum() int32 { return 1 << h.SPS.frameNumBits }

// Number returns the PicNum of a reference with the given frame_num, seen from this slice (8.2.4.1).
func (h *AVCSliceHeader) Number(frameNum int32) int32 {
	if frameNum > h.FrameNum {
		return frameNum - h.MaxNum()
	}
	return frameNum
}

// AVCSlice reads the header of a slice of H.264. head is the slice without its data: the header is followed by bits at which a
// decoder stops at once.
func (r *HeaderReader) AVCSlice(nal []byte) (h AVCSliceHeader, head []byte, ok bool) {
	const usual, longest = 64, 2048 // the latter with both weight tables
	if h, head, ok = r.sliceWithin(nal, usual); !ok && len(nal) > usual {
		h, head, ok = r.sliceWithin(nal, longest)
	}
	return h, head, ok
}

func (r *HeaderReader) sliceWithin(nal []byte, most int) (h AVCSliceHeader, head []byte, ok bool) {
	b := BitReader{data: Unescape(nal[1:], most)}
	h.IDR, h.Referred = nal[0]&0x1f == AVCTypeIDR, nal[0]&0x60 != 0
	h.First = b.UE() == 0
	h.Kind = b.UE() % 5
	pps, ok := r.pps[b.UE()]
	if !ok || h.Kind > AVCSliceI {
		return h, nil, false
	}
	if h.SPS, ok = r.sps[pps.sps]; !ok {
		return h, nil, false
	}
	h.FrameNum = int32(b.Bits(h.SPS.frameNumBits))
	if h.IDR {
		b.UE() // idr_pic_id
	}
	if h.SPS.OrderType == 0 {
		h.OrderLSB = int32(b.Bits(h.SPS.OrderBits))
		if pps.orderDelta {
			h.OrderDelta = b.SE()
		}
	}
	if h.lists(&b, pps) && h.weights(&b, pps) && h.marking(&b) {
		if pps.cabac && h.Kind != AVCSliceI {
			b.UE() // cabac_init_idc
		}
		b.SE() // slice_qp_delta
		if pps.deblocking && b.UE() != 1 {
			b.SE()
			b.SE()
		}
		return h, append([]byte{nal[0]}, Escape(b.withoutData())...), !b.short
	}
	return h, nil, false
}

// lists reads the sizes of the reference lists and their modifications (7.3.3.1).
func (h *AVCSliceHeader) lists(b *BitReader, pps avcPPS) bool {
	if h.Kind == AVCSliceI {
		return true
	}
	lists := 1
	if h.Kind == AVCSliceB {
		lists = 2
		b.Bit() // direct_spatial_mv_pred_flag
	}
	override := b.Bit() == 1
	for l := range lists {
		h.Active[l] = pps.active[l]
		if override {
			h.Active[l] = b.UE() + 1
		}
		if h.Active[l] > maxActive || h.Active[l] == 0 {
			return false
		}
	}
	for l := range lists {
		if b.Bit() == 0 {
			continue
		}
		for {
			idc := b.UE()
			if idc == 3 {
				break
			}
			if idc > 2 || b.short || len(h.Changes[l]) > maxActive {
				return false
			}
			if idc == 2 {
				h.LongTerm = true
				b.UE()
				continue
			}
			difference := int32(b.UE()) + 1
			if idc == 0 {
				difference = -difference
			}
			h.Changes[l] = append(h.Changes[l], difference)
		}
	}
	return !b.short
}

// weights skips the table of weights (7.3.3.2).
func (h *AVCSliceHeader) weights(b *BitReader, pps avcPPS) bool {
	if !(h.Kind == AVCSliceP && pps.weighted || h.Kind == AVCSliceB && pps.weightedB) {
		return true
	}
	b.UE()
	if h.SPS.chroma {
		b.UE()
	}
	for _, n := range h.Active {
		for range n {
			if b.Bit() == 1 {
				b.SE()
				b.SE()
			}
			if h.SPS.chroma && b.Bit() == 1 {
				for range 4 {
					b.SE()
				}
			}
		}
	}
	return !b.short
}

// marking reads how references are marked (7.3.3.3).
func (h *AVCSliceHeader) marking(b *BitReader) bool {
	if !h.Referred {
		return true
	}
	if h.IDR {
		b.Bit() // no_output_of_prior_pics_flag
		h.LongTerm = b.Bit() == 1
		return true
	}
	if h.Adaptive = b.Bit() == 1; !h.Adaptive {
		return true
	}
	for {
		operation := b.UE()
		switch {
		case operation == 0:
			return !b.short
		case operation > 6 || b.short || len(h.Unmarked) > maxActive:
			return false
		case operation == 1:
			h.Unmarked = append(h.Unmarked, int32(b.UE())+1)
			continue
		case operation == 3:
			b.UE()
		}
		if h.LongTerm, h.Reset = true, h.Reset || operation == 5; operation != 5 {
			b.UE()
		}
	}
}

// withoutData returns the part of a slice that was read, followed by ones, with which no arithmetic code begins (9.3.1.2).
func (b *BitReader) withoutData() []byte {
	out := slices.Clone(b.data[:min(len(b.data), (b.at+7)/8)])
	if left := b.at % 8; left != 0 && len(out) > 0 {
		out[len(out)-1] |= 0xff >> left
	}
	return append(out, 0xff, 0xff, 0xff)
}
