package h26x

import (
	"cmp"
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
			if !s.size.sane() {
				continue
			}
			s.allowed = avcPictures(h)
		case codecID == HEVC && kind == HEVCTypeSPS:
			_, h, _ := ParseHEVCSPS(nal)
			// The picture that is decoded is counted too.
			s = sequence{size: h.size, pictures: int64(h.pictures) - 1, level: levelName(h.level, 30)}
			if !s.size.sane() {
				continue
			}
			s.allowed = hevcPicturesOf(h) - 1
		default:
			continue
		}
		all = append(all, s)
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
	level := h.level
	if level == 11 && h.lowLevel {
		level = avcLevel1b
	}
	blocks := cmp.Or(avcBlocks[level], 696320) // level 6.2, also for levels that are not known
	return min(max(blocks*avcBlock*avcBlock/h.size.luma(), 1), maxPictures)
}

// avcLevel1b is the level_idc of level 1b in the profiles that do not mark it by a flag.
const avcLevel1b = 9

// avcBlocks are the most macroblocks that reference pictures may have together, by level_idc (MaxDpbMbs).
var avcBlocks = map[uint32]int64{
	avcLevel1b: 396, 10: 396, 11: 900, 12: 2376, 13: 2376, 20: 2376, 21: 4752, 22: 8100, 30: 8100, 31: 18000, 32: 20480,
	40: 32768, 41: 32768, 42: 34816, 50: 110400, 51: 184320, 52: 184320,
}

// hevcSamples are the most luma samples of a picture, by ranges of general_level_idc (MaxLumaPs).
var hevcSamples = []struct {
	from, to uint32
	most     int64
}{
	{30, 30, 36864},
	{60, 60, 122880},
	{63, 63, 245760},
	{90, 90, 552960},
	{93, 93, 983040},
	{120, 120, 2228224},
	{123, 123, 2228224},
	{150, 156, 8912896},
	{180, 186, 35651584},
	{189, 189, 80216064},
}

// hevcPicturesOf returns the most pictures that the level of a sequence allows in the decoded picture buffer (ITU-T H.265, A.4.2
// and table A.8).
func hevcPicturesOf(h HEVCSPS) int64 {
	most := int64(142606336) // of luma samples: level 7.2, also for levels that are not known
	for _, levels := range hevcSamples {
		if levels.from <= h.level && h.level <= levels.to {
			most = levels.most
		}
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
