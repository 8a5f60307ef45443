package plan

import "github.com/kvsframes/kvsframes/decode/h26x"

// Blocks is what the pictures of a codec consist of: parts that are decoded whole or not at all.
type Blocks struct {
	// Side is that of the smallest blocks in pixels, 0 where libav itself knows which of them it decoded.
	Side int
	// Fields: a picture may consist of two fields.
	Fields bool
}

// smallestBlock is the side of H.264's macroblocks, and of H.265's smallest coding tree blocks (7.4.3.2.1).
const smallestBlock = 16

// blocksOf returns the blocks of pictures with any of the parameter sets. H.264's decoder counts the macroblocks that it
// decodes and conceals the others, but not in pictures of fields.
func blocksOf(codecID string, groups ...[][]byte) (b Blocks) {
	for _, sets := range groups {
		for _, nal := range sets {
			switch t := h26x.NALType(codecID, nal); {
			case codecID == h26x.AVC && t == h26x.AVCTypeSPS:
				if _, s, _ := h26x.ParseAVCSPS(nal); !s.FramesOnly {
					b = Blocks{smallestBlock, true}
				}
			case codecID == h26x.HEVC && t == h26x.HEVCTypeSPS:
				if side := hevcBlock(nal); b.Side == 0 || side < b.Side {
					b.Side = side
				}
			}
		}
	}
	return b
}

// hevcBlock returns the side of the coding tree blocks of a sequence.
func hevcBlock(nal []byte) int {
	const least, most = 4, 6 // log2 (7.4.3.2.1)
	if _, s, _ := h26x.ParseHEVCSPS(nal); s.CtbBits >= least && s.CtbBits <= most {
		return 1 << s.CtbBits
	}
	return smallestBlock
}
