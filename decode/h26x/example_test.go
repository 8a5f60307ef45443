package h26x_test

import (
	"fmt"

	"github.com/kvsframes/kvsframes/decode/h26x"
)

// Take a packet of H.264 with lengths of four bytes apart.
func ExampleEachNAL() {
	packet := []byte{0, 0, 0, 2, 0x09, 0x10, 0, 0, 0, 3, 0x65, 0x88, 0x84}
	whole := h26x.EachNAL(packet, 4, func(nal []byte) {
		fmt.Println(h26x.NALType(h26x.AVC, nal), h26x.IsSlice(h26x.AVC, nal))
	})
	fmt.Println(whole)
	// Output:
	// 9 false
	// 5 true
	// true
}

// Read how many reference pictures a sequence of H.264 has, and whether it is coded in frames.
func ExampleParseAVCSPS() {
	sps := []byte{0x67, 77, 0, 40, 0xf3, 0x00, 0xf0, 0x04, 0x4c, 0x80}
	id, set, ok := h26x.ParseAVCSPS(sps)
	fmt.Println(id, set.References, set.FramesOnly, ok)
	// Output: 0 5 true true
}
