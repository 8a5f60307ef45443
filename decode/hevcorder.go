package decode

import "slices"

// maxHEVCLevels is more than the bytes of profile, tier and level of eight sub-layers.
const maxHEVCLevels = 128

// hevcLevels passes over the beginning of a sequence parameter set, up to its id (ITU-T H.265, 7.3.2.2.1),
// and returns sps_max_sub_layers_minus1.
func (b *bitReader) hevcLevels() (subLayers int) {
	b.bits(4) // sps_video_parameter_set_id
	subLayers = int(b.bits(3))
	b.bit() // sps_temporal_id_nesting_flag
	b.skip(88)
	b.skip(8) // general_level_idc
	var profile, level [8]bool
	for i := range subLayers { // profile_tier_level (7.3.3)
		profile[i], level[i] = b.bit() == 1, b.bit() == 1
	}
	if subLayers > 0 {
		b.skip(2 * (8 - subLayers))
	}
	for i := range subLayers {
		if profile[i] {
			b.skip(88)
		}
		if level[i] {
			b.skip(8)
		}
	}
	return subLayers
}

// skip passes over n bits.
func (b *bitReader) skip(n int) {
	if b.at += n; b.at > 8*len(b.data) {
		b.short = true
	}
}

// withoutReordering returns a sequence parameter set of H.265 that promises pictures in decode order:
// sps_max_num_reorder_pics is 0. libav puts a picture out as soon as the promise lets it,
// and nothing else depends on it. A set that cannot be read is returned as it is.
func withoutReordering(nal []byte) []byte {
	const longest = 1 << 16
	if len(nal) <= hevcHeaderLen || len(nal) > longest {
		return nal
	}
	b := bitReader{data: unescape(nal[hevcHeaderLen:], longest)}
	subLayers := b.hevcLevels()
	b.ue()           // sps_seq_parameter_set_id
	if b.ue() == 3 { // chroma_format_idc
		b.bit() // separate_colour_plane_flag
	}
	b.ue() // pic_width_in_luma_samples
	b.ue() // pic_height_in_luma_samples
	if b.bit() == 1 {
		for range 4 {
			b.ue() // conformance window
		}
	}
	b.ue() // bit_depth_luma_minus8
	b.ue() // bit_depth_chroma_minus8
	b.ue() // log2_max_pic_order_cnt_lsb_minus4
	first := subLayers
	if b.bit() == 1 { // sps_sub_layer_ordering_info_present_flag
		first = 0
	}
	w := bitWriter{}
	w.copy(b.data, 0, b.at)
	for range subLayers - first + 1 {
		from := b.at
		b.ue() // sps_max_dec_pic_buffering_minus1
		w.copy(b.data, from, b.at)
		b.ue()
		w.bit(1) // sps_max_num_reorder_pics is 0
		from = b.at
		b.ue() // sps_max_latency_increase_plus1
		w.copy(b.data, from, b.at)
	}
	if b.short {
		return nal
	}
	// What follows ends with the last bit that is 1 (rbsp_trailing_bits), aligned anew.
	last := 8*len(b.data) - 1
	for last >= b.at && b.data[last/8]>>(7-last%8)&1 == 0 {
		last--
	}
	w.copy(b.data, b.at, last+1)
	return slices.Concat(nal[:hevcHeaderLen], escape(w.data))
}

// bitWriter collects bits.
type bitWriter struct {
	data []byte
	at   int // in bits
}

func (w *bitWriter) bit(v byte) {
	if w.at%8 == 0 {
		w.data = append(w.data, 0)
	}
	w.data[w.at/8] |= v << (7 - w.at%8)
	w.at++
}

// copy appends the bits of data from one place up to another.
func (w *bitWriter) copy(data []byte, from, to int) {
	for at := from; at < to && at < 8*len(data); at++ {
		w.bit(data[at/8] >> (7 - at%8) & 1)
	}
}
