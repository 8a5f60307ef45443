//go:build cgo

package decode

import (
	"fmt"

	"github.com/kvsframes/kvsframes/media"
)

// encoder turns rendered pictures into the bytes of objects. It belongs to one
// worker.
type encoder struct {
	jpegs *jpegEncoder
	pngs  *pngEncoder
}

func newEncoder() (*encoder, error) {
	png, err := newPNGEncoder()
	if err != nil {
		return nil, err
	}
	return &encoder{jpegs: newJPEGEncoder(), pngs: png}, nil
}

func (e *encoder) free() {
	e.jpegs.free()
	e.pngs.free()
}

// encode returns the object of one sample, in memory of its own.
func (e *encoder) encode(t target, o Output, f media.FrameInfo) (media.Image, error) {
	img := media.Image{FrameInfo: f, Sink: o.Sink, Width: t.w, Height: t.h}
	var err error
	switch o.Format {
	case FormatJPEG:
		img.Format, img.Ext, img.ContentType = "jpeg", "jpg", "image/jpeg"
		img.Data, err = e.jpeg(t, o, f)
	case FormatPNG:
		img.Format, img.Ext, img.ContentType = "png", "png", "image/png"
		img.Data, err = e.png(t, o, f)
	default:
		img.Format, img.Ext, img.ContentType = string(o.PixelFormat), string(o.PixelFormat), "application/octet-stream"
		img.Data, err = raw(t)
	}
	return img, err
}

func (e *encoder) jpeg(t target, o Output, f media.FrameInfo) ([]byte, error) {
	var segments []byte
	if o.EXIF {
		segments = exifSegment(f, t.w, t.h)
	}
	q := quantisersAt(o.Quality)
	return e.jpegs.encode(t.frame, t.color, &q, segments)
}

func (e *encoder) png(t target, o Output, f media.FrameInfo) ([]byte, error) {
	// The primaries of BT.709 are sRGB's; what its transfer differs by, screens and JPEGs ignore, too.
	chunks := appendChunk(nil, "sRGB", []byte{0})
	if o.EXIF {
		chunks = appendChunk(chunks, "eXIf", exifBody(f, t.w, t.h, false))
	}
	return e.pngs.encode(t.frame, chunks)
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
