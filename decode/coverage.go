package decode

// blocks is what the pictures of a codec consist of: parts that are decoded whole or not at all.
type blocks struct {
	// side is that of the smallest blocks in pixels, 0 where libav itself knows which of them it decoded.
	side int
	// fields: a picture may consist of two fields.
	fields bool
}

// smallestBlock is the side of H.264's macroblocks, and of H.265's smallest coding tree blocks (7.4.3.2.1).
const smallestBlock = 16

// blocksOf returns the blocks of pictures with any of the parameter sets. H.264's decoder counts the macroblocks that it
// decodes and conceals the others, but not in pictures of fields.
func blocksOf(codecID string, groups ...[][]byte) (b blocks) {
	for _, sets := range groups {
		for _, nal := range sets {
			switch t := nalType(codecID, nal); {
			case codecID == codecAVC && t == avcSPS:
				if _, s, _ := readSPS(nal); !s.framesOnly {
					b = blocks{smallestBlock, true}
				}
			case codecID == codecHEVC && t == hevcSPS:
				if side := hevcBlock(nal); b.side == 0 || side < b.side {
					b.side = side
				}
			}
		}
	}
	return b
}

// hevcBlock returns the side of the coding tree blocks of a sequence.
func hevcBlock(nal []byte) int {
	const least, most = 4, 6 // log2 (7.4.3.2.1)
	if _, s, _ := readHEVCSPS(nal); s.ctbBits >= least && s.ctbBits <= most {
		return 1 << s.ctbBits
	}
	return smallestBlock
}
