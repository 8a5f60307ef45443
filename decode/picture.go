//go:build cgo

package decode

/*
#include <libswscale/swscale.h>
#include "picture.h"
*/
import "C"

import (
	"fmt"
	"unsafe"

	"github.com/asticode/go-astiav"
	"github.com/kvsframes/kvsframes/decode/jpeg"
)

// plane is one plane of a picture, in memory of libav.
type plane = C.kvsf_plane

// planes are the one or three planes of a picture: luma, then chroma.
type planes []plane

// planesOf returns the first n planes of a frame.
func planesOf(f frame, n int) planes {
	p := make(planes, n)
	for i := range p {
		p[i] = C.kvsf_plane_of(f.UnsafePointer(), C.int(i))
	}
	return p
}

// part returns the part of p that begins at x, y and has w x h samples of size bytes.
func part(p plane, x, y, w, h, size int) plane {
	p.data = (*C.uint8_t)(unsafe.Add(unsafe.Pointer(p.data), y*int(p.stride)+x*size))
	p.w, p.h = C.int(w), C.int(h)
	return p
}

// macroblocks returns row y of macroblocks of a 4:2:0 picture: 16 rows of luma and 8 of chroma, fewer at the bottom, none below it.
func (p planes) macroblocks(y int) planes {
	row := make(planes, len(p))
	for i := range p {
		side := jpeg.LumaRows
		if i > 0 {
			side /= 2
		}
		first := min(side*y, int(p[i].h))
		row[i] = part(p[i], 0, first, int(p[i].w), min(int(p[i].h)-first, side), 1)
	}
	return row
}

// jpeg returns three planes as the JPEG encoder takes them.
func (p planes) jpeg() (out [3]jpeg.Plane) {
	for i := range out {
		if p[i].h > 0 {
			size := int(p[i].h-1)*int(p[i].stride) + int(p[i].w)
			out[i] = jpeg.Plane{Data: unsafe.Slice((*byte)(p[i].data), size), Stride: int(p[i].stride)}
		}
	}
	return out
}

// lines returns every other line of p, from line first on.
func lines(p plane, first int) plane {
	h := (int(p.h) - first + 1) / 2
	p = part(p, 0, first, int(p.w), h, 1)
	p.stride *= 2
	return p
}

// interlaced returns the plane of a frame that has the lines of p as one of its fields. Its other lines are not valid.
func interlaced(p plane, second bool) plane {
	p.stride /= 2
	p.h *= 2
	if second {
		p.data = (*C.uint8_t)(unsafe.Add(unsafe.Pointer(p.data), -int(p.stride)))
	}
	return p
}

// facts is what a frame or its track states about its picture, beyond size and colours.
type facts = C.kvsf_facts

func (f frame) facts() facts {
	var out facts
	C.kvsf_frame_facts(f.UnsafePointer(), &out)
	return out
}

// trackFacts returns what a track states: the shape of its pixels, its orientation and its
// crop. The zero value states nothing.
func trackFacts(s *astiav.Stream) (out facts) {
	c := astiav.AllocCodecContext(nil)
	if c == nil {
		return out
	}
	defer c.Free()
	if s.CodecParameters().ToCodecContext(c) != nil {
		return out
	}
	C.kvsf_track_facts(c.UnsafePointer(), &out)
	out.sar_num, out.sar_den = C.int(s.SampleAspectRatio().Num()), C.int(s.SampleAspectRatio().Den())
	return out
}

// scaler owns one SwsContext and is freed once.
type scaler struct{ c unsafe.Pointer }

// scalerKey is everything that a scaler depends on.
type scalerKey struct {
	sw, sh int
	sf     astiav.PixelFormat
	dw, dh int
	df     astiav.PixelFormat
}

func newScaler(k scalerKey) (scaler, error) {
	flags := C.int(C.SWS_AREA)
	if k.dw > k.sw || k.dh > k.sh {
		flags = C.SWS_BICUBIC
	}
	c := C.kvsf_scaler_new(C.int(k.sw), C.int(k.sh), C.int(k.sf), C.int(k.dw), C.int(k.dh), C.int(k.df), flags|C.SWS_ACCURATE_RND)
	if c == nil {
		return scaler{}, fmt.Errorf("scale %s %dx%d to %s %dx%d: not supported", k.sf, k.sw, k.sh, k.df, k.dw, k.dh)
	}
	openObjects.Add(1)
	return scaler{c}, nil
}

func (s scaler) free() {
	C.kvsf_scaler_free(s.c)
	openObjects.Add(-1)
}

