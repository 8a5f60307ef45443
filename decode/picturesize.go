package decode

// pictureSize is the size of a track's pictures, as its sequence parameter set tells it.
type pictureSize struct {
	width, height uint32 // in luma samples, as coded
	depth         uint32 // bits a sample
	chroma        uint32 // chroma_format_idc: 0 for none, 1 for 4:2:0, 2 for 4:2:2, 3 for 4:4:4
}

// sane reports whether a decoder could know such pictures.
func (s pictureSize) sane() bool {
	const mostSamples, mostDepth = 1 << 16, 16
	return s.width > 0 && s.height > 0 && s.width <= mostSamples && s.height <= mostSamples && s.depth <= mostDepth && s.chroma <= 3
}
