package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes"
	"github.com/kvsframes/kvsframes/pipeline"
	"github.com/kvsframes/kvsframes/source"
)

func TestScreenKeepsLogLinesAboveTheProgress(t *testing.T) {
	var out bytes.Buffer
	width := 80
	s := &screen{out: &out, width: func() int { return width }}
	write := func(text string) {
		if n, err := s.Write([]byte(text)); n != len(text) || err != nil {
			t.Fatal(n, err)
		}
	}
	s.draw(nil)
	write("one\n")
	s.draw([]line{{text: "50 %"}, {text: "bad", color: red}})
	write("two\n")
	width = 3 // so that the first line has become two
	s.draw(nil)
	write("three\n")
	lines := wrapOff + "50 %\n\x1b[31mbad\x1b[0m\n" + wrapOn
	if want := "one\n" + lines + "\r\x1b[2A\x1b[J" + "two\n" + lines + "\r\x1b[3A\x1b[J" + "three\n"; out.String() != want {
		t.Errorf("got  %q\nwant %q", out.String(), want)
	}
}

func TestThePaceIsThatOfTheLastSeconds(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	h := newHistory(reading{at: start})
	if got := h.add(reading{at: start}); got != (pace{}) {
		t.Errorf("without time: %+v", got)
	}
	for _, step := range []struct {
		after  time.Duration
		frames int64
		media  time.Duration
		share  float64
		want   pace
	}{
		{5 * time.Second, 500, time.Second, 0.1, pace{100, 0, 45 * time.Second}},
		{10 * time.Second, 1000, 11 * time.Second, 0.2, pace{100, 2, 40 * time.Second}},
		{15 * time.Second, 1000, 11 * time.Second, 0.2, pace{50, 1, time.Minute}},
		{20 * time.Second, 1000, 11 * time.Second, 0.2, pace{0, 0, 80 * time.Second}},
		{70 * time.Second, 1000, 11 * time.Second, 0.6, pace{0, 0, time.Minute}},
	} {
		got := h.add(reading{at: start.Add(step.after), frames: step.frames, media: start.Add(step.media), share: step.share})
		if got.left = got.left.Round(time.Second); got != step.want {
			t.Errorf("after %v: %+v, want %+v", step.after, got, step.want)
		}
	}
}

// boardOf returns the board of streams that have been read for 10 seconds.
func boardOf(b *board, columns, rows int, streams []kvsframes.StreamProgress, sinks ...kvsframes.SinkProgress) (lines []line) {
	start := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	size := func() (int, int) { return columns, rows }
	began := make([]kvsframes.StreamProgress, len(streams))
	for i, s := range streams {
		began[i] = kvsframes.StreamProgress{Stream: s.Stream}
		began[i].Status, began[i].Last = pipeline.StatusRunning, s.First
	}
	b.lines(start, began, sinks, &pipeline.Meter{}, size)
	return b.lines(start.Add(10*time.Second), streams, sinks, &pipeline.Meter{}, size)
}

// someStreams returns a stream of each kind.
func someStreams() []kvsframes.StreamProgress {
	start := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	of := func(name string, p pipeline.Progress) kvsframes.StreamProgress {
		p.First, p.Last, p.Decoded, p.Written, p.BytesRead = start, start.Add(20*time.Second), 500, 20, 1_250_000
		return kvsframes.StreamProgress{Stream: name, Progress: p, Share: 0.25}
	}
	ok := of("cam", pipeline.Progress{Status: pipeline.StatusRunning})
	gaps := of("door", pipeline.Progress{Status: pipeline.StatusRunning, Gaps: 2})
	lost := of("gate", pipeline.Progress{Status: pipeline.StatusRunning})
	lost.Reach = source.Reach{Since: start.Add(-2 * time.Second), Err: errors.New("connection refused")}
	failed := of("hall", pipeline.Progress{Status: pipeline.StatusFailed, Error: "broken\x1b[2J\npipe"})
	done := of("roof", pipeline.Progress{Status: pipeline.StatusComplete})
	return []kvsframes.StreamProgress{ok, gaps, lost, failed, done}
}

func texts(lines []line) string {
	var out strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&out, "%d %s\n", l.color, strings.TrimRight(l.text, " "))
	}
	return out.String()
}

