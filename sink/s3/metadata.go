package s3

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
)

// Metadata implements sink.Describer: it returns the user metadata of an image. The names and values of the
// kvs set are those of the managed image delivery, with times in milliseconds since the Unix epoch (Kinesis
// Video Streams Developer Guide, Automated image generation). An unknown clock is left out.
func (c Config) Metadata(img media.Image, runID string) map[string]string {
	if c.MetadataSet == MetadataNone {
		return nil
	}
	m := map[string]string{"aws_kinesisvideo_fragment_number": headerValue(img.FragmentNumber)}
	for name, t := range map[string]time.Time{
		"aws_kinesisvideo_producer_timestamp": img.ProducerTime,
		"aws_kinesisvideo_server_timestamp":   img.ServerTime,
	} {
		if !t.IsZero() {
			m[name] = strconv.FormatInt(t.UnixMilli(), 10)
		}
	}
	if c.MetadataSet != MetadataFull {
		return m
	}
	m["kvsframes_stream"] = headerValue(img.Stream)
	m["kvsframes_sink"] = headerValue(img.Sink)
	m["kvsframes_frame_index"] = strconv.Itoa(img.Index)
	m["kvsframes_pts_ms"] = strconv.FormatInt(sink.Milliseconds(img.PTS), 10)
	m["kvsframes_keyframe"] = strconv.FormatBool(img.Key)
	m["kvsframes_width"] = strconv.Itoa(img.Width)
	m["kvsframes_height"] = strconv.Itoa(img.Height)
	m["kvsframes_format"] = headerValue(img.Format)
	if runID != "" {
		m["kvsframes_run_id"] = headerValue(runID)
	}
	return m
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
