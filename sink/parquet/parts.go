package parquet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/kvsframes/kvsframes/manifest"
)

const (
	magic = "PAR1"
	// huggingFace is the value of the key huggingface of a file. With it datasets reads the column image as pictures; columns that are not named
	// keep their types (huggingface/datasets, features.py, Features.from_arrow_schema).
	huggingFace = `{"info":{"features":{"image":{"_type":"Image"}}}}`
)

// row is a row of the table. Every level of image is optional, since datasets reads pictures only if the type of the column is the very
// type that it would write (huggingface/datasets, features.py, Features.from_arrow_schema).
type row struct {
	Image *image `parquet:"image,optional"`
	manifest.Row
}

// image is the first column. Its bytes, of the first leaf of the schema, are written by pack.
type image struct {
	Bytes []byte `parquet:"bytes,optional"`
	Path  string `parquet:"path,optional,delta"`
}

// chunk is a stretch of a file, in bytes.
type chunk struct{ at, size int64 }

// levels are the definition levels of a page with one image: their size, and a run of one 2, for two optional levels that are there.
var levels = []byte{2, 0, 0, 0, 1 << 1, 2}

// pageHead returns what is before an image of this size, in bytes, in a page of its own: the header, the levels and the size.
func pageHead(size int) ([]byte, error) {
	inside := len(levels) + 4 + size
	if inside > math.MaxInt32 {
		return nil, fmt.Errorf("an image of %d bytes does not fit into Parquet", size)
	}
	head, err := thrift.Marshal(new(thrift.CompactProtocol), format.PageHeader{
		Type: format.DataPage, UncompressedPageSize: int32(inside), CompressedPageSize: int32(inside),
		DataPageHeader: thrift.New(format.DataPageHeader{
			NumValues: 1, Encoding: format.Plain, DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE,
		}),
	})
	if err != nil {
		return nil, err
	}
	return binary.LittleEndian.AppendUint32(append(head, levels...), uint32(size)), nil
}

// footer is what the end of a file states of its row groups.
type footer struct{ format.FileMetaData }

// add adds a row group, whose images are at a place, and returns its other columns, which follow the images. They are taken from a whole file
// with the same rows, without bytes of images.
func (f *footer) add(rows []row, images chunk) ([]byte, error) {
	var file bytes.Buffer
	w := parquet.NewGenericWriter[row](&file,
		parquet.Compression(&zstd.Codec{}), parquet.DataPageVersion(1), // which all readers know
		parquet.CreatedBy("kvsframes", "", ""), // without a version the same samples give the same bytes
		parquet.KeyValueMetadata("huggingface", huggingFace),
	)
	if _, err := w.Write(rows); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	opened, err := parquet.OpenFile(bytes.NewReader(file.Bytes()), int64(file.Len()), parquet.SkipPageIndex(true))
	if err != nil {
		return nil, err
	}
	whole := opened.Metadata()
	if len(whole.RowGroups) != 1 {
		return nil, fmt.Errorf("%d rows are %d row groups", len(rows), len(whole.RowGroups))
	}
	g := whole.RowGroups[0]
	first := placeOf(g.Columns[1])
	columns := chunk{at: first.at}
	for i := range g.Columns[1:] {
		c := &g.Columns[1+i]
		at := placeOf(*c)
		if at.at != columns.at+columns.size {
			return nil, errors.New("a column does not follow the one before")
		}
		columns.size += at.size
		move(c, images.at+images.size-first.at)
	}
	g.Columns[0] = imageColumn(g.Columns[0], len(rows), images)
	g.FileOffset, g.TotalCompressedSize, g.TotalByteSize = images.at, 0, 0
	for _, c := range g.Columns {
		g.TotalCompressedSize += c.MetaData.TotalCompressedSize
		g.TotalByteSize += c.MetaData.TotalUncompressedSize
	}
	if f.Schema == nil {
		f.FileMetaData = *whole
		f.RowGroups, f.NumRows = nil, 0
	}
	g.Ordinal = int16(len(f.RowGroups))
	f.RowGroups = append(f.RowGroups, g)
	f.NumRows += g.NumRows
	return file.Bytes()[columns.at : columns.at+columns.size], nil
}

// placeOf returns where a column of a row group is.
func placeOf(c format.ColumnChunk) chunk {
	at := c.MetaData.DataPageOffset
	if dictionary := c.MetaData.DictionaryPageOffset; dictionary > 0 {
		at = min(at, dictionary)
	}
	return chunk{at, c.MetaData.TotalCompressedSize}
}

// move moves a column by a number of bytes. The index of its pages stays behind: it is at the end of a file.
func move(c *format.ColumnChunk, by int64) {
	c.MetaData.DataPageOffset += by
	if c.MetaData.DictionaryPageOffset > 0 {
		c.MetaData.DictionaryPageOffset += by
	}
	c.FileOffset = 0
	c.OffsetIndexOffset, c.OffsetIndexLength, c.ColumnIndexOffset, c.ColumnIndexLength = 0, 0, 0, 0
}

// imageColumn returns what a footer has of the pages of n images, in place of what it has of as many that are NULL.
func imageColumn(null format.ColumnChunk, n int, images chunk) format.ColumnChunk {
	return format.ColumnChunk{MetaData: format.ColumnMetaData{
		Type: null.MetaData.Type, PathInSchema: null.MetaData.PathInSchema, Codec: format.Uncompressed,
		Encoding: thrift.Slice[format.Encoding]{format.Plain, format.RLE}, NumValues: int64(n),
		TotalUncompressedSize: images.size, TotalCompressedSize: images.size, DataPageOffset: images.at,
		EncodingStats: thrift.Slice[format.PageEncodingStats]{{PageType: format.DataPage, Encoding: format.Plain, Count: int32(n)}},
	}}
}

// encode returns the end of a file.
func (f *footer) encode() ([]byte, error) {
	end, err := thrift.Marshal(new(thrift.CompactProtocol), f.FileMetaData)
	if err != nil {
		return nil, err
	}
	return append(binary.LittleEndian.AppendUint32(end, uint32(len(end))), magic...), nil
}
