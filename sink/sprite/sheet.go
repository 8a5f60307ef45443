package sprite

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"path"

	"github.com/kvsframes/kvsframes/decode"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
)

// layout implements sink.Layout.
type layout struct{ form Form }

func (l layout) Ext() string                      { return l.form.Ext() }
func (l layout) ContentType() string              { return l.form.Format.ContentType() }
func (layout) Beside() []string                   { return []string{"vtt", "json"} }
func (layout) Inside(img media.Image) media.Image { return img }

// NewPack implements sink.Layout. Rows have fewer tiles than they may have where a sheet would be too large otherwise.
func (l layout) NewPack(first media.Image) sink.Pack {
	w, h := max(first.Width, 1), max(first.Height, 1)
	columns := max(1, min(l.form.Columns, maxSide/w, maxPixels/(w*h)))
	rows := max(1, min(maxSide/h, maxPixels/(columns*w*h)))
	return &pack{form: l.form, w: w, h: h, columns: columns, most: rows * columns}
}

// pack makes one sheet. It implements sink.GrowingPack.
type pack struct {
	form    Form
	w, h    int // of a tile
	columns int // of a row that is full
	most    int // of the tiles
	pix     []byte
	tiles   []tile
	name    string // of the object, without its folders
}

// rgba is the size of a pixel of a sheet, and rgb that of a tile, in bytes.
const rgba, rgb = 4, 3

// Joins implements sink.Pack: all tiles have one size.
func (p *pack) Joins(img media.Image) bool {
	return img.Width == p.w && img.Height == p.h && len(p.tiles) < p.most
}

// Add implements sink.Pack.
func (p *pack) Add(img media.Image, r sink.ManifestRecord) ([][]byte, error) {
	if img.Width != p.w || img.Height != p.h || len(img.Data) != rgb*p.w*p.h {
		return nil, fmt.Errorf("a picture of %dx%d pixels and %d bytes is no tile of %dx%d", img.Width, img.Height, len(img.Data), p.w, p.h)
	}
	n, stride := len(p.tiles), rgba*p.columns*p.w
	if n%p.columns == 0 { // a further row, black until it has tiles
		row := make([]byte, stride*p.h)
		for i := rgba - 1; i < len(row); i += rgba {
			row[i] = 0xff
		}
		p.pix = append(p.pix, row...)
	}
	t := tile{
		X: n % p.columns * p.w, Y: n / p.columns * p.h, at: img.ProducerTime,
		ProducerTimestamp: r.ProducerTimestamp, ServerTimestamp: r.ServerTimestamp, FragmentNumber: r.FragmentNumber, FrameIndex: r.FrameIndex,
	}
	for y := range p.h {
		from, to := img.Data[y*p.w*rgb:][:p.w*rgb], p.pix[(t.Y+y)*stride+t.X*rgba:]
		for x := range p.w {
			copy(to[x*rgba:], from[x*rgb:][:rgb])
		}
	}
	p.tiles = append(p.tiles, t)
	p.name = path.Base(r.Key)
	return nil, nil
}

// SoFar implements sink.GrowingPack.
func (p *pack) SoFar() ([]byte, []sink.Companion, error) {
	sheet := &image.RGBA{Pix: p.pix, Stride: rgba * p.columns * p.w, Rect: image.Rect(0, 0, min(len(p.tiles), p.columns)*p.w, len(p.pix)/(rgba*p.columns*p.w))}
	var b bytes.Buffer
	var err error
	if p.form.Format == decode.FormatPNG {
		err = png.Encode(&b, sheet)
	} else {
		err = jpeg.Encode(&b, sheet, &jpeg.Options{Quality: p.form.Quality})
	}
	if err != nil {
		return nil, nil, err
	}
	index, err := p.index(sheet.Rect.Dx(), sheet.Rect.Dy())
	return b.Bytes(), []sink.Companion{{Body: p.cues(), ContentType: "text/vtt"}, {Body: index, ContentType: "application/json"}}, err
}

// End implements sink.Pack.
func (p *pack) End() ([]byte, []sink.Companion, error) { return p.SoFar() }
