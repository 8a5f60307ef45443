//go:build cgo

package decode

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/asticode/go-astiav"

	"github.com/kvsframes/kvsframes/media"
)

// keptEncoders is how many JPEG encoders a worker keeps.
const keptEncoders = 8

// lambda is libav's FF_QP2LAMBDA: the scale of a frame's quality.
const lambda = 118

// unitQuantiser is the quantiser at which libav's JPEG encoder uses its tables as they are.
const unitQuantiser = 8

// The example tables of ITU-T T.81, Annex K, tables K.1 and K.2, in natural order.
var (
	lumaTable = [64]uint16{
		16, 11, 10, 16, 24, 40, 51, 61,
		12, 12, 14, 19, 26, 58, 60, 55,
		14, 13, 16, 24, 40, 57, 69, 56,
		14, 17, 22, 29, 51, 87, 80, 62,
		18, 22, 37, 56, 68, 109, 103, 77,
		24, 35, 55, 64, 81, 104, 113, 92,
		49, 64, 78, 87, 103, 121, 120, 101,
		72, 92, 95, 98, 112, 100, 103, 99,
	}
	chromaTable = [64]uint16{
		17, 18, 24, 47, 99, 99, 99, 99,
		18, 21, 26, 66, 99, 99, 99, 99,
		24, 26, 56, 99, 99, 99, 99, 99,
		47, 66, 99, 99, 99, 99, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99,
	}
)

// atQuality scales a table as the Independent JPEG Group's library does for a
// quality of 1..100. libav's encoder takes all of it but the first entry: it quantises
// mean brightness in steps of one level at any quality.
func atQuality(table *[64]uint16, quality int) *[64]uint16 {
	percent := 200 - 2*quality
	if quality < 50 {
		percent = 5000 / quality
	}
	var t [64]uint16
	for i, v := range table {
		t[i] = uint16(min(max((int(v)*percent+50)/100, 1), 255))
	}
	return &t
}

type encoderKey struct{ w, h, quality int }

// encoder turns rendered pictures into the bytes of objects. It belongs to one
// worker.
type encoder struct {
	jpegs  kept[encoderKey, codec]
	packet packet
	// clock is the encoder's own timestamp: libav refuses one that does not grow.
	clock int64
}

func newEncoder() (*encoder, error) {
	p, err := newPacket()
	if err != nil {
		return nil, err
	}
	return &encoder{jpegs: kept[encoderKey, codec]{limit: keptEncoders}, packet: p}, nil
}

func (e *encoder) free() {
	e.jpegs.free()
	e.packet.free()
}

// encode returns the object of one sample, in memory of its own.
func (e *encoder) encode(t target, o Output, f media.FrameInfo) (media.Image, error) {
	img := media.Image{FrameInfo: f, Sink: o.Sink, Width: t.w, Height: t.h}
	var err error
	if o.Format == FormatJPEG {
		img.Format, img.Ext, img.ContentType = "jpeg", "jpg", "image/jpeg"
		img.Data, err = e.jpeg(t, o, f)
	} else {
		img.Format, img.Ext, img.ContentType = string(o.PixelFormat), string(o.PixelFormat), "application/octet-stream"
		img.Data, err = raw(t)
	}
	return img, err
}

// raw copies the pixels without padding: plane after plane, or packed.
func raw(t target) ([]byte, error) {
	size, err := t.ImageBufferSize(1)
	if err != nil {
		return nil, fmt.Errorf("size raw frame: %w", err)
	}
	data := make([]byte, size)
	if _, err := t.ImageCopyToBuffer(data, 1); err != nil {
		return nil, fmt.Errorf("copy raw frame: %w", err)
	}
	return data, nil
}

func (e *encoder) jpeg(t target, o Output, f media.FrameInfo) ([]byte, error) {
	c, err := e.jpegs.get(encoderKey{t.w, t.h, o.Quality}, openJPEG)
	if err != nil {
		return nil, err
	}
	e.clock++
	t.SetPts(e.clock)
	t.setQuality(unitQuantiser * lambda)
	t.SetPictureType(astiav.PictureTypeNone)
	t.SetColorRange(astiav.ColorRangeJpeg)
	if err := c.SendFrame(t.Frame); err != nil {
		return nil, fmt.Errorf("encode jpeg: %w", err)
	}
	defer e.packet.Unref()
	if err := c.ReceivePacket(e.packet.Packet); err != nil {
		return nil, fmt.Errorf("encode jpeg: %w", err)
	}
	data := e.packet.Data()
	if !bytes.HasPrefix(data, []byte{0xff, 0xd8}) {
		return nil, errors.New("encode jpeg: libav returned no JPEG")
	}
	if o.EXIF {
		data = withEXIF(data, f)
	}
	return data, nil
}

func openJPEG(k encoderKey) (codec, error) {
	c := astiav.FindEncoder(astiav.CodecIDMjpeg)
	if c == nil {
		return codec{}, errors.New("libavcodec was built without its JPEG encoder")
	}
	return openCodec(c, func(ctx *astiav.CodecContext) error {
		ctx.SetWidth(k.w)
		ctx.SetHeight(k.h)
		ctx.SetPixelFormat(astiav.PixelFormatYuv420P)
		ctx.SetColorRange(astiav.ColorRangeJpeg)
		ctx.SetTimeBase(astiav.NewRational(1, 1000))
		ctx.SetSampleAspectRatio(astiav.NewRational(1, 1)) // without it libav writes no JFIF header
		ctx.SetThreadCount(1)
		// Bit-exact leaves out the comment that names libav's version, so that
		// equal pictures are equal files.
		ctx.SetFlags(astiav.NewCodecContextFlags(astiav.CodecContextFlagQscale, astiav.CodecContextFlagBitexact))
		return setTables(ctx, atQuality(&lumaTable, k.quality), atQuality(&chromaTable, k.quality))
	}, nil)
}
