package main

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes"
	"github.com/kvsframes/kvsframes/config"
	"github.com/kvsframes/kvsframes/pipeline"
)

// How often progress is shown on a terminal and in a log.
const (
	redrawEvery   = 200 * time.Millisecond
	progressEvery = 10 * time.Second
)

// progress shows the progress of the run until finished is closed: lines that are drawn again on a terminal that can do so and has a log
// of text, events in the log otherwise.
func (p *program) progress(finished <-chan struct{}, c *config.Config, run *kvsframes.Run, screen *screen, log *slog.Logger) {
	mode := c.Service.Progress
	if mode == config.Off || mode == config.Auto && !p.terminal {
		return
	}
	draws := p.terminal && p.variable("TERM") != "dumb" && p.records.Load() == nil
	every := progressEvery
	if draws {
		every = redrawEvery
		defer screen.draw(nil)
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	meter := run.Meter()
	total := newHistory(reading{at: time.Now()})
	b := newBoard(c.Source.Origin.Endless(), p.variable("NO_COLOR") == "")
	for {
		select {
		case <-finished:
			return
		case now := <-ticker.C:
			if draws {
				streams, sinks := run.Progress()
				screen.draw(b.lines(now, streams, sinks, meter, p.size))
				continue
			}
			fps := total.add(reading{at: now, frames: meter.FramesDecoded.Load()}).fps
			log.Info("progress", progressFields(c.Sinks, meter, fps, run.Outage(now))...)
		}
	}
}

// variable returns the value of an environment variable, "" if it is not set.
func (p *program) variable(name string) string {
	for _, v := range slices.Backward(p.environ) {
		if value, found := strings.CutPrefix(v, name+"="); found {
			return value
		}
	}
	return ""
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

// perSecond formats a rate of frames; a slow rate does not become 0.
func perSecond(fps float64) string {
	if fps > 0 && fps < 9.95 {
		return fmt.Sprintf("%.1f fps", max(fps, 0.1))
	}
	return fmt.Sprintf("%.0f fps", fps)
}
