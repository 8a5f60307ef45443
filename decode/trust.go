//go:build cgo

package decode

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"unicode"

	"github.com/kvsframes/kvsframes/internal/npy"
	"github.com/kvsframes/kvsframes/media"
)

// What a child process makes is held to what was asked of it.

// blank returns an image of the output without its data.
func (o *Output) blank(f media.FrameInfo, w, h int) media.Image {
	img := media.Image{FrameInfo: f, Sink: o.Sink, Width: w, Height: h, Shape: o.shape(w, h)}
	switch o.Format {
	case FormatJPEG, FormatPNG:
		img.Format, img.Ext, img.ContentType = string(o.Format), o.Format.Ext(), o.Format.ContentType()
	case FormatNPY:
		img.Format, img.Ext, img.ContentType = "npy", "npy", "application/octet-stream"
	default:
		img.Format, img.Ext, img.ContentType = string(o.PixelFormat), string(o.PixelFormat), "application/octet-stream"
	}
	return img
}

// believable reports whether an image of the output can have w x h pixels and size bytes.
func (o *Output) believable(w, h int, size uint64) bool {
	r := o.Resize
	switch {
	case w < 1 || h < 1 || w > maxSide || h > maxSide:
		return false
	case r.Width > 0 && w > r.Width || r.Height > 0 && h > r.Height:
		return false
	case r.Fit == FitPad && (r.Width > 0 && w != r.Width || r.Height > 0 && h != r.Height):
		return false
	}
	if !o.raw() {
		const header, perPixel = 64 << 10, 8 // more than any picture takes
		return size > 0 && size <= header+perPixel*uint64(w)*uint64(h)
	}
	samples := uint64(1)
	for _, n := range o.shape(w, h) {
		samples *= uint64(n)
	}
	if o.Format == FormatNPY {
		return size == npy.HeaderSize+samples*uint64(o.sampleSize())
	}
	return size == samples
}

// complete checks the header of an image that has no metadata yet, and adds the metadata.
func (o *Output) complete(data []byte, img media.Image) ([]byte, error) {
	switch o.Format {
	case FormatNPY:
		if !bytes.HasPrefix(data, npy.Header(o.sampleType(), img.Shape...)) {
			return nil, errNonsense
		}
	case FormatJPEG:
		if w, h := jpegSize(data); w != img.Width || h != img.Height {
			return nil, errNonsense
		}
		if o.EXIF {
			return slices.Insert(data, jfifEnd, exifSegment(img.FrameInfo, img.Width, img.Height)...), nil
		}
	case FormatPNG:
		if w, h := pngSize(data); w != img.Width || h != img.Height {
			return nil, errNonsense
		}
		if o.EXIF {
			return slices.Insert(data, pngStart, appendChunk(nil, "eXIf", exifBody(img.FrameInfo, img.Width, img.Height, false))...), nil
		}
	}
	return data, nil
}

// jfifEnd is the size in bytes of the first marker and of the header that our JPEGs begin with.
const jfifEnd = 2 + 18

// jpegSize returns the size of a JPEG as our encoder makes them: quantisation tables follow the header, and then the size. It returns 0 for
// other data.
func jpegSize(data []byte) (w, h int) {
	const tables, frame = 2 + 2 + 65, 2 + 2 + 15
	start, end := []byte{0xff, 0xd8, 0xff, 0xe0, 0, 16, 'J', 'F', 'I', 'F', 0}, []byte{0xff, 0xd9}
	if len(data) < jfifEnd+tables+frame+len(end) || !bytes.HasPrefix(data, start) || !bytes.HasSuffix(data, end) {
		return 0, 0
	}
	f := data[jfifEnd+tables:]
	if !bytes.HasPrefix(data[jfifEnd:], []byte{0xff, 0xdb, 0, 2 + 65}) || !bytes.HasPrefix(f, []byte{0xff, 0xc0, 0, 17, 8}) {
		return 0, 0
	}
	return int(binary.BigEndian.Uint16(f[7:])), int(binary.BigEndian.Uint16(f[5:]))
}

// pngStart is the size in bytes of what our PNGs begin with: signature, IHDR and the chunk sRGB.
const pngStart = pngHeader + 13

// pngSize returns the size of a PNG as our encoder makes them, or 0 for other data.
func pngSize(data []byte) (w, h int) {
	start, kind := []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR"), []byte{8, 2, 0, 0, 0} // 8 bits, RGB
	end := appendChunk(nil, "IEND", nil)
	if len(data) < pngStart+len(end) || !bytes.HasPrefix(data, start) || !bytes.HasPrefix(data[24:], kind) || !bytes.HasSuffix(data, end) ||
		!bytes.HasPrefix(data[pngHeader:], appendChunk(nil, "sRGB", []byte{0})) {
		return 0, 0
	}
	return int(binary.BigEndian.Uint32(data[16:])), int(binary.BigEndian.Uint32(data[20:]))
}

// printable returns text without anything that a terminal or a log would take for more than text.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}
