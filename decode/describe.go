//go:build cgo

package decode

import (
	"fmt"

	"github.com/asticode/go-astiav"

	"github.com/kvsframes/kvsframes/media"
)

// decoded describes a decoded frame in plain terms.
type decoded struct {
	frame  frame
	format astiav.PixelFormat // without the full-range variants
	planes planes
	depth  int // bits a sample
	color  colorimetry
	// chromaX and chromaY are the binary logarithms of the chroma's steps.
	chromaX, chromaY int
	// chromaLeft reports whether a chroma sample lies on the left one of its columns.
	chromaLeft bool
	// view is the part of the frame that is shown.
	view rect
	// lines is the height of the frame: twice that of a picture that is one field.
	lines int
	// w and h are the size of the view in square pixels, before it is turned.
	w, h        int
	orientation orientation
	field       field
}

// field selects the lines of a frame that are shown.
type field int

const (
	bothFields field = iota
	topField
	bottomField
)

// highRange are the transfer functions of high dynamic range (ITU-T H.273, table 3).
var highRange = map[int]string{
	16: "PQ, SMPTE ST 2084",
	18: "HLG, ARIB STD-B67",
}

// strangeMatrices are the matrices whose conversion is not one linear function for every picture.
var strangeMatrices = map[astiav.ColorSpace]string{
	astiav.ColorSpaceBt2020Cl:        "BT.2020 with constant luminance",
	astiav.ColorSpaceChromaDerivedCl: "chroma-derived with constant luminance",
	astiav.ColorSpaceSmpte2085:       "SMPTE ST 2085, Y'D'zD'x",
	astiav.ColorSpaceIctcp:           "BT.2100, ICtCp",
	colorSpaceIPTC2:                  "SMPTE ST 2128, IPT-C2",
	colorSpaceYCgCoRe:                "YCgCo-Re",
	colorSpaceYCgCoRo:                "YCgCo-Ro",
}

// Colour spaces that go-astiav does not name (ITU-T H.273, table 4).
const (
	colorSpaceIPTC2   astiav.ColorSpace = 15
	colorSpaceYCgCoRe astiav.ColorSpace = 16
	colorSpaceYCgCoRo astiav.ColorSpace = 17
)

// fullRangeFormats are the full-range variants of formats.
var fullRangeFormats = map[astiav.PixelFormat]astiav.PixelFormat{
	astiav.PixelFormatYuvj420P: astiav.PixelFormatYuv420P,
	astiav.PixelFormatYuvj422P: astiav.PixelFormatYuv422P,
	astiav.PixelFormatYuvj444P: astiav.PixelFormatYuv444P,
}

// refused returns an error for frames whose colours would be wrong, or nil.
func refused(transfer int, space astiav.ColorSpace) error {
	if name, ok := highRange[transfer]; ok {
		return fmt.Errorf("frame is HDR (%s) and is not tone-mapped: an image has 8 bits of standard range", name)
	}
	if name, ok := strangeMatrices[space]; ok {
		return fmt.Errorf("frame has the colour matrix %d (%s), which is not converted", space, name)
	}
	return nil
}

// describe describes a frame by its tags, those of its track, and the settings for what is not tagged.
func (r *renderer) describe(f frame) (decoded, error) {
	s := decoded{frame: f, format: f.PixelFormat()}
	w, h := f.Width(), f.Height()
	if w > maxSide || h > maxSide {
		return s, fmt.Errorf("frame of %dx%d pixels is too large, the largest side is %d", w, h, maxSide)
	}
	tags := f.facts()
	if err := refused(int(tags.transfer), f.ColorSpace()); err != nil {
		return s, reason(media.GapUnsupported, err)
	}
	lone := tags.interlaced != 0 && r.fieldPictures
	s.lines = h
	if lone {
		s.lines = 2 * h
	}
	s.color = colorimetry{matrix: r.matrix(f.ColorSpace(), astiav.ColorPrimaries(tags.primaries), s.lines), full: r.fullRange(f)}
	s.place(tags, r.track, w, h)
	if lone || tags.interlaced != 0 && r.config.Deinterlace != DeinterlaceOff {
		s.field = bottomField
		if tags.top_first != 0 {
			s.field = topField
		}
	}
	if plain, ok := fullRangeFormats[s.format]; ok {
		s.format = plain
	}
	if tags.planes == 0 {
		if err := r.planar(&s, w, h); err != nil {
			return s, err
		}
	} else {
		s.planes, s.depth = planesOf(f, int(tags.planes)), int(tags.depth)
		s.chromaX, s.chromaY = int(tags.log2_chroma_w), int(tags.log2_chroma_h)
		s.chromaLeft = tags.chroma_left != 0
	}
	if lone {
		s.interlace()
	}
	return s, nil
}