func TestBoard(t *testing.T) {
	sinks := []kvsframes.SinkProgress{{Sink: "thumbs", Written: 1}, {Sink: "raw", Written: 20}}
	got := texts(boardOf(newBoard(false, true), 80, 24, someStreams(), sinks...))
	want := `0 cam   [=====               ]  25%  12:00:20Z    50 fps   2.0x  ETA 30s
33 door  [=====               ]  25%  12:00:20Z    50 fps   2.0x  ETA 30s    2 gaps
31 gate  [=====               ]  25%  12:00:20Z  out of reach for 12s: connection …
31 hall                               12:00:20Z  failed: broken\u001b[2J; pipe
0 roof                               12:00:20Z  done: 500 frames, 20 images, 1.2 …
0 5 streams, 2 in trouble | 250 fps | 2 gaps | thumbs: 1 image, raw: 20 images | …
`
	if got != want {
		t.Errorf("80 columns:\n%s\nwant\n%s", got, want)
	}
	streams := someStreams()[:2]
	for i := range streams {
		streams[i].Share, streams[i].Lag = 0, 1200*time.Millisecond
	}
	got = texts(boardOf(newBoard(true, true), 200, 24, streams[:1], sinks[0], kvsframes.SinkProgress{Sink: "b", Reach: source.Reach{Since: time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC), Err: errors.New("slow down")}}))
	want = `0 cam  2026-01-01 12:00:20.0Z    50 fps   2.0x  lag 1.2s   500 frames, 20 images, 1.2 MB
31 sink b out of reach for 10s: slow down | thumbs: 1 image, b: 0 images | 500 frames | 1.2 MB
`
	if got != want {
		t.Errorf("200 columns:\n%s\nwant\n%s", got, want)
	}
}

func TestABoardWithoutColor(t *testing.T) {
	for _, l := range boardOf(newBoard(false, false), 80, 24, someStreams()) {
		if l.color != plain {
			t.Errorf("%d %s", l.color, l.text)
		}
	}
}

// What does not fit is counted, and what is worst stays.
func TestABoardFitsTheTerminal(t *testing.T) {
	streams := someStreams()
	for i := range 40 {
		s := streams[0]
		s.Stream = fmt.Sprintf("more-%02d", i)
		s.Lag = time.Duration(i) * time.Second
		streams = append(streams, s)
	}
	for _, rows := range []int{1, 2, 3, 4, 5, 10, 24, 47, 60} {
		lines := boardOf(newBoard(true, true), 80, rows, streams)
		if len(lines) > max(1, rows-1) {
			t.Errorf("%d lines on %d rows", len(lines), rows)
		}
		for _, l := range lines {
			if columnsOf(l.text) > 80 {
				t.Errorf("%d columns: %s", columnsOf(l.text), l.text)
			}
		}
	}
	got := texts(boardOf(newBoard(true, true), 80, 7, streams))
	for _, want := range []string{"\n31 hall ", "31 gate ", "\n0 more-39 ", "\n0 more-38 ", "\n0 and 41 more: 40 running, 1 ended, lag up to 37s\n0 45 streams, 2 in trouble | "} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
}

func TestImagesOfManySinksAreSummed(t *testing.T) {
	sinks := make([]kvsframes.SinkProgress, 4)
	for i := range sinks {
		sinks[i] = kvsframes.SinkProgress{Sink: "s", Written: 3}
	}
	if got := imagesOf(sinks); got != "4 sinks: 12 images" {
		t.Errorf("got %q", got)
	}
}

func TestASlowRateIsNotNone(t *testing.T) {
	for fps, want := range map[float64]string{0: "0 fps", 0.01: "0.1 fps", 0.5: "0.5 fps", 9.94: "9.9 fps", 9.96: "10 fps", 250.4: "250 fps"} {
		if got := perSecond(fps); got != want {
			t.Errorf("%v: %q, want %q", fps, got, want)
		}
	}
}

func TestDurationsAreShort(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0.0s": 0, "1.2s": 1234 * time.Millisecond, "10s": 9960 * time.Millisecond, "1m00s": 59700 * time.Millisecond, "3m05s": 185 * time.Second,
		"1h00m": 3599700 * time.Millisecond, "2h10m": 130 * time.Minute, "3d04h": 76 * time.Hour,
	} {
		if got := short(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
