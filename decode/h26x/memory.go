package h26x

import (
	"errors"
	"fmt"
)

// DecoderMemory estimates the memory in bytes that libav's decoder takes: for the largest of the sequence parameter sets among
// NAL units or, if none can be read, the most that pictures of the given width and height can need.
func DecoderMemory(codecID string, width, height int, nals [][]byte) (most int64) {
	for _, s := range sequences(codecID, nals) {
		most = max(most, (max(s.pictures, 0)+picturesBeside)*pictureBytes(s.size, codecID))
	}
	if most > 0 {
		return most
	}
	size := pictureSize{uint32(max(0, width)), uint32(max(0, height)), 8, 1}
	return (maxPictures + picturesBeside) * pictureBytes(size, codecID)
}

// pictureBytes estimates the memory that libav takes for a picture: its samples, and its motion vectors for later pictures.
func pictureBytes(s pictureSize, codecID string) int64 {
	// Quarters of a luma plane.
	samples := []int64{4, 6, 8, 12}[s.chroma]
	if s.depth > 8 {
		samples *= 2
	}
	motion := int64(2) // of H.264: 141 bytes for a macroblock
	if codecID == HEVC {
		motion = 3 // 12 bytes for 4x4 samples
	}
	return s.luma() * (samples + motion) / 4
}

// ErrTooManyReferences is the error for a stream that asks for more memory than its level allows.
var ErrTooManyReferences = errors.New("too many reference pictures")

// CheckReferences returns an error if one of the sequence parameter sets among NAL units asks for more reference pictures
// than its level allows. Such a stream must not be decoded, because of the memory that it takes.
func CheckReferences(codecID string, nals [][]byte) error {
	for _, s := range sequences(codecID, nals) {
		if s.pictures > s.allowed {
			return fmt.Errorf("%w: the stream asks for %d reference pictures of %dx%d, but its level %s allows %d",
				ErrTooManyReferences, s.pictures, s.size.width, s.size.height, s.level, s.allowed)
		}
	}
	return nil
}

// picturesBeside is how many pictures a decoder holds besides its references: the current one, the last one that it
// returned, and one of the old size when the size changes.
const picturesBeside = 3