// interlace turns a picture of one field into a frame whose other lines are missing.
func (s *decoded) interlace() {
	for i, p := range s.planes {
		s.planes[i] = interlaced(p, s.field == bottomField)
	}
	s.view.y, s.view.h, s.h = 2*s.view.y, 2*s.view.h, 2*s.h
}

// place sets which part of the frame is shown, its size and its orientation. What the
// stream itself states overrides what the container states.
func (s *decoded) place(tags, track facts, w, h int) {
	s.view = rect{0, 0, w, h}
	top, bottom, left, right := int(track.crop[0]), int(track.crop[1]), int(track.crop[2]), int(track.crop[3])
	if left+right < w && top+bottom < h {
		s.view = rect{left, top, w - left - right, h - top - bottom}
	}
	if tags.sar_num <= 0 || tags.sar_den <= 0 {
		tags.sar_num, tags.sar_den = track.sar_num, track.sar_den
	}
	s.w, s.h = squared(s.view.w, int(tags.sar_num), int(tags.sar_den)), s.view.h
	if tags.oriented == 0 {
		tags.swap, tags.flip_x, tags.flip_y = track.swap, track.flip_x, track.flip_y
	}
	s.orientation = orientation{swap: tags.swap != 0, flipX: tags.flip_x != 0, flipY: tags.flip_y != 0}
}

// planar converts formats that our own loops do not read, such as RGB, to 4:4:4 planes with libswscale.
func (r *renderer) planar(s *decoded, w, h int) error {
	c, err := r.scalers.get(scalerKey{w, h, s.format, w, h, astiav.PixelFormatYuv444P}, newScaler)
	if err != nil {
		return err
	}
	f, err := r.picture("planar", w, h, astiav.PixelFormatYuv444P)
	if err != nil {
		return err
	}
	if err := c.frame(f, s.frame); err != nil {
		return err
	}
	s.frame, s.format, s.planes, s.depth, s.color = f, astiav.PixelFormatYuv444P, planesOf(f, 3), 8, jfif
	return nil
}

func (r *renderer) fullRange(f frame) bool {
	switch f.ColorRange() {
	case astiav.ColorRangeJpeg:
		return true
	case astiav.ColorRangeMpeg:
		return false
	}
	_, full := fullRangeFormats[f.PixelFormat()]
	return full || r.config.Color.UntaggedRange == RangeFull
}

// matrix returns the matrix that a frame is tagged with, or that of the settings. It ignores reserved and
// impossible tags: the matrix of RGB, which libav outputs in formats of RGB, and a matrix that is to be
// derived from primaries that do not define one.
func (r *renderer) matrix(tag astiav.ColorSpace, primaries astiav.ColorPrimaries, height int) Matrix {
	switch tag {
	case astiav.ColorSpaceBt709:
		return MatrixBT709
	case astiav.ColorSpaceBt470Bg, astiav.ColorSpaceSmpte170M:
		return MatrixBT601
	case astiav.ColorSpaceFcc:
		return matrixFCC
	case astiav.ColorSpaceSmpte240M:
		return matrix240M
	case astiav.ColorSpaceYcgco:
		return matrixYCgCo
	case astiav.ColorSpaceBt2020Ncl:
		return MatrixBT2020
	case astiav.ColorSpaceChromaDerivedNcl:
		switch primaries {
		case astiav.ColorPrimariesBt709:
			return MatrixBT709
		case astiav.ColorPrimariesBt2020:
			return MatrixBT2020
		}
	}
	switch m := r.config.Color.UntaggedMatrix; {
	case m != MatrixAuto:
		return m
	case height >= 720:
		return MatrixBT709
	default:
		return MatrixBT601
	}
}
