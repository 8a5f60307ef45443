package h26x

import "testing"

// sps writes a sequence parameter set of H.264 of 640x352 pixels at level 3.0, with picture order counts of a type, and with usability
// information that declares how many frames may be reordered unless that is below 0.
func sps(profile, orderType uint32, reorder int) []byte {
	var w BitWriter
	bits := func(v uint32, n int) {
		for i := n - 1; i >= 0; i-- {
			w.Bit(byte(v >> i & 1))
		}
	}
	ue := func(v uint32) {
		n := 0
		for (v+1)>>(n+1) > 0 {
			n++
		}
		bits(0, n)
		bits(v+1, n+1)
	}
	bits(profile, 8)
	bits(0, 8)
	bits(30, 8) // level_idc
	ue(0)
	if profile == 100 {
		for _, v := range []uint32{1, 0, 0} { // chroma_format_idc and bit depths
			ue(v)
		}
		bits(0, 2)
	}
	ue(0) // log2_max_frame_num_minus4
	if ue(orderType); orderType == 0 {
		ue(2)
	}
	ue(4)      // max_num_ref_frames
	bits(0, 1) // gaps_in_frame_num_value_allowed_flag
	ue(39)
	ue(21)
	bits(1, 1) // frame_mbs_only_flag
	bits(1, 1)
	bits(0, 1) // frame_cropping_flag
	if reorder < 0 {
		bits(0, 1)
	} else {
		bits(1, 1)
		bits(1, 1) // aspect_ratio_info_present_flag
		bits(255, 8)
		bits(0x10001, 32)
		bits(0, 3) // overscan, video signal, chroma location
		bits(1, 1) // timing_info_present_flag
		bits(1, 32)
		bits(50, 32)
		bits(1, 1)
		bits(1, 1) // nal_hrd_parameters_present_flag
		ue(0)
		bits(0, 8)
		ue(9)
		ue(9)
		bits(0, 21)
		bits(0, 1) // vcl_hrd_parameters_present_flag
		bits(0, 2) // low_delay_hrd_flag, pic_struct_present_flag
		bits(1, 1) // bitstream_restriction_flag
		bits(1, 1)
		for _, v := range []uint32{0, 0, 11, 11, uint32(reorder), 4} {
			ue(v)
		}
	}
	bits(1, 1)
	return append([]byte{0x67}, Escape(w.Bytes())...)
}

func TestReorderingIsWhatTheStreamDeclares(t *testing.T) {
	const main, high = 77, 100
	for name, test := range map[string]struct {
		nals  [][]byte
		depth int
		known bool
	}{
		"declared":                  {[][]byte{sps(high, 0, 2)}, 2, true},
		"declared as none":          {[][]byte{sps(main, 0, 0)}, 0, true},
		"the most of several":       {[][]byte{sps(high, 0, 1), {0x68, 0}, sps(high, 0, 3)}, 3, true},
		"more than is kept":         {[][]byte{sps(high, 0, 5)}, 9, true},  // is no declaration
		"not declared":              {[][]byte{sps(high, 0, -1)}, 9, true}, // 8,100 macroblocks of level 3.0, 880 in each picture
		"the order of decoding":     {[][]byte{sps(high, 2, -1)}, 0, true},
		"baseline":                  {[][]byte{sps(avcBaseline, 0, -1)}, 0, true},
		"no sequence parameter set": {[][]byte{{0x68, 0}}, 0, false},
		"one that is cut":           {[][]byte{sps(high, 0, 2)[:6]}, 0, false},
	} {
		if depth, known := Reordering(AVC, test.nals); depth != test.depth || known != test.known {
			t.Errorf("%s: %d, %v, want %d, %v", name, depth, known, test.depth, test.known)
		}
	}
}