// plane scales one plane of bytes.
func (s scaler) plane(dst, src plane) error {
	return failure("scale plane", C.kvsf_scale_plane(s.c, &src, &dst))
}

// frame scales a whole frame.
func (s scaler) frame(dst, src frame) error {
	return failure("scale picture", C.kvsf_scale_frame(s.c, src.UnsafePointer(), dst.UnsafePointer()))
}

// fill paints the whole picture with one colour, given by component.
func (f frame) fill(color [4]uint32) error {
	return failure("fill picture", C.kvsf_fill(f.UnsafePointer(), (*C.uint32_t)(&color[0])))
}

// paste copies src into f at x, y, which are even. Both have the same format.
func (f frame) paste(src frame, x, y int) {
	C.kvsf_paste(f.UnsafePointer(), C.int(x), C.int(y), src.UnsafePointer())
}

// scratch is memory that loops over pixels use for a few rows.
type scratch []uint64

// bytes returns a pointer to at least n bytes.
func (s *scratch) bytes(n int) unsafe.Pointer {
	if 8*len(*s) < n {
		*s = make(scratch, n/8+1)
	}
	return unsafe.Pointer(&(*s)[0])
}

// area shrinks src, whose samples have 8 bits unless the plan has a gain.
func (s *scratch) area(dst, src plane, p areaPlan) {
	c := p.columns
	room := s.bytes(4*(int(dst.w)+4) + 6*int(src.w) + 2*c.taps + 16)
	C.kvsf_area(&dst, &src, (*C.kvsf_span)(unsafe.Pointer(&p.rows[0])), (*C.int32_t)(&c.starts[0]), (*C.int16_t)(&c.weights[0]),
		C.int(c.taps), C.uint32_t(p.gain), room)
}

// double makes a plane of chroma twice as wide, and as high if vertical.
func (s *scratch) double(dst, src plane, left, vertical bool) {
	C.kvsf_double(&dst, &src, cint(left), cint(vertical), (*C.uint16_t)(s.bytes(5*int(dst.w)+32)))
}

// convert converts 4:2:0 planes to another colorimetry.
func (s *scratch) convert(dst, src planes, m yuvMatrix) {
	C.kvsf_convert(&dst[0], &src[0], (*C.kvsf_matrix)(unsafe.Pointer(&m)), (*C.int16_t)(s.bytes(2*int(src[0].w)+2)))
}

// toRGB converts 4:4:4 planes to packed pixels.
func (s *scratch) toRGB(dst plane, src planes, m rgbMatrix, bgr bool) {
	c := C.kvsf_rgb{
		y_gain: C.uint16_t(m.yGain), base: C.int16_t(m.base), r_from_v: C.int16_t(m.rFromV),
		g_from_u: C.int16_t(m.gFromU), g_from_v: C.int16_t(m.gFromV), b_from_u: C.int16_t(m.bFromU),
		mixed: cint(m.mixed), r_from_u: C.int16_t(m.rFromU), b_from_v: C.int16_t(m.bFromV),
	}
	C.kvsf_to_rgb(&dst, &src[0], &c, cint(bgr), (*C.uint8_t)(s.bytes(3*int(dst.w))))
}

// stretch converts luma to the range of m.
func stretch(dst, src plane, m yuvMatrix) {
	C.kvsf_stretch(&dst, &src, C.uint16_t(m.yGain), C.int16_t(m.yBase))
}

func copyPlane(dst, src plane) { C.kvsf_copy(&dst, &src) }

func setPlane(dst plane, value uint8) { C.kvsf_set(&dst, C.uint8_t(value)) }

func interleave(dst, u, v plane) { C.kvsf_interleave(&dst, &u, &v) }

// narrow reduces samples of depth bits to 8.
func narrow(dst, src plane, depth int, full bool) {
	C.kvsf_narrow(&dst, &src, C.uint32_t(narrowing(depth, full, 22)))
}

// oneField keeps one field of a plane and interpolates the lines between.
func oneField(dst, src plane, second bool, depth int) {
	C.kvsf_one_field(&dst, &src, cint(second), C.int(1<<depth-1))
}

// turn turns and mirrors a plane of bytes.
func turn(dst, src plane, o orientation) {
	C.kvsf_turn(&dst, &src, cint(o.swap), cint(o.flipX), cint(o.flipY))
}

// setPlainLoops makes all workers use the loops without vector instructions, for tests.
func setPlainLoops(plain bool) { C.kvsf_plain_only = cint(plain) }

func cint(b bool) C.int {
	if b {
		return 1
	}
	return 0
}
