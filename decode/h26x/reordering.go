package h26x

// Reordering returns how many pictures may precede one in the stream that they follow on the screen, as the sequence parameter sets among
// NAL units declare: the most of them all. known is false if there is none that can be read.
//
// For H.264 it is max_num_reorder_frames (ITU-T H.264, E.2.1), or without it 0 where the order of output is that of decoding
// (pic_order_cnt_type 2, and the baseline profile, which has no B slices), or the most pictures that the level allows. For H.265 it is
// sps_max_num_reorder_pics of the highest sub-layer (ITU-T H.265, 7.4.3.2.1); sets must be as the producer sent them (see WithoutReordering).
func Reordering(codecID string, nals [][]byte) (depth int, known bool) {
	for _, nal := range nals {
		var n int
		var ok bool
		switch kind := NALType(codecID, nal); {
		case codecID == AVC && kind == AVCTypeSPS:
			n, ok = avcReordering(nal)
		case codecID == HEVC && kind == HEVCTypeSPS:
			n, ok = hevcReordering(nal)
		default:
			continue
		}
		if !ok || n > maxPictures {
			return 0, false
		}
		depth, known = max(depth, n), true
	}
	return depth, known
}

const avcBaseline = 66

func avcReordering(nal []byte) (n int, ok bool) {
	_, s, ok := ParseAVCSPS(nal)
	switch {
	case !ok || !s.size.sane():
		return 0, false
	case s.reorder.declared:
		return s.reorder.frames, true
	case s.OrderType == 2 || nal[1] == avcBaseline:
		return 0, true
	}
	return int(avcPictures(s)), true
}

// reorder is what the video usability information of H.264 says about the order of output.
type reorder struct {
	declared bool
	frames   int
}

// reorder reads a sequence parameter set from frame_mbs_only_flag on (ITU-T H.264, 7.3.2.1.1 and E.1.1).
func (b *BitReader) reorder(framesOnly bool) (r reorder) {
	if !framesOnly {
		b.Bit() // mb_adaptive_frame_field_flag
	}
	b.Bit()           // direct_8x8_inference_flag
	if b.Bit() == 1 { // frame_cropping_flag
		for range 4 {
			b.UE()
		}
	}
	if b.Bit() == 0 { // vui_parameters_present_flag
		return r
	}
	const extendedSAR = 255
	if b.Bit() == 1 && b.Bits(8) == extendedSAR { // aspect_ratio_info_present_flag
		b.Skip(32)
	}
	if b.Bit() == 1 { // overscan_info_present_flag
		b.Bit()
	}
	if b.Bit() == 1 { // video_signal_type_present_flag
		b.Bits(4)
		if b.Bit() == 1 { // colour_description_present_flag
			b.Skip(24)
		}
	}
	if b.Bit() == 1 { // chroma_loc_info_present_flag
		b.UE()
		b.UE()
	}
	if b.Bit() == 1 { // timing_info_present_flag
		b.Skip(65)
	}
	nal := b.Bit() == 1
	if nal {
		b.hypotheticalDecoder()
	}
	vcl := b.Bit() == 1
	if vcl {
		b.hypotheticalDecoder()
	}
	if nal || vcl {
		b.Bit() // low_delay_hrd_flag
	}
	b.Bit()           // pic_struct_present_flag
	if b.Bit() == 0 { // bitstream_restriction_flag
		return r
	}
	b.Bit() // motion_vectors_over_pic_boundaries_flag
	for range 4 {
		b.UE() // max_bytes_per_pic_denom, max_bits_per_mb_denom, log2_max_mv_length_horizontal and vertical
	}
	frames := b.UE()
	if buffered := b.UE(); !b.short && frames <= buffered && buffered <= maxPictures {
		r = reorder{true, int(frames)}
	}
	return r
}

// hypotheticalDecoder skips the parameters of a hypothetical reference decoder (ITU-T H.264, E.1.2).
func (b *BitReader) hypotheticalDecoder() {
	count := b.UE() + 1
	b.Bits(8)
	for range min(count, 32) {
		b.UE()
		b.UE()
		b.Bit()
	}
	b.Bits(20)
}

func hevcReordering(nal []byte) (n int, ok bool) {
	if len(nal) < HEVCHeaderSize {
		return 0, false
	}
	b := BitReader{data: Unescape(nal[HEVCHeaderSize:], len(nal))}
	_, layers := b.hevcPicture(&HEVCSPS{})
	for range layers {
		b.UE() // sps_max_dec_pic_buffering_minus1
		n = int(b.UE())
		b.UE() // sps_max_latency_increase_plus1
	}
	return n, !b.short && layers > 0
}
