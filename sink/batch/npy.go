package batch

import (
	"fmt"
	"slices"

	"github.com/kvsframes/kvsframes/internal/npy"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
)

// array is the layout of an npy file whose rows are frames. Beside it the records of the frames are a line each, in the same order.
type array struct{}

func (array) Ext() string         { return "npy" }
func (array) ContentType() string { return "application/octet-stream" }
func (array) Beside() []string    { return []string{"jsonl"} }

// Inside implements sink.Layout: a row has no header.
func (array) Inside(img media.Image) media.Image {
	img.Data = img.Data[npy.HeaderSize:]
	return img
}

// NewPack implements sink.Layout.
func (array) NewPack(first media.Image) sink.Pack {
	p := &rows{shape: first.Shape, sample: npy.Uint8, size: 1}
	for _, n := range p.shape {
		p.size *= n
	}
	if len(first.Data) == 4*p.size {
		p.sample, p.size = npy.Float32, 4*p.size
	}
	return p
}

// rows makes one npy file.
type rows struct {
	shape  []int // of a row
	sample string
	size   int // of a row, in bytes
	count  int
	lines  sink.Lines
}

// Joins implements sink.Pack.
func (p *rows) Joins(img media.Image) bool { return slices.Equal(p.shape, img.Shape) }

// Add implements sink.Pack. The header comes first, for a number of rows that is not known yet.
func (p *rows) Add(img media.Image, r sink.ManifestRecord) ([][]byte, error) {
	if len(img.Data) != p.size {
		return nil, fmt.Errorf("the frame has %d bytes, and a row has %d", len(img.Data), p.size)
	}
	line, err := sink.JSONLine(r)
	if err != nil {
		return nil, err
	}
	if _, err := p.lines.Write(line); err != nil {
		return nil, err
	}
	p.count++
	if p.count == 1 {
		return [][]byte{p.Head(), img.Data}, nil
	}
	return [][]byte{img.Data}, nil
}

// Head implements sink.HeadedPack.
func (p *rows) Head() []byte {
	return npy.Header(p.sample, append([]int{p.count}, p.shape...)...)
}

// End implements sink.Pack.
func (p *rows) End() ([]byte, []sink.Companion, error) {
	lines, err := p.lines.All()
	return nil, []sink.Companion{{Body: lines, ContentType: sink.LinesContentType}}, err
}
