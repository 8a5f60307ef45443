package h26x

import (
	"testing"
)

func TestWhatStandsBesidePicturesIsBelieved(t *testing.T) {
	for _, c := range []struct {
		codec string
		nal   []byte
		want  Belief
	}{
		{AVC, []byte{6, 5, 2, 1, 2, 0x80}, Believable},
		{AVC, []byte{6, 5, 2, 1, 2, 0x80, 0, 0}, Believable},
		{AVC, []byte{6, 5, 2, 1, 2}, Believable},                // no stop bit
		{AVC, []byte{6, 5, 4, 0, 0, 3, 1, 7, 0x80}, Believable}, // escaped
		{AVC, []byte{6, 5, 4, 0, 0, 3, 1, 0x80}, Believable},    // and not
		{AVC, []byte{6, 0xf0, 0x80}, Believable},                // no size
		{AVC, []byte{6, 5, 9, 1, 2, 0x80}, Unbelievable},        // a size beyond the end
		{AVC, []byte{6, 0, 1, 7, 1, 1, 7, 0x80}, Believable},    // two messages
		{AVC, []byte{6, 0, 1, 7, 1, 1, 7}, Believable},
		{AVC, []byte{6, 200, 1, 7, 0x80}, Believable},
		{AVC, []byte{6, 100, 1, 7, 0x80}, Believable}, // of a type without a name
		{AVC, []byte{6, 100, 1, 7}, Opaque},
		{AVC, []byte{6, 100, 1, 7, 0, 1, 7, 0x80}, Unbelievable},
		{AVC, []byte{6, 0, 1, 7, 0, 1, 7, 0, 1, 7}, Unbelievable},
		// The head of a PPS, and then the middle of a slice.
		{AVC, []byte{0x68, 0xec, 0x70, 0, 0, 0, 0x42, 0x41, 0x0a, 0x9e, 0xc7, 0x45, 0x15, 0x2c, 0x33, 0xff}, Unbelievable},
		{AVC, []byte{9, 0xf0}, Believable},
		{AVC, []byte{9, 0x88, 0x84, 0x21}, Unbelievable},
		{AVC, []byte{10}, Believable},
		{AVC, []byte{11}, Believable},
		{AVC, []byte{12, 0xff, 0xff, 0x80}, Believable},
		{AVC, []byte{12, 0x88, 0x84, 0x80}, Unbelievable},
		{AVC, []byte{14, 1, 2, 3}, Opaque},
		{AVC, []byte{24, 1, 2, 3}, Unbelievable},
		{HEVC, []byte{35 << 1, 1, 0x50}, Believable},
		{HEVC, []byte{36 << 1, 1}, Believable},
		{HEVC, []byte{38 << 1, 1, 0xff, 0x80}, Believable},
		{HEVC, []byte{39 << 1, 1, 5, 1, 7, 0x80}, Believable},
		{HEVC, []byte{40 << 1, 1, 5, 7, 7, 0x80}, Unbelievable},
		{HEVC, []byte{32 << 1, 1, 0x80, 0x84, 1, 2, 3}, Unbelievable},
		{HEVC, []byte{62 << 1, 1, 0x19}, Opaque},
	} {
		if got := BeliefIn(c.codec, c.nal); got != c.want {
			t.Errorf("%s % x: %d, want %d", c.codec, c.nal, got, c.want)
		}
	}
}
