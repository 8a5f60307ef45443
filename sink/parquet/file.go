package parquet

import (
	"github.com/kvsframes/kvsframes/manifest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
)

const (
	// rowGroupSize is the size of the images, in bytes, with which a row group ends.
	rowGroupSize = 32 << 20
	// rowGroupRows is the largest number of rows of a row group. Their records wait in memory.
	rowGroupRows = 10_000
)

// layout implements sink.Layout.
type layout struct{}

func (layout) Ext() string                        { return "parquet" }
func (layout) ContentType() string                { return "application/vnd.apache.parquet" }
func (layout) Beside() []string                   { return nil }
func (layout) Inside(img media.Image) media.Image { return img }
func (layout) NewPack(media.Image) sink.Pack      { return &pack{} }

// pack makes one file: row groups, of which each is the pages of the images and behind them the other columns, and a footer.
type pack struct {
	size   int64 // of the file so far
	rows   []row // of the row group that is being written
	images chunk // its images
	footer footer
}

// names are the names of images: those that a sink of type image gives by default.
var names = func() *sink.Template {
	t, err := sink.ParsePath(sink.DefaultConfig().Path)
	if err != nil {
		panic(err)
	}
	return t
}()

// Joins implements sink.Pack.
func (*pack) Joins(media.Image) bool { return true }

// Add implements sink.Pack.
func (p *pack) Add(img media.Image, r sink.ManifestRecord) ([][]byte, error) {
	record, err := manifest.NewRow(&r)
	if err != nil {
		return nil, err
	}
	var head []byte
	if p.size == 0 {
		head = []byte(magic)
		p.images.at = int64(len(magic))
	}
	page, err := pageHead(len(img.Data))
	if err != nil {
		return nil, err
	}
	p.rows = append(p.rows, row{Image: &image{Path: names.Image(img, "")}, Row: record})
	p.images.size += int64(len(page) + len(img.Data))
	pieces := [][]byte{append(head, page...), img.Data}
	p.size = p.images.at + p.images.size
	if p.images.size < rowGroupSize && len(p.rows) < rowGroupRows {
		return pieces, nil
	}
	columns, err := p.endRowGroup()
	return append(pieces, columns), err
}

// endRowGroup returns the columns behind the images of the row group that is being written, and begins another one.
func (p *pack) endRowGroup() ([]byte, error) {
	columns, err := p.footer.add(p.rows, p.images)
	if err != nil {
		return nil, err
	}
	p.size += int64(len(columns))
	p.rows, p.images = p.rows[:0], chunk{at: p.size}
	return columns, nil
}

// End implements sink.Pack.
func (p *pack) End() (end []byte, beside []sink.Companion, err error) {
	if len(p.rows) > 0 {
		if end, err = p.endRowGroup(); err != nil {
			return nil, nil, err
		}
	}
	footer, err := p.footer.encode()
	return append(end, footer...), nil, err
}
