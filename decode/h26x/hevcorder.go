package h26x

import "slices"

// maxHEVCLevels is an upper bound of the bytes of profile, tier and level of eight sub-layers.
const maxHEVCLevels = 128

// hevcLevels skips the beginning of a sequence parameter set, up to its id (ITU-T H.265, 7.3.2.2.1),
// and returns sps_max_sub_layers_minus1.
func (b *BitReader) hevcLevels() (subLayers int) {
	b.Bits(4) // sps_video_parameter_set_id
	subLayers = int(b.Bits(3))
	b.Bit() // sps_temporal_id_nesting_flag
	b.Skip(88)
	b.Skip(8) // general_level_idc
	var profile, level [8]bool
	for i := range subLayers { // profile_tier_level (7.3.3)
		profile[i], level[i] = b.Bit() == 1, b.Bit() == 1
	}
	if subLayers > 0 {
		b.Skip(2 * (8 - subLayers))
	}
	for i := range subLayers {
		if profile[i] {
			b.Skip(88)
		}
		if level[i] {
			b.Skip(8)
		}
	}
	return subLayers
}

// WithoutReordering returns a sequence parameter set of H.265 that declares pictures to be in decode order:
// sps_max_num_reorder_pics is 0. libav uses it only to output each picture as soon as possible.
// A set that cannot be read is returned unchanged.
func WithoutReordering(nal []byte) []byte {
	const longest = 1 << 16
	if len(nal) <= HEVCHeaderSize || len(nal) > longest {
		return nal
	}
	b := BitReader{data: Unescape(nal[HEVCHeaderSize:], longest)}
	_, layers := b.hevcPicture(&HEVCSPS{})
	w := BitWriter{}
	w.Copy(b.data, 0, b.at)
	for range layers {
		from := b.at
		b.UE() // sps_max_dec_pic_buffering_minus1
		w.Copy(b.data, from, b.at)
		b.UE()
		w.Bit(1) // sps_max_num_reorder_pics is 0
		from = b.at
		b.UE() // sps_max_latency_increase_plus1
		w.Copy(b.data, from, b.at)
	}
	if b.short {
		return nal
	}
	// The rest ends with the last bit that is 1 (rbsp_trailing_bits), and is aligned again.
	last := 8*len(b.data) - 1
	for last >= b.at && b.data[last/8]>>(7-last%8)&1 == 0 {
		last--
	}
	w.Copy(b.data, b.at, last+1)
	return slices.Concat(nal[:HEVCHeaderSize], Escape(w.data))
}
