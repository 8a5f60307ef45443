package s3

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
)

// MetadataField describes a name in the user metadata of an image.
type MetadataField struct {
	Name string
	// Set is the smallest set that has it.
	Set MetadataSet
	// Doc states what its value is.
	Doc   string
	value func(img media.Image, runID string) string // "" where the name is left out
}

// The names and values of the kvs set are those of the managed image delivery (Kinesis Video Streams Developer Guide,
// Automated image generation).
var metadataFields = []MetadataField{
	{"aws_kinesisvideo_fragment_number", MetadataKVS, "the number of the fragment", func(i media.Image, _ string) string { return headerValue(i.FragmentNumber) }},
	{"aws_kinesisvideo_producer_timestamp", MetadataKVS, "the capture time on the clock of the producer, in milliseconds since the Unix epoch; absent if unknown", func(i media.Image, _ string) string { return epochMillis(i.ProducerTime) }},
	{"aws_kinesisvideo_server_timestamp", MetadataKVS, "the capture time on the clock of the server, likewise", func(i media.Image, _ string) string { return epochMillis(i.ServerTime) }},
	{"kvsframes_stream", MetadataFull, "the name of the stream", func(i media.Image, _ string) string { return headerValue(i.Stream) }},
	{"kvsframes_sink", MetadataFull, "the name of the sink", func(i media.Image, _ string) string { return headerValue(i.Sink) }},
	{"kvsframes_frame_index", MetadataFull, "the place of the frame in its fragment", func(i media.Image, _ string) string { return strconv.Itoa(i.Index) }},
	{"kvsframes_pts_ms", MetadataFull, "milliseconds from the start of the fragment", func(i media.Image, _ string) string { return strconv.FormatInt(sink.Milliseconds(i.PTS), 10) }},
	{"kvsframes_keyframe", MetadataFull, "true of a key frame, else false", func(i media.Image, _ string) string { return strconv.FormatBool(i.Key) }},
	{"kvsframes_width", MetadataFull, "the width of the image in pixels", func(i media.Image, _ string) string { return strconv.Itoa(i.Width) }},
	{"kvsframes_height", MetadataFull, "the height of the image in pixels", func(i media.Image, _ string) string { return strconv.Itoa(i.Height) }},
	{"kvsframes_format", MetadataFull, "the form of the image, as in its record", func(i media.Image, _ string) string { return headerValue(i.Format) }},
	{"kvsframes_run_id", MetadataFull, "the name of the run", func(_ media.Image, runID string) string { return headerValue(runID) }},
}

// MetadataFields returns the names that may be in the user metadata of an image.
func MetadataFields() []MetadataField { return slices.Clone(metadataFields) }

// Metadata implements sink.Describer: it returns the user metadata of an image.
func (c Config) Metadata(img media.Image, runID string) map[string]string {
	if c.MetadataSet == MetadataNone {
		return nil
	}
	m := map[string]string{}
	for _, f := range metadataFields {
		if f.Set != MetadataKVS && f.Set != c.MetadataSet {
			continue
		}
		if value := f.value(img, runID); value != "" {
			m[f.Name] = value
		}
	}
	return m
}

// epochMillis formats a time in milliseconds since the Unix epoch; "" if it is unknown.
func epochMillis(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.UnixMilli(), 10)
}

// maxHeaderValue bounds a metadata value, in bytes: S3 accepts 2 KB for all metadata of an object (Amazon S3
// User Guide, Working with object metadata).
const maxHeaderValue = 384

// headerValue makes text fit for an HTTP header. It escapes all but visible ASCII, and the percent sign, as in
// a URL, so that the text can be decoded.
func headerValue(text string) string {
	var b strings.Builder
	for i := 0; i < len(text) && b.Len() < maxHeaderValue; i++ {
		if c := text[i]; c <= ' ' || c > '~' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
