package sink

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/kvsframes/kvsframes/media"
)

// LinesContentType is the media type of JSON Lines (the NDJSON specification).
const LinesContentType = "application/x-ndjson"

// FrameRecord is the part of a ManifestRecord about the frame and the size of its image. The fields are in the order of the file.
type FrameRecord struct {
	Stream         string `json:"stream"`
	FragmentNumber string `json:"fragment_number"`
	FrameIndex     int    `json:"frame_index"`
	// ProducerTimestamp and ServerTimestamp are the frame's capture time on the two clocks, RFC 3339 in UTC
	// with milliseconds. ServerTimestamp may be unknown.
	ProducerTimestamp string `json:"producer_timestamp"`
	ServerTimestamp   string `json:"server_timestamp"`
	// PTSMillis is the presentation time, relative to the start of the fragment.
	PTSMillis int64 `json:"pts_ms"`
	Keyframe  bool  `json:"keyframe"`
	// Concealed reports whether parts of the picture are guessed.
	Concealed bool `json:"concealed"`
	// Width and Height are the size of the image, in pixels.
	Width  int    `json:"width"`
	Height int    `json:"height"`
	Sink   string `json:"sink"`
}

// ManifestRecord is one line of a manifest part, about one image. Every line has every key, and the type of
// a key never changes: unknown text is "", an empty list []. The fields are in the order of the file.
type ManifestRecord struct {
	FrameRecord
	// Key is the name of the object, relative to the directory or to bucket and prefix.
	Key    string `json:"key"`
	Format string `json:"format"`
	// Shape is the shape of the array that the object holds; empty for a JPEG or PNG.
	Shape  []int  `json:"shape"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	// Answers are the requested times that the image answers (sampler timestamps), in the format of the
	// timestamps, with more digits where a request has them.
	Answers []string `json:"answers"`
	// Tags are the tags of the fragment, in order: a list and not an object, because names may repeat.
	Tags []media.Tag `json:"tags"`
	// Label is the text that the file of times has for these times.
	Label string `json:"label"`
	// Scores are the measurements of filters and samplers.
	Scores []media.Score `json:"scores"`
	// Config is a digest of the settings that affect the pictures (Options.Config).
	Config string `json:"config"`
}

// encodePart returns a manifest part: one line for each record, ordered by frame index. Equal records give
// equal bytes. config applies to all of them.
func encodePart(records []media.Record, config string) ([]byte, error) {
	ordered := slices.Clone(records)
	slices.SortStableFunc(ordered, func(a, b media.Record) int { return a.Index - b.Index })
	return jsonLines(ordered, func(r media.Record) any { return manifestRecord(r, config) })
}

// jsonLines returns a line of JSON for each item, which record turns into what is written.
func jsonLines[T any](items []T, record func(T) any) ([]byte, error) {
	var all []byte
	for _, item := range items {
		line, err := JSONLine(record(item))
		if err != nil {
			return nil, fmt.Errorf("encode record: %w", err)
		}
		all = append(all, line...)
	}
	return all, nil
}

// JSONLine returns a line of JSON, with < > and & as they are.
func JSONLine(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return b.Bytes(), err
}

// FlatRecord is the part of a ManifestRecord that has neither lists nor the name of an object. Loaders that take types from the first
// records know no empty lists.
type FlatRecord struct {
	FrameRecord
	Format string `json:"format"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Flat returns the part of a record without lists.
func (r ManifestRecord) Flat() FlatRecord {
	return FlatRecord{r.FrameRecord, r.Format, r.Bytes, r.SHA256}
}

func manifestRecord(r media.Record, config string) ManifestRecord {
	return ManifestRecord{
		FrameRecord: FrameRecord{
			Stream:            r.Stream,
			FragmentNumber:    r.FragmentNumber,
			FrameIndex:        r.Index,
			ProducerTimestamp: media.Timestamp(r.ProducerTime),
			ServerTimestamp:   media.Timestamp(r.ServerTime),
			PTSMillis:         Milliseconds(r.PTS),
			Keyframe:          r.FrameInfo.Key,
			Concealed:         r.Concealed,
			Width:             r.Width,
			Height:            r.Height,
			Sink:              r.Sink,
		},
		Key:     r.Key,
		Format:  r.Format,
		Shape:   append([]int{}, r.Shape...),
		Bytes:   r.Bytes,
		SHA256:  r.SHA256,
		Answers: media.Timestamps(r.Answers),
		Tags:    append([]media.Tag{}, r.Tags...),
		Label:   r.Label,
		Scores:  append([]media.Score{}, r.Scores...),
		Config:  config,
	}
}
