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
	Stream            string `json:"stream" doc:"the stream"`
	FragmentNumber    string `json:"fragment_number" doc:"the fragment"`
	FrameIndex        int    `json:"frame_index" doc:"the place of the frame in its fragment, in presentation order, from 0, sampled or not"`
	ProducerTimestamp string `json:"producer_timestamp" doc:"the capture time on the clock of the producer"`
	ServerTimestamp   string `json:"server_timestamp" doc:"the capture time on the clock of the server"`
	PTSMillis         int64  `json:"pts_ms" doc:"milliseconds from the start of the fragment"`
	Keyframe          bool   `json:"keyframe" doc:"whether it is a key frame"`
	Concealed         bool   `json:"concealed" doc:"whether parts of the picture are guessed, since data is missing"`
	Width             int    `json:"width" doc:"the width of the image in pixels"`
	Height            int    `json:"height" doc:"the height of the image in pixels"`
	Sink              string `json:"sink" doc:"the sink"`
}

// ManifestRecord is one line of a manifest part, about one image. Every line has every key, and the type of
// a key never changes: unknown text is "", an empty list []. The fields are in the order of the file.
type ManifestRecord struct {
	FrameRecord
	Key     string        `json:"key" doc:"the name of the object, relative to the directory or to bucket and prefix"`
	Format  string        `json:"format" doc:"jpeg, png, npy, or of bare pixels the pixel format"`
	Shape   []int         `json:"shape" doc:"the shape of the array that the object holds: [rows, columns, channels] of rgb24, bgr24 and gray, of npy also [channels, rows, columns], and [rows, columns] of gray; [rows * 3 / 2, columns] of nv12 and yuv420p, where chroma follows luma ([bytes] when a side is odd); [] of JPEG and PNG"`
	Bytes   int64         `json:"bytes" doc:"the size of the image: of the object, or of its part of an object of several images"`
	SHA256  string        `json:"sha256" doc:"the SHA-256 of the same bytes"`
	Answers []string      `json:"answers" doc:"the requested times that this frame answers (sampler timestamps), with more digits where a request has them"`
	Tags    []media.Tag   `json:"tags" doc:"the tags of the fragment, in order; names may repeat"`
	Label   string        `json:"label" doc:"the text that the file of times has for those times"`
	Scores  []media.Score `json:"scores" doc:"what samplers and filters measured, in their order"`
	Config  string        `json:"config" doc:"8 hex digits that identify the settings that affect the picture and its name"`
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
