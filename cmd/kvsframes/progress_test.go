package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/internal/config"
	"github.com/kvsframes/kvsframes/pipeline"
)

func TestScreenKeepsLogLinesAboveTheProgress(t *testing.T) {
	var out bytes.Buffer
	s := &screen{out: &out}
	write := func(text string) {
		if n, err := s.Write([]byte(text)); n != len(text) || err != nil {
			t.Fatal(n, err)
		}
	}
	s.draw("")
	write("one\n")
	s.draw("50 %")
	write("two\n")
	s.draw("")
	write("three\n")
	line := wrapOff + "50 %" + wrapOn
	if want := "one\n" + eraseLine + line + eraseLine + "two\n" + line + eraseLine + "three\n"; out.String() != want {
		t.Errorf("got  %q\nwant %q", out.String(), want)
	}
}

func TestRateLooksAtTheLastSeconds(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r := newRate(start)
	if got := r.at(start, 0); got != 0 {
		t.Errorf("without time: %v", got)
	}
	for _, step := range []struct {
		after time.Duration
		count int64
		want  float64
	}{
		{time.Second, 100, 100}, {2 * time.Second, 200, 100}, {3 * time.Second, 200, 50}, {4 * time.Second, 200, 0},
	} {
		if got := r.at(start.Add(step.after), step.count); got != step.want {
			t.Errorf("after %v: %v, want %v", step.after, got, step.want)
		}
	}
}

func TestProgressLine(t *testing.T) {
	m := &pipeline.Meter{}
	m.Fragments.Store(3)
	m.FramesDecoded.Store(90)
	m.BytesRead.Store(1_250_000)
	m.MillisBehind.Store(1500)
	sinks := []config.Sink{{Name: "thumbs"}}
	const want = "3 fragments, 90 frames, thumbs 0 | 12 frames/s | 1.2 MB | lag 1.5s"
	if got := progressLine(sinks, m, 12.4, ""); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := progressLine(sinks, m, 12.4, "out of reach for 12s: connection refused"), "3 fragments, 90 frames, thumbs 0 | 12 frames/s | 1.2 MB | out of reach for 12s: connection refused"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	m.Gaps.Store(2)
	if got := progressLine(sinks, m, 12.4, ""); got != want+" | 2 gaps" {
		t.Errorf("got %q", got)
	}
}
