package main

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kvsframes/kvsframes"
	"github.com/kvsframes/kvsframes/config"
	"github.com/kvsframes/kvsframes/pipeline"
)

// How often progress is shown on a terminal and in a log.
const (
	redrawEvery   = 200 * time.Millisecond
	progressEvery = 10 * time.Second
)

// Escape sequences of a terminal (ECMA-48, and DEC's private mode 7): erase the line, and stop a long line from
// wrapping.
const (
	eraseLine = "\r\x1b[K"
	wrapOff   = "\x1b[?7l"
	wrapOn    = "\x1b[?7h"
)

// screen shares standard error between log lines and one line of progress below them.
type screen struct {
	mu   sync.Mutex
	out  io.Writer
	line string
}

// newScreen returns standard error for log lines and progress. Written text is cleaned; drawn text may control
// the terminal.
func (p *program) newScreen() *screen {
	out := p.stderr
	if w, ok := out.(cleanWriter); ok {
		out = w.to
	}
	return &screen{out: out}
}

// Write implements io.Writer. It writes whole lines above the line of progress.
func (s *screen) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := cleanWriter{s.out}
	if s.line == "" {
		return out.Write(text)
	}
	if _, err := io.WriteString(s.out, eraseLine); err != nil {
		return 0, err
	}
	n, err := out.Write(text)
	if err == nil {
		_, err = io.WriteString(s.out, s.line)
	}
	return n, err
}

// draw replaces the line of progress; "" removes it.
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
	_, _ = io.WriteString(s.out, eraseLine+line) // a lost line of progress does no harm
}

// progress shows the progress of the run until finished is closed.
func (p *program) progress(finished <-chan struct{}, c *config.Config, run *kvsframes.Run, screen *screen, log *slog.Logger) {
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
	rate, meter := newRate(time.Now()), run.Meter()
	for {
		select {
		case <-finished:
			return
		case now := <-ticker.C:
			fps := rate.at(now, meter.FramesDecoded.Load())
			if p.terminal {
				width := cmp.Or(p.width(), defaultColumns)
				screen.draw(progressLine(c.Sinks, meter, fps, width, run.Outage(now)))
			} else {
				log.Info("progress", progressFields(c.Sinks, meter, fps, run.Outage(now))...)
			}
		}
	}
}

// defaultColumns is the width of a terminal whose own width is unknown.
const defaultColumns = 80

// widthOf returns the number of columns of a terminal, 0 when unknown.
func widthOf(f *os.File) int {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Col)
}

// Limits of the names in a line of progress.
const (
	maxNameColumns = 24
	maxNamedSinks  = 3
)

// progressLine returns the line of progress in at most width columns. The most important facts come first, since
// the end may be cut: gaps, the outage or else the lag, and then the counts.
func progressLine(sinks []config.Sink, m *pipeline.Meter, fps float64, width int, outage string) string {
	var parts []string
	if gaps := m.Gaps.Load(); gaps > 0 {
		parts = append(parts, fmt.Sprintf("%d gaps", gaps))
	}
	parts = append(parts,
		cmp.Or(outage, latency(m), "lag "+lag(m).String()),
		perSecond(fps),
		fmt.Sprintf("%d fragments, %d frames", m.Fragments.Load(), m.FramesDecoded.Load()),
		imagesOf(sinks, m),
		byteCount(m.BytesRead.Load()),
	)
	return cut(cleaned(oneLine(strings.Join(parts, " | "))), width)
}

// perSecond formats a rate of frames; a slow rate does not become 0.
func perSecond(fps float64) string {
	if fps > 0 && fps < 9.95 {
		return fmt.Sprintf("%.1f frames/s", max(fps, 0.1))
	}
	return fmt.Sprintf("%.0f frames/s", fps)
}

// imagesOf returns the number of images of each sink, or the total if there are many sinks.
func imagesOf(sinks []config.Sink, m *pipeline.Meter) string {
	var each []string
	var total int64
	for _, s := range sinks {
		n := m.FramesWritten(s.Name)
		total += n
		each = append(each, fmt.Sprintf("%s %d", cut(s.Name, maxNameColumns), n))
	}
	if len(sinks) > maxNamedSinks {
		return fmt.Sprintf("%d sinks %d", len(sinks), total)
	}
	return strings.Join(each, ", ")
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
	if m.Arrival.Count() > 0 {
		fields = append(fields, "arrival_p50_ms", m.Arrival.Quantile(0.5).Milliseconds(), "arrival_p99_ms", m.Arrival.Quantile(0.99).Milliseconds())
	}
	if outage != "" {
		fields = append(fields, "outage", outage)
	}
	return fields
}

// latency returns how long images take from the arrival of their pictures on, or "" where that is not measured.
func latency(m *pipeline.Meter) string {
	if m.Arrival.Count() == 0 {
		return ""
	}
	return fmt.Sprintf("%v after arrival, 1 in 100 %v", m.Arrival.Quantile(0.5), m.Arrival.Quantile(0.99))
}

func lag(m *pipeline.Meter) time.Duration {
	return time.Duration(m.MillisBehind.Load()) * time.Millisecond
}

// rate measures frames per second over about the last ten seconds, long enough for a fragment of a slow stream
// to end.
type rate struct{ points []ratePoint }

type ratePoint struct {
	at    time.Time
	count int64
}

const rateWindow = 10 * time.Second

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
