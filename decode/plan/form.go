package plan

import (
	"github.com/kvsframes/kvsframes/decode/h26x"
	"github.com/kvsframes/kvsframes/media"
)

// Form is the form in which a decoder needs the packets and the codec data of a fragment.
type Form struct {
	// CodecData is the codec data that the decoder must be opened with.
	CodecData string
	// ByStream reports whether codec data and packets must be a byte stream, with start codes.
	ByStream bool
	// InBand identifies the parameter sets in the packets; it is empty if there are none. Replaced reports whether some replace
	// others: then the decoder cannot be used for another fragment.
	InBand   string
	Replaced bool
	// Blocks describes the blocks that the pictures consist of.
	Blocks Blocks
}

// formOf returns the form in which a decoder needs the packets. They stay as they are if the codec data has the same
// form and holds the parameter sets in force. The sets of H.265 are always changed (see h26x.WithoutReordering).
func formOf(t media.Track, r *nalReader, changed bool) Form {
	form := Form{CodecData: string(t.CodecPrivate), InBand: r.sets.digest(), Replaced: r.sets.replaced()}
	form.Blocks = blocksOf(t.CodecID, r.sets.begin, r.sets.inBand)
	if declared := h26x.LengthSize(t.CodecID, t.CodecPrivate); r.codec != "" && (declared != r.lengthSize || changed || r.codec == h26x.HEVC) {
		form.useByteStream(r.sets.begin)
	}
	return form
}

// useByteStream replaces the codec data by parameter sets, as a byte stream.
func (form *Form) useByteStream(sets [][]byte) {
	form.CodecData, form.ByStream = string(h26x.AnnexB(sets)), true
}

// Blocks describes the parts of a picture that are decoded completely or not at all.
type Blocks struct {
	// Side is the side of the smallest blocks in pixels; 0 if libav itself reports which of them it decoded.
	Side int
	// Fields reports whether a picture may consist of two fields.
	Fields bool
}

// smallestBlock is the side of H.264's macroblocks, and of H.265's smallest coding tree blocks (7.4.3.2.1).
const smallestBlock = 16

// blocksOf returns the blocks of pictures that use any of the parameter sets. The H.264 decoder counts the macroblocks that it
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
	if _, s, _ := h26x.ParseHEVCSPS(nal); s.CTBBits >= least && s.CTBBits <= most {
		return 1 << s.CTBBits
	}
	return smallestBlock
}
