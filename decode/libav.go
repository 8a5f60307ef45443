//go:build cgo

package decode

/*
#cgo pkg-config: libavcodec libavformat libavutil libswscale
#cgo CFLAGS: -O3
#include <stdlib.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>
#include "libav.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"github.com/asticode/go-astiav"
)

// openObjects counts the libav objects that are alive. Tests hold it at zero.
var openObjects atomic.Int64

// errNoMemory is what a nil from one of libav's allocators means.
var errNoMemory = errors.New("libav is out of memory")

// libav writes to standard error by itself; what it would say reaches the user
// as errors and gaps.
func init() { astiav.SetLogLevel(astiav.LogLevelQuiet) }

// LibavVersions returns the versions of the linked libav libraries by name, and
// the licence and the configuration they were built with.
func LibavVersions() (versions map[string]string, licence, configuration string) {
	version := func(v C.uint) string { return fmt.Sprintf("%d.%d.%d", v>>16, v>>8&0xff, v&0xff) }
	return map[string]string{
		"ffmpeg":      C.GoString(C.av_version_info()),
		"libavcodec":  version(C.avcodec_version()),
		"libavformat": version(C.avformat_version()),
		"libavutil":   version(C.avutil_version()),
		"libswscale":  version(C.swscale_version()),
	}, C.GoString(C.avcodec_license()), C.GoString(C.avcodec_configuration())
}

// frame owns one AVFrame and is freed once.
type frame struct{ *astiav.Frame }

func newFrame() (frame, error) {
	f := astiav.AllocFrame()
	if f == nil {
		return frame{}, errNoMemory
	}
	openObjects.Add(1)
	return frame{f}, nil
}

// newPicture returns a frame with a buffer of its own.
func newPicture(w, h int, format astiav.PixelFormat) (frame, error) {
	f, err := newFrame()
	if err != nil {
		return frame{}, err
	}
	f.SetWidth(w)
	f.SetHeight(h)
	f.SetPixelFormat(format)
	if err := f.AllocBuffer(0); err != nil {
		f.free()
		return frame{}, fmt.Errorf("allocate picture of %dx%d: %w", w, h, err)
	}
	return f, nil
}

func (f frame) free() {
	if f.Frame != nil {
		f.Frame.Free()
		openObjects.Add(-1)
	}
}

// packet owns one AVPacket and is freed once.
type packet struct{ *astiav.Packet }

func newPacket() (packet, error) {
	p := astiav.AllocPacket()
	if p == nil {
		return packet{}, errNoMemory
	}
	openObjects.Add(1)
	return packet{p}, nil
}

func (p packet) free() {
	if p.Packet != nil {
		p.Packet.Free()
		openObjects.Add(-1)
	}
}

// codec owns one AVCodecContext, decoder or encoder, and is freed once.
type codec struct{ *astiav.CodecContext }

// openCodec opens a context that set has prepared, with libav options by name.
func openCodec(c *astiav.Codec, set func(*astiav.CodecContext) error, options map[string]string) (codec, error) {
	ctx := astiav.AllocCodecContext(c)
	if ctx == nil {
		return codec{}, errNoMemory
	}
	openObjects.Add(1)
	opened := codec{ctx}
	dict := astiav.NewDictionary()
	defer dict.Free()
	err := set(ctx)
	for k, v := range options {
		err = errors.Join(err, dict.Set(k, v, astiav.NewDictionaryFlags()))
	}
	if err == nil {
		err = ctx.Open(c, dict)
	}
	if err != nil {
		opened.free()
		return codec{}, fmt.Errorf("open %s: %w", c.Name(), err)
	}
	return opened, nil
}

func (c codec) free() {
	if c.CodecContext != nil {
		c.CodecContext.Free()
		openObjects.Add(-1)
	}
}

// flush makes a drained decoder ready for the next fragment.
func (c codec) flush() { C.kvsf_flush(c.UnsafePointer()) }

// scaler owns one SwsContext and is freed once.
type scaler struct{ c unsafe.Pointer }

// scalerKey is everything that a scaler depends on.
type scalerKey struct {
	sw, sh    int
	sf        astiav.PixelFormat
	dw, dh    int
	df        astiav.PixelFormat
	matrix    int
	full      bool
	dstMatrix int
	dstFull   bool
}

func newScaler(k scalerKey) (scaler, error) {
	// Area averages all pixels that a target pixel covers; it is meant for
	// smaller targets only.
	flags := C.int(C.SWS_AREA)
	if k.dw > k.sw || k.dh > k.sh {
		flags = C.SWS_BICUBIC
	}
	c := C.kvsf_scaler_new(C.int(k.sw), C.int(k.sh), C.int(k.sf), C.int(k.dw), C.int(k.dh), C.int(k.df),
		flags|C.SWS_ACCURATE_RND, C.int(k.matrix), cbool(k.full), C.int(k.dstMatrix), cbool(k.dstFull))
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

// scale scales the crop of src whose size the scaler was made for.
func (s scaler) scale(dst, src frame, crop rect) error {
	if n := C.kvsf_scale(s.c, src.UnsafePointer(), C.int(crop.x), C.int(crop.y), C.int(crop.h), dst.UnsafePointer()); n < 0 {
		return fmt.Errorf("scale picture: %w", astiav.Error(n))
	}
	return nil
}

func cbool(b bool) C.int {
	if b {
		return 1
	}
	return 0
}

// fill paints the whole picture with one colour, given by component.
func (f frame) fill(color [4]uint32) error {
	if n := C.kvsf_fill(f.UnsafePointer(), (*C.uint32_t)(&color[0])); n < 0 {
		return fmt.Errorf("fill picture: %w", astiav.Error(n))
	}
	return nil
}

// paste copies src into f at x, y, which are even. Both have the same format.
func (f frame) paste(src frame, x, y int) {
	C.kvsf_paste(f.UnsafePointer(), C.int(x), C.int(y), src.UnsafePointer())
}

// convert writes src, in other YCbCr terms, to f. Both are 8-bit 4:2:0.
func (f frame) convert(src frame, m yuvMatrix) {
	c := C.kvsf_matrix{
		y_gain: C.int32_t(m.yGain), y_from_u: C.int32_t(m.yFromU), y_from_v: C.int32_t(m.yFromV), y_base: C.int32_t(m.yBase),
		u_from_u: C.int32_t(m.uFromU), u_from_v: C.int32_t(m.uFromV), u_base: C.int32_t(m.uBase),
		v_from_u: C.int32_t(m.vFromU), v_from_v: C.int32_t(m.vFromV), v_base: C.int32_t(m.vBase),
	}
	C.kvsf_convert(f.UnsafePointer(), src.UnsafePointer(), &c)
}
