package h26x

import (
	"strconv"
)

// pictureSize is the size of a track's pictures, as its sequence parameter set states it.
type pictureSize struct {
	width, height uint32 // in luma samples, as coded
	depth         uint32 // bits a sample
	chroma        uint32 // chroma_format_idc: 0 for none, 1 for 4:2:0, 2 for 4:2:2, 3 for 4:4:4
}

// avcBlock is the width and height of a macroblock of H.264.
const avcBlock = 16

// sane reports whether decoders may support such pictures.
func (s pictureSize) sane() bool {
	const mostSamples, mostDepth = 1 << 16, 16
	return s.width > 0 && s.height > 0 && s.width <= mostSamples && s.height <= mostSamples && s.depth <= mostDepth && s.chroma <= 3
}

func (s pictureSize) luma() int64 { return int64(s.width) * int64(s.height) }

// sequence is what a sequence parameter set states about the memory that its pictures take.
type sequence struct {
	size pictureSize
	// pictures is the number of pictures that a decoder keeps as references, allowed the most that the level allows.
	pictures, allowed int64
	level             string
}

// sequences reads the sequence parameter sets among NAL units; those that cannot be read are left out.
func sequences(codecID string, nals [][]byte) (all []sequence) {
	for _, nal := range nals {
		var s sequence
		switch kind := NALType(codecID, nal); {
		case codecID == AVC && kind == AVCTypeSPS:
			_, h, _ := ParseAVCSPS(nal)
			s = sequence{size: h.size, pictures: int64(h.References), level: levelName(h.level, 10)}
			if s.size.sane() {
				s.allowed = avcPictures(h)
			}
		case codecID == HEVC && kind == HEVCTypeSPS:
			_, h, _ := ParseHEVCSPS(nal)
			// The picture that is decoded is counted too.
			s = sequence{size: h.size, pictures: int64(h.pictures) - 1, level: levelName(h.level, 30)}
			if s.size.sane() {
				s.allowed = hevcPicturesOf(h) - 1
			}
		default:
			continue
		}
		if s.size.sane() {
			all = append(all, s)
		}
	}
	return all
}

func levelName(level, unit uint32) string {
	if level%unit == 0 {
		return strconv.Itoa(int(level / unit))
	}
	return strconv.FormatFloat(float64(level)/float64(unit), 'f', 1, 64)
}

// maxPictures is the most pictures that a level allows, whatever their size (ITU-T H.264, A.3.1; ITU-T H.265, A.4.2).
const maxPictures = 16

// avcPictures returns the most reference pictures that the level of a sequence allows (ITU-T H.264, A.3.1 and table A-1): at least
// one, since cameras declare levels that are too low for their pictures.
func avcPictures(h AVCSPS) int64 {
	blocks := int64(696320) // level 6.2, also for levels that are not known
	switch level := h.level; {
	case level == 9, level == 10, level == 11 && h.lowLevel:
		blocks = 396
	case level == 11:
		blocks = 900
	case level == 12, level == 13, level == 20:
		blocks = 2376
	case level == 21:
		blocks = 4752
	case level == 22, level == 30:
		blocks = 8100
	case level == 31:
		blocks = 18000
	case level == 32:
		blocks = 20480
	case level == 40, level == 41:
		blocks = 32768
	case level == 42:
		blocks = 34816
	case level == 50:
		blocks = 110400
	case level == 51, level == 52:
		blocks = 184320
	}
	return min(max(blocks*avcBlock*avcBlock/h.size.luma(), 1), maxPictures)
}

// hevcPicturesOf returns the most pictures that the level of a sequence allows in the decoded picture buffer (ITU-T H.265, A.4.2
// and table A.8).
func hevcPicturesOf(h HEVCSPS) int64 {
	most := int64(142606336) // of luma samples: level 7.2, also for levels that are not known
	switch level := h.level; {
	case level == 30:
		most = 36864
	case level == 60:
		most = 122880
	case level == 63:
		most = 245760
	case level == 90:
		most = 552960
	case level == 93:
		most = 983040
	case level == 120, level == 123:
		most = 2228224
	case level >= 150 && level <= 156:
		most = 8912896
	case level >= 180 && level <= 186:
		most = 35651584
	case level == 189:
		most = 80216064
	}
	switch size := h.size.luma(); {
	case size <= most/4:
		return maxPictures
	case size <= most/2:
		return 12
	case size <= most/4*3:
		return 8
	default:
		return 6
	}
}
