//go:build cgo

package decode

import (
	"errors"
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
	// lines is the height of the frame: twice that of a picture which is one field.
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

// Transfer functions of high dynamic range (ITU-T H.273, table 3).
const (
	transferPQ  = 16
	transferHLG = 18
)

// strangeMatrices are those whose colours do not follow from luma and chroma by one matrix for every picture.
var strangeMatrices = map[astiav.ColorSpace]string{
	astiav.ColorSpaceBt2020Cl:        "BT.2020 with constant luminance",
	astiav.ColorSpaceChromaDerivedCl: "chroma-derived with constant luminance",
	astiav.ColorSpaceSmpte2085:       "SMPTE ST 2085, Y'D'zD'x",
	astiav.ColorSpaceIctcp:           "BT.2100, ICtCp",
	colorSpaceIPTC2:                  "SMPTE ST 2128, IPT-C2",
	colorSpaceYCgCoRe:                "YCgCo-Re",
	colorSpaceYCgCoRo:                "YCgCo-Ro",
}

// What go-astiav does not name (ITU-T H.273, table 4).
const (
	colorSpaceIPTC2   astiav.ColorSpace = 15
	colorSpaceYCgCoRe astiav.ColorSpace = 16
	colorSpaceYCgCoRo astiav.ColorSpace = 17
)

// refused returns an error that names what would come out in wrong colours.
func refused(transfer int, space astiav.ColorSpace) error {
	switch transfer {
	case transferPQ:
		return errors.New("frame is HDR (PQ, SMPTE ST 2084) and is not tone-mapped: an image has 8 bits of standard range")
	case transferHLG:
		return errors.New("frame is HDR (HLG, ARIB STD-B67) and is not tone-mapped: an image has 8 bits of standard range")
	}
	if name, ok := strangeMatrices[space]; ok {
		return fmt.Errorf("frame has the colour matrix %d (%s), which is not converted", space, name)
	}
	return nil
}

// describe reads the frame's tags, those of its track, and the settings for what is not tagged.
func (r *renderer) describe(f frame) (decoded, error) {
	s := decoded{frame: f, format: f.PixelFormat()}
	w, h := f.Width(), f.Height()
	if w > maxSide || h > maxSide {
		return s, fmt.Errorf("frame of %dx%d pixels is too large, the largest side is %d", w, h, maxSide)
	}
	said := f.facts()
	if err := refused(int(said.transfer), f.ColorSpace()); err != nil {
		return s, reason(media.GapUnsupported, err)
	}
	lone := said.interlaced != 0 && r.fieldPictures
	s.lines = h
	if lone {
		s.lines = 2 * h
	}
	s.color = colorimetry{matrix: r.matrix(f.ColorSpace(), astiav.ColorPrimaries(said.primaries), s.lines), full: r.fullRange(f)}
	s.place(said, r.track, w, h)
	if lone || said.interlaced != 0 && r.config.Deinterlace != DeinterlaceOff {
		s.field = bottomField
		if said.top_first != 0 {
			s.field = topField
		}
	}
	switch s.format {
	case astiav.PixelFormatYuvj420P:
		s.format = astiav.PixelFormatYuv420P
	case astiav.PixelFormatYuvj422P:
		s.format = astiav.PixelFormatYuv422P
	case astiav.PixelFormatYuvj444P:
		s.format = astiav.PixelFormatYuv444P
	}
	if said.planes == 0 {
		if err := r.planar(&s, w, h); err != nil {
			return s, err
		}
	} else {
		s.planes, s.depth = planesOf(f, int(said.planes)), int(said.depth)
		s.chromaX, s.chromaY = int(said.log2_chroma_w), int(said.log2_chroma_h)
		s.chromaLeft = said.chroma_left != 0
	}
	if lone {
		s.interlace()
	}
	return s, nil
}

// interlace makes of a field's lines those of a frame, of which only they are there.
func (s *decoded) interlace() {
	for i, p := range s.planes {
		s.planes[i] = interlaced(p, s.field == bottomField)
	}
	s.view.y, s.view.h, s.h = 2*s.view.y, 2*s.view.h, 2*s.h
}

// place notes what is shown of the frame, at which size, and which side is up. What the
// stream itself states overrides what the container states.
func (s *decoded) place(said, track facts, w, h int) {
	s.view = rect{0, 0, w, h}
	top, bottom, left, right := int(track.crop[0]), int(track.crop[1]), int(track.crop[2]), int(track.crop[3])
	if left+right < w && top+bottom < h {
		s.view = rect{left, top, w - left - right, h - top - bottom}
	}
	if said.sar_num <= 0 || said.sar_den <= 0 {
		said.sar_num, said.sar_den = track.sar_num, track.sar_den
	}
	s.w, s.h = squared(s.view.w, int(said.sar_num), int(said.sar_den)), s.view.h
	if said.oriented == 0 {
		said.swap, said.flip_x, said.flip_y = track.swap, track.flip_x, track.flip_y
	}
	s.orientation = orientation{swap: said.swap != 0, flipX: said.flip_x != 0, flipY: said.flip_y != 0}
}

// planar has libswscale make 4:4:4 planes of what our own loops do not read, which is RGB.
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
	switch f.PixelFormat() {
	case astiav.PixelFormatYuvj420P, astiav.PixelFormatYuvj422P, astiav.PixelFormatYuvj444P:
		return true
	}
	return r.config.Color.UntaggedRange == RangeFull
}

// matrix returns the matrix of a frame's tags. What cannot be is not believed, nor reserved values: the
// matrix of RGB, since libav gives RGB as such, and one that primaries are to tell which tell none.
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
