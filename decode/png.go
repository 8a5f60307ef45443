//go:build cgo

package decode

import (
	"errors"
	"fmt"

	"github.com/asticode/go-astiav"
)

// keptPNGs is how many sizes a worker keeps an encoder for.
const keptPNGs = 4

// pngOptions are fixed, so that equal pictures are equal files. Level 6 takes twice the time for 2 to 5 % fewer bytes.
var pngOptions = map[string]string{"compression_level": "3", "pred": "paeth"}

type pngKey struct{ w, h int }

// encodePNG returns the PNG of a frame of rgb24, with extra chunks after its header.
func (e *encoder) encodePNG(f frame, chunks []byte) ([]byte, error) {
	c, err := e.pngs.get(pngKey{f.Width(), f.Height()}, openPNG)
	if err != nil {
		return nil, err
	}
	if err := c.SendFrame(f.Frame); err != nil {
		return nil, fmt.Errorf("encode png: %w", err)
	}
	defer e.packet.Unref()
	if err := c.ReceivePacket(e.packet.Packet); err != nil {
		return nil, fmt.Errorf("encode png: %w", err)
	}
	return withChunks(e.packet.Data(), chunks)
}

func openPNG(k pngKey) (codec, error) {
	c := astiav.FindEncoder(astiav.CodecIDPng)
	if c == nil {
		return codec{}, errors.New("libavcodec was built without its PNG encoder")
	}
	return openCodec(c, func(ctx *astiav.CodecContext) error {
		ctx.SetWidth(k.w)
		ctx.SetHeight(k.h)
		ctx.SetPixelFormat(astiav.PixelFormatRgb24)
		ctx.SetTimeBase(astiav.NewRational(1, 1000))
		ctx.SetSampleAspectRatio(astiav.NewRational(1, 1))
		ctx.SetThreadCount(1)
		ctx.SetFlags(astiav.NewCodecContextFlags(astiav.CodecContextFlagBitexact))
		return nil
	}, pngOptions)
}
