package sink

import (
	"bytes"
	"compress/flate"
	"fmt"
	"slices"
	"sync"

	"github.com/kvsframes/kvsframes/media"
)

// Lines are lines of text that wait until what they belong to is complete: compressed, since there may be many. The zero value has none.
type Lines struct {
	packed [][]byte
	open   []byte
}

// fullBlock is the number of bytes of text that are compressed at once, at least.
const fullBlock = 32 << 10

// Write adds text. It implements io.Writer.
func (l *Lines) Write(p []byte) (int, error) {
	l.open = append(l.open, p...)
	if len(l.open) < fullBlock {
		return len(p), nil
	}
	block, err := compress(l.open)
	if err != nil {
		return 0, err
	}
	l.packed, l.open = append(l.packed, block), l.open[:0]
	return len(p), nil
}

// All returns the text.
func (l *Lines) All() (all []byte, err error) {
	for _, block := range l.packed {
		if all, err = decompress(all, block); err != nil {
			return nil, err
		}
	}
	return append(all, l.open...), nil
}

// packed are the records of images that wait for their group: the lines of a manifest part, compressed.
type packed struct {
	images int
	lines  []byte // nil without a manifest
	there         // what was found in place of the group
}

// compressors are writers that can be used again: each takes some hundred kB.
var compressors = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(nil, flate.BestSpeed) // the level is valid
	return w
}}

// pack packs those records of a fragment that are in the group of a key, the last ones.
func (w *Writer) pack(e ended, key string) (ended, error) {
	first := slices.IndexFunc(e.records, func(r media.Record) bool { return r.Key == key })
	if first < 0 {
		return e, nil
	}
	lines, _, err := w.lines(ended{records: e.records[first:]})
	if err != nil {
		return e, err
	}
	e.packed.images = len(e.records) - first
	e.records = slices.Clone(e.records[:first])
	if len(lines) == 0 {
		return e, nil
	}
	e.packed.lines, err = compress(lines)
	return e, err
}

// unpack appends the lines to others.
func (p packed) unpack(lines []byte) ([]byte, error) {
	if p.lines == nil {
		return lines, nil
	}
	return decompress(lines, p.lines)
}

// compress returns text in fewer bytes.
func compress(text []byte) ([]byte, error) {
	var b bytes.Buffer
	c := compressors.Get().(*flate.Writer)
	defer compressors.Put(c)
	c.Reset(&b)
	_, err := c.Write(text)
	if err == nil {
		err = c.Close()
	}
	return bytes.Clone(b.Bytes()), err
}

// decompress appends what compress got.
func decompress(to, block []byte) ([]byte, error) {
	b := bytes.NewBuffer(to)
	if _, err := b.ReadFrom(flate.NewReader(bytes.NewReader(block))); err != nil {
		return nil, fmt.Errorf("unpack records: %w", err)
	}
	return b.Bytes(), nil
}
