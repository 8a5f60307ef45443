package sink

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/kvsframes/kvsframes/media"
)

// partContentType is the media type of JSON Lines (the NDJSON specification).
const partContentType = "application/x-ndjson"

// ManifestRecord is one line of a manifest part: what became of one image. Every line has every
// key, and each key one type for ever: text that is unknown is "", a list without members []. The
// order of the fields is the order in the file.
type ManifestRecord struct {
	Stream         string `json:"stream"`
	FragmentNumber string `json:"fragment_number"`
	FrameIndex     int    `json:"frame_index"`
	// ProducerTimestamp and ServerTimestamp are the frame's capture time on the
	// two clocks, RFC 3339 in UTC with milliseconds. ServerTimestamp may be unknown.
	ProducerTimestamp string `json:"producer_timestamp"`
	ServerTimestamp   string `json:"server_timestamp"`
	// PTSMillis is the presentation time from the start of the fragment.
	PTSMillis int64 `json:"pts_ms"`
	Keyframe  bool  `json:"keyframe"`
	// Concealed reports whether parts of the picture are guessed.
	Concealed bool `json:"concealed"`
	// Width and Height are the image's, in pixels.
	Width  int `json:"width"`
	Height int `json:"height"`
	// Key is the object's name below the directory, or bucket and prefix.
	Sink   string `json:"sink"`
	Key    string `json:"key"`
	Format string `json:"format"`
	// Shape is that of the array whose bytes the object holds; empty for a JPEG or PNG. See shape.
	Shape  []int  `json:"shape"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	// Answers are the times that the image was asked for (sampler timestamps), written as
	// the timestamps are, with more digits where a request has them.
	Answers []string `json:"answers"`
	// Tags are the fragment's, in its order: a list and no object, because names
	// may repeat.
	Tags []media.Tag `json:"tags"`
	// Label is the text beside the times that the image answers.
	Label string `json:"label"`
	// Scores are what filters and samplers measured.
	Scores []media.Score `json:"scores"`
	// Config is what the settings of the pictures come to (Options.Config).
	Config string `json:"config"`
}

// encodePart returns a manifest part: a line for each record, by frame index.
// Equal records give equal bytes. config is that of all of them.
func encodePart(records []media.Record, config string) ([]byte, error) {
	ordered := slices.Clone(records)
	slices.SortStableFunc(ordered, func(a, b media.Record) int { return a.Index - b.Index })
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	for _, r := range ordered {
		if err := encoder.Encode(manifestRecord(r, config)); err != nil {
			return nil, fmt.Errorf("encode record of %s: %w", r.Key, err)
		}
	}
	return b.Bytes(), nil
}

func manifestRecord(r media.Record, config string) ManifestRecord {
	return ManifestRecord{
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
		Key:               r.Key,
		Format:            r.Format,
		Shape:             shape(r.Format, r.Width, r.Height, r.Bytes),
		Bytes:             r.Bytes,
		SHA256:            r.SHA256,
		Answers:           media.Timestamps(r.Answers),
		Tags:              append([]media.Tag{}, r.Tags...),
		Label:             r.Label,
		Scores:            []media.Score{},
		Config:            config,
	}
}

// shape returns the shape of the array of bytes that an image of a format is: rows, columns and
// channels of packed pixels; rows and columns of one plane, where those of chroma stand below luma
// as if they were rows of it (half a row each, or a pair of samples). A picture of an odd size does
// not come out even that way and is one row of bytes. What is no array has no shape.
func shape(format string, width, height int, bytes int64) []int {
	switch format {
	case "rgb24", "bgr24":
		return []int{height, width, 3}
	case "gray":
		return []int{height, width, 1}
	case "nv12", "yuv420p":
		if width%2 == 0 && height%2 == 0 {
			return []int{height * 3 / 2, width}
		}
		return []int{int(bytes)}
	}
	return []int{}
}
