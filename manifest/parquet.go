package manifest

import (
	"io"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/kvsframes/kvsframes/sink"
)

// rowGroup is the largest number of rows of a row group, which the writer keeps in memory.
const rowGroup = 50_000

// row is a record as the manifest has it.
type row struct {
	FileName string `parquet:"file_name,delta"` // of the loader of image folders of Hugging Face
	Row
}

// Row is a record as Parquet has it, here and in sinks of type parquet. Times are timestamps in UTC; an unknown one is NULL.
type Row struct {
	Stream            string      `parquet:"stream,dict"`
	FragmentNumber    string      `parquet:"fragment_number,delta"`
	FrameIndex        int32       `parquet:"frame_index"`
	ProducerTimestamp *time.Time  `parquet:"producer_timestamp,optional,timestamp(microsecond)"`
	ServerTimestamp   *time.Time  `parquet:"server_timestamp,optional,timestamp(microsecond)"`
	PTSMillis         int64       `parquet:"pts_ms"`
	Keyframe          bool        `parquet:"keyframe"`
	Concealed         bool        `parquet:"concealed"`
	Width             int32       `parquet:"width"`
	Height            int32       `parquet:"height"`
	Sink              string      `parquet:"sink,dict"`
	Key               string      `parquet:"key,delta"`
	Format            string      `parquet:"format,dict"`
	Shape             []int32     `parquet:"shape,list"`
	Bytes             int64       `parquet:"bytes"`
	SHA256            string      `parquet:"sha256"`
	Answers           []time.Time `parquet:"answers,list" parquet-element:",timestamp(microsecond)"`
	Tags              []tag       `parquet:"tags,list"`
	Label             string      `parquet:"label,dict"`
	Scores            []score     `parquet:"scores,list"`
	Config            string      `parquet:"config,dict"`
}

type tag struct {
	Name  string `parquet:"name"`
	Value string `parquet:"value"`
}

type score struct {
	Name  string  `parquet:"name"`
	Value float64 `parquet:"value"`
}

// parquetWriter writes Parquet.
type parquetWriter struct{ *parquet.GenericWriter[row] }

func newParquet(to io.Writer) *parquetWriter {
	return &parquetWriter{parquet.NewGenericWriter[row](to,
		parquet.Compression(&zstd.Codec{}), parquet.MaxRowsPerRowGroup(rowGroup),
		parquet.CreatedBy("kvsframes", "", ""), // without a version the same records give the same bytes
	)}
}

func (w *parquetWriter) write(line []byte) error {
	r, err := parse(line)
	if err != nil {
		return err
	}
	out, err := NewRow(r)
	if err != nil {
		return err
	}
	_, err = w.Write([]row{{r.Key, out}})
	return err
}

func (w *parquetWriter) end() error { return w.Close() }

// NewRow returns a record as Parquet has it, and an error if one of its times is none.
func NewRow(r *sink.ManifestRecord) (Row, error) {
	out := Row{
		Stream: r.Stream, FragmentNumber: r.FragmentNumber, FrameIndex: int32(r.FrameIndex), PTSMillis: r.PTSMillis, Keyframe: r.Keyframe, Concealed: r.Concealed,
		Width: int32(r.Width), Height: int32(r.Height), Sink: r.Sink, Key: r.Key, Format: r.Format, Bytes: r.Bytes, SHA256: r.SHA256,
		Label: r.Label, Config: r.Config,
	}
	for _, n := range r.Shape {
		out.Shape = append(out.Shape, int32(n))
	}
	for _, t := range r.Tags {
		out.Tags = append(out.Tags, tag(t))
	}
	for _, s := range r.Scores {
		out.Scores = append(out.Scores, score(s))
	}
	var err error
	if out.ProducerTimestamp, err = when("producer_timestamp", r.ProducerTimestamp); err != nil {
		return out, err
	}
	if out.ServerTimestamp, err = when("server_timestamp", r.ServerTimestamp); err != nil {
		return out, err
	}
	for _, text := range r.Answers {
		t, err := when("answers", text)
		if err != nil || t == nil {
			return out, badTime("answers", text)
		}
		out.Answers = append(out.Answers, *t)
	}
	return out, nil
}

// when returns a time of a record, nil for an unknown one.
func when(name, text string) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return nil, badTime(name, text)
	}
	return &t, nil
}
