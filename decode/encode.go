//go:build cgo

package decode

import (
	"fmt"

	"github.com/asticode/go-astiav"
	"github.com/kvsframes/kvsframes/decode/jpeg"
	"github.com/kvsframes/kvsframes/media"
)

// encoder turns rendered pictures into the bytes of objects. It belongs to one
// worker.
type encoder struct {
	jpegs *jpeg.Encoder
	// pngs holds an encoder for each size, packet what one returned.
	pngs   lru[pngKey, codec]
	packet packet
	// converted holds a row of macroblocks for each width, in JFIF's colorimetry.
	converted lru[int, frame]
	scratch   scratch
}

func newEncoder() (*encoder, error) {
	p, err := newPacket()
	if err != nil {
		return nil, err
	}
	openObjects.Add(1)
	return &encoder{
		jpegs:     jpeg.NewEncoder(),
		pngs:      lru[pngKey, codec]{limit: keptPNGs},
		packet:    p,
		converted: lru[int, frame]{limit: keptPictures},
	}, nil
}

func (e *encoder) free() {
	e.jpegs.Close()
	openObjects.Add(-1)
	e.pngs.free()
	e.packet.free()
	e.converted.free()
}

// encode returns the image of one sample, in newly allocated memory.
func (e *encoder) encode(t target, o Output, f media.FrameInfo) (media.Image, error) {
	img := o.blank(f, t.w, t.h)
	img.FullRange = t.color.full
	var err error
	switch o.Format {
	case FormatJPEG:
		img.Data, err = e.jpeg(t, o, f)
	case FormatPNG:
		img.Data, err = e.png(t, o, f)
	case FormatNPY:
		img.Data = array(planesOf(t.frame, 1)[0], o, img.Shape)
	default:
		img.Data, err = raw(t)
	}
	return img, err
}

func (e *encoder) jpeg(t target, o Output, f media.FrameInfo) ([]byte, error) {
	var segments []byte
	if o.EXIF {
		segments = exifSegment(f, t.w, t.h)
	}
	p, err := e.jpegPicture(t.frame, t.color)
	if err != nil {
		return nil, err
	}
	return e.jpegs.Encode(p, o.Quality, segments)
}

// jpegPicture returns a yuv420p frame with the colorimetry from as a picture for the JPEG encoder. Each row of macroblocks
// is converted to JFIF's colorimetry when the encoder asks for it, so that it is still in the processor's caches when it
// is encoded.
func (e *encoder) jpegPicture(f frame, from colorimetry) (jpeg.Picture, error) {
	whole := planesOf(f, 3)
	p := jpeg.Picture{Width: f.Width(), Height: f.Height()}
	if from == jfif {
		p.Rows = func(y int) jpeg.Rows {
			r := whole.macroblocks(y).jpeg()
			return jpeg.Rows{Planes: r, Ahead: r}
		}
		return p, nil
	}
	row, err := e.converted.get(f.Width(), func(w int) (frame, error) { return newPicture(w, jpeg.LumaRows, astiav.PixelFormatYuv420P) })
	if err != nil {
		return p, err
	}
	m := conversion(from, jfif)
	p.Rows = func(y int) jpeg.Rows {
		src, dst := whole.macroblocks(y), planesOf(row, 3)
		e.scratch.convert(dst, src, m)
		for i := range dst {
			dst[i].h = src[i].h
		}
		return jpeg.Rows{Planes: dst.jpeg(), Ahead: whole.macroblocks(y + 1).jpeg()}
	}
	return p, nil
}

func (e *encoder) png(t target, o Output, f media.FrameInfo) ([]byte, error) {
	// BT.709 has the primaries of sRGB. Its transfer function differs slightly, which screens and JPEGs ignore, too.
	chunks := appendChunk(nil, "sRGB", []byte{0})
	if o.EXIF {
		chunks = appendChunk(chunks, "eXIf", exifBody(f, t.w, t.h, false))
	}
	return e.encodePNG(t.frame, chunks)
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
