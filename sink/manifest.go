package sink

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// partContentType is the media type of JSON Lines (the NDJSON specification).
const partContentType = "application/x-ndjson"

// ManifestRecord is one line of a manifest part: what became of one image. The
// order of the fields is the order in the file.
type ManifestRecord struct {
	Stream         string `json:"stream"`
	FragmentNumber string `json:"fragment_number"`
	FrameIndex     int    `json:"frame_index"`
	// ProducerTimestamp and ServerTimestamp are the frame's capture time on the
	// two clocks, RFC 3339 in UTC with milliseconds. ServerTimestamp is left out
	// when it is unknown.
	ProducerTimestamp string `json:"producer_timestamp"`
	ServerTimestamp   string `json:"server_timestamp,omitempty"`
	// PTSMillis is the presentation time from the start of the fragment.
	PTSMillis int64 `json:"pts_ms"`
	Keyframe  bool  `json:"keyframe"`
	// Width and Height are the image's, in pixels.
	Width  int `json:"width"`
	Height int `json:"height"`
	// Key is the object's name below the directory, or bucket and prefix.
	Sink   string `json:"sink"`
	Key    string `json:"key"`
	Format string `json:"format"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	// Concealed is left out when the picture is whole.
	Concealed bool `json:"concealed,omitempty"`
	// Answers are the times that the image was asked for (sampler timestamps), written as
	// the timestamps are, with more digits where a request has them.
	Answers []string `json:"answers,omitempty"`
	// Tags are the fragment's, in its order: a list and no object, because names
	// may repeat.
	Tags []media.Tag `json:"tags,omitempty"`
}

// encodePart returns a manifest part: a line for each record, by frame index.
// Equal records give equal bytes.
func encodePart(records []media.Record) ([]byte, error) {
	ordered := slices.Clone(records)
	slices.SortStableFunc(ordered, func(a, b media.Record) int { return a.Index - b.Index })
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	for _, r := range ordered {
		if err := encoder.Encode(manifestRecord(r)); err != nil {
			return nil, fmt.Errorf("encode record of %s: %w", r.Key, err)
		}
	}
	return b.Bytes(), nil
}

func manifestRecord(r media.Record) ManifestRecord {
	var answers []string
	for _, t := range r.Answers {
		text := timestamp(t)
		if t.Nanosecond()%1e6 != 0 {
			text = t.UTC().Format(time.RFC3339Nano)
		}
		answers = append(answers, text)
	}
	return ManifestRecord{
		Stream:            r.Stream,
		FragmentNumber:    r.FragmentNumber,
		FrameIndex:        r.Index,
		ProducerTimestamp: timestamp(r.ProducerTime),
		ServerTimestamp:   timestamp(r.ServerTime),
		PTSMillis:         milliseconds(r.PTS),
		Keyframe:          r.FrameInfo.Key,
		Width:             r.Width,
		Height:            r.Height,
		Sink:              r.Sink,
		Key:               r.Key,
		Format:            r.Format,
		Bytes:             r.Bytes,
		SHA256:            r.SHA256,
		Concealed:         r.Concealed,
		Answers:           answers,
		Tags:              r.Tags,
	}
}

// timestamp is a time as records show it, or "" if it is zero.
func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z07:00")
}
