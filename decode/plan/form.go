package plan

import (
	"github.com/kvsframes/kvsframes/decode/h26x"
	"github.com/kvsframes/kvsframes/media"
)

// Form says how the packets and the codec data of a fragment fit together.
type Form struct {
	// CodecData is what the decoder gets as codec data.
	CodecData string
	// ByStream: codec data and packets go to the decoder as a byte stream, with start codes.
	ByStream bool
	// InBand names the parameter sets in the packets, replaced that they take the place of others.
	InBand   string
	Replaced bool
	// Blocks is what the pictures consist of.
	Blocks Blocks
}

// formOf returns how packets of the form that the reader found are decoded: as they are, when the codec data
// is of the same form and holds the parameter sets in force. H.265's sets are always changed (see withoutReordering).
func formOf(t media.Track, r *nalReader, changed bool) Form {
	form := Form{CodecData: string(t.CodecPrivate), InBand: r.sets.digest(), Replaced: r.sets.replaced()}
	form.Blocks = blocksOf(t.CodecID, r.sets.begin, r.sets.inBand)
	if told := h26x.LengthSize(t.CodecID, t.CodecPrivate); r.codec != "" && (told != r.lengthSize || changed || r.codec == h26x.HEVC) {
		form.useByteStream(r.sets.begin)
	}
	return form
}

// useByteStream makes the decoder begin with parameter sets other than those of the codec data.
func (form *Form) useByteStream(sets [][]byte) {
	form.CodecData, form.ByStream = string(h26x.AnnexB(sets)), true
}

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
