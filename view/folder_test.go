package view_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
)

var start = time.Date(2026, 3, 4, 5, 6, 7, 89e6, time.UTC)

// lane is what one sink wrote of a stream.
type lane struct {
	stream, sink string
	frames       int
	every        time.Duration
}

// at returns the time of a frame.
func (l lane) at(n int) time.Time { return start.Add(time.Duration(n) * l.every) }

// record returns the record of a frame: of ten frames one is a key frame, of 25 one is concealed, and all have a score from 0 to 1.
func (l lane) record(n int) sink.ManifestRecord {
	fragment, index := n/10, n%10
	r := sink.ManifestRecord{
		FrameRecord: sink.FrameRecord{
			Stream: l.stream, Sink: l.sink, FragmentNumber: fmt.Sprintf("91343852333181432392682062607743920146%09d", fragment), FrameIndex: index,
			ProducerTimestamp: media.Timestamp(l.at(n)), ServerTimestamp: media.Timestamp(l.at(n).Add(time.Duration(300+n%7) * time.Millisecond)),
			PTSMillis: int64(index) * l.every.Milliseconds(), Keyframe: index == 0, Concealed: n%25 == 24, Width: 320, Height: 180,
		},
		Format: "jpeg", Shape: []int{}, Bytes: int64(8000 + n*7919%500), SHA256: fmt.Sprintf("%064x", uint64(n)*0x9e3779b97f4a7c15),
		Answers: []string{}, Tags: []media.Tag{{Name: "site", Value: []string{"north", "south"}[fragment%2]}},
		Scores: []media.Score{{Name: "blur", Value: float64(n*7919%1000) / 1000}}, Config: "0a1b2c3d",
	}
	r.Key = path.Join(url.PathEscape(l.stream), l.sink, fmt.Sprintf("%s_%s_%06d.jpg", l.at(n).Format("20060102T150405")+"_"+l.at(n).Format(".000")[1:]+"Z", r.FragmentNumber, index))
	if l.sink == "arrays" {
		r.Format, r.Shape, r.Key = "npy", []int{180, 320, 3}, strings.TrimSuffix(r.Key, "jpg")+"npy"
	}
	return r
}

// write writes the parts of some lanes into a folder: records, in parts of 1,000, and gaps.
func write(tb testing.TB, dir string, gaps []media.Gap, lanes ...lane) {
	tb.Helper()
	for i, l := range lanes {
		for first := 0; first < l.frames; first += 1000 {
			var records []sink.ManifestRecord
			for n := first; n < min(first+1000, l.frames); n++ {
				records = append(records, l.record(n))
			}
			writeLines(tb, filepath.Join(dir, "manifest", fmt.Sprintf("%d-%09d.jsonl", i, first)), records)
		}
	}
	if len(gaps) > 0 {
		writeLines(tb, filepath.Join(dir, "gaps", "1.jsonl"), gaps)
	}
}

func writeLines[T any](tb testing.TB, name string, values []T) {
	tb.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // as sinks do
	for _, v := range values {
		if err := e.Encode(v); err != nil {
			tb.Fatal(err)
		}
	}
	writeFile(tb, name, b.Bytes())
}

func writeFile(tb testing.TB, name string, data []byte) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		tb.Fatal(err)
	}
}

// picture returns a JPEG in one colour.
func picture(tb testing.TB, c color.Color) []byte {
	tb.Helper()
	m := image.NewRGBA(image.Rect(0, 0, 320, 180))
	for i := range 320 * 180 {
		m.Set(i%320, i/320, c)
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// paint writes the pictures of a lane: green, and bluer with time. Many share a file.
func paint(tb testing.TB, dir string, l lane) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, filepath.FromSlash(l.record(0).Key))), 0o750); err != nil {
		tb.Fatal(err)
	}
	same := ""
	for n := range l.frames {
		name := filepath.Join(dir, filepath.FromSlash(l.record(n).Key))
		if n%(l.frames/16+1) == 0 {
			same = name
			writeFile(tb, name, picture(tb, color.RGBA{30, 160, uint8(255 * n / l.frames), 255}))
		} else if err := os.Link(same, name); err != nil {
			tb.Fatal(err)
		}
	}
}

func gap(stream, sink string, from, until time.Time, reason media.GapReason) media.Gap {
	g := media.Gap{
		Stream: stream, Sink: sink, FragmentNumber: "91343852333181432392682062607743920146000000007", FrameIndex: -1,
		ProducerTime: from, Reason: reason, Detail: "the fragment is no longer in the stream",
	}
	if !until.IsZero() {
		g.Until = media.Place{Number: "91343852333181432392682062607743920146000000009", ProducerTime: until}
	}
	return g
}
