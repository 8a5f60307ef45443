//go:build cgo

package decode

/*
#cgo pkg-config: libavcodec libavformat libavutil libswscale
#cgo CFLAGS: -O3
#include <stdlib.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>
#include "coverage.h"
#include "picture.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/asticode/go-astiav"
)

// openObjects counts the libav objects that are not freed. Tests check that none are left.
var openObjects atomic.Int64

// OpenObjects returns the number of libav's objects that this process holds: decoders, pictures and what converts them. It grows with
// the streams and the workers, and not with time.
func OpenObjects() int64 { return openObjects.Load() }

// errNoMemory is the error if one of libav's allocators returns nil.
var errNoMemory = errors.New("libav is out of memory")

// failure returns the error of a call of libav that returned n, or nil. doing names the call.
func failure(doing string, n C.int) error {
	if n < 0 {
		return fmt.Errorf("%s: %w", doing, astiav.Error(n))
	}
	return nil
}

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

// newPicture returns a frame with its own buffer.
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

// openCodec opens a codec context, which set prepares, with libav options by name.
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
		C.kvsf_unwatch(c.UnsafePointer())
		c.CodecContext.Free()
		openObjects.Add(-1)
	}
}
