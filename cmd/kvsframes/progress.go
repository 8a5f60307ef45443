package main

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/kvsframes/kvsframes/internal/config"
	"github.com/kvsframes/kvsframes/pipeline"
)

// How often progress is shown, on a terminal and in a log.
const (
	redrawEvery   = 200 * time.Millisecond
	progressEvery = 10 * time.Second
)

// Escape sequences of a terminal (ECMA-48, and DEC's private mode 7): erase the
// line, and stop a long line from running over into the next.
const (
	eraseLine = "\r\x1b[K"
	wrapOff   = "\x1b[?7l"
	wrapOn    = "\x1b[?7h"
)

// screen shares standard error between log lines and one line of progress below
// them.
type screen struct {
	mu   sync.Mutex
	out  io.Writer
	line string
}

// Write implements io.Writer: it puts whole lines above the line of progress.
func (s *screen) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.line == "" {
		return s.out.Write(text)
	}
	if _, err := io.WriteString(s.out, eraseLine); err != nil {
		return 0, err
	}
	n, err := s.out.Write(text)
	if err == nil {
		_, err = io.WriteString(s.out, s.line)
	}
	return n, err
}

// draw replaces the line of progress; "" takes it away.
func (s *screen) draw(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if line == "" && s.line == "" {
		return
	}
	if line != "" {
		line = wrapOff + line + wrapOn
	}
	s.line = line
	_, _ = io.WriteString(s.out, eraseLine+line) // a lost line of progress is no loss
}

// progress shows how far the run is until it is finished.
func (p *program) progress(finished <-chan struct{}, c *config.Config, meter *pipeline.Meter, down *outages, screen *screen, log *slog.Logger) {
	mode := c.Service.Progress
	if mode == config.Off || mode == config.Auto && !p.terminal {
		return
	}
	every := progressEvery
	if p.terminal {
		every = redrawEvery
		defer screen.draw("")
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	rate := newRate(time.Now())
	for {
		select {
		case <-finished:
			return
		case now := <-ticker.C:
			fps := rate.at(now, meter.FramesDecoded.Load())
			if p.terminal {
				screen.draw(progressLine(c.Sinks, meter, fps, down.text(now)))
			} else {
				log.Info("progress", progressFields(c.Sinks, meter, fps, down.text(now))...)
			}
		}
	}
}

func progressLine(sinks []config.Sink, m *pipeline.Meter, fps float64, outage string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d fragments, %d frames", m.Fragments.Load(), m.FramesDecoded.Load())
	for _, s := range sinks {
		fmt.Fprintf(&b, ", %s %d", s.Name, m.FramesWritten(s.Name))
	}
	fmt.Fprintf(&b, " | %.0f frames/s | %s | %s", fps, byteCount(m.BytesRead.Load()), cmp.Or(outage, "lag "+lag(m).String()))
	if gaps := m.Gaps.Load(); gaps > 0 {
		fmt.Fprintf(&b, " | %d gaps", gaps)
	}
	return b.String()
}

func progressFields(sinks []config.Sink, m *pipeline.Meter, fps float64, outage string) []any {
	var written []any
	for _, s := range sinks {
		written = append(written, s.Name, m.FramesWritten(s.Name))
	}
	fields := []any{
		"fragments", m.Fragments.Load(), "frames_decoded", m.FramesDecoded.Load(), slog.Group("frames_written", written...),
		"frames_per_s", fps, "bytes_read", m.BytesRead.Load(), "lag_ms", m.MillisBehind.Load(), "gaps", m.Gaps.Load(),
	}
	if outage != "" {
		fields = append(fields, "outage", outage)
	}
	return fields
}

func lag(m *pipeline.Meter) time.Duration {
	return time.Duration(m.MillisBehind.Load()) * time.Millisecond
}

// rate measures frames per second over about the last two seconds.
type rate struct{ points []ratePoint }

type ratePoint struct {
	at    time.Time
	count int64
}

const rateWindow = 2 * time.Second

func newRate(start time.Time) *rate { return &rate{points: []ratePoint{{at: start}}} }

func (r *rate) at(now time.Time, count int64) float64 {
	for len(r.points) > 1 && now.Sub(r.points[1].at) >= rateWindow {
		r.points = r.points[1:]
	}
	first := r.points[0]
	r.points = append(r.points, ratePoint{at: now, count: count})
	elapsed := now.Sub(first.at).Seconds()
	if elapsed <= 0 {
		return 0
	}
	return float64(count-first.count) / elapsed
}
