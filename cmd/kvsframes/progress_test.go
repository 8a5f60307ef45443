package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/config"
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
		{5 * time.Second, 500, 100}, {10 * time.Second, 1000, 100}, {15 * time.Second, 1000, 50}, {20 * time.Second, 1000, 0},
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
	const rest = "lag 1.5s | 12 frames/s | 3 fragments, 90 frames | thumbs 0 | 1.2 MB"
	if got := progressLine(sinks, m, 12.4, 80, ""); got != rest {
		t.Errorf("got %q, want %q", got, rest)
	}
	m.Gaps.Store(2)
	if got := progressLine(sinks, m, 12.4, 80, "out of reach for 12s: connection refused"); got != "2 gaps | out of reach for 12s: connection refused | 12 frames/s | 3 fragments, …" {
		t.Errorf("got %q", got)
	}
	const want = "2 gaps | lag 1.5s | 0.5 frames/s | 3…"
	if got := progressLine(sinks, m, 0.46, 37, ""); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	sinks = append(sinks, config.Sink{Name: "b"}, config.Sink{Name: "c"}, config.Sink{Name: "d"})
	if got := imagesOf(sinks, m); got != "4 sinks 0" {
		t.Errorf("got %q", got)
	}
}

func TestASlowRateIsNotNone(t *testing.T) {
	for fps, want := range map[float64]string{0: "0 frames/s", 0.01: "0.1 frames/s", 0.5: "0.5 frames/s", 9.94: "9.9 frames/s", 9.96: "10 frames/s", 250.4: "250 frames/s"} {
		if got := perSecond(fps); got != want {
			t.Errorf("%v: %q, want %q", fps, got, want)
		}
	}
}
