package kvsframes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/pipeline"
)

// Handler returns a handler that shows the run to monitors:
//
//   - /metrics: its counters in the text format of Prometheus
//     (https://prometheus.io/docs/instrumenting/exposition_formats/)
//   - /healthz: 200 as long as the process answers
//   - /readyz: 200 while the run reads and writes; 503 with the reason before it does, and while a stream or a
//     sink is in trouble
//
// Run.Do serves it at service.http of the settings.
func (r *Run) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if why := r.unready(time.Now()); why != "" {
			http.Error(w, why, http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "ok\n")
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = io.WriteString(w, r.metrics(time.Now()))
	})
	return mux
}

// unready returns why the run does not read and write, or "".
func (r *Run) unready(now time.Time) string {
	s := r.Summary()
	switch outage := r.Outage(now); {
	case s.Status != pipeline.StatusRunning:
		return "the run has ended: " + string(s.Status)
	case len(s.Streams) == 0:
		return "no stream is open yet"
	case outage != "":
		return outage
	}
	for _, name := range slices.Sorted(maps.Keys(s.Sinks)) {
		if sink := s.Sinks[name]; sink.Status == pipeline.StatusFailed {
			return "sink " + name + " failed: " + sink.Error
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Streams)) {
		if stream := s.Streams[name]; stream.Status == pipeline.StatusFailed {
			return "stream " + name + " failed: " + stream.Error
		}
	}
	return ""
}

// family is a metric with all of its samples.
type family struct {
	name, kind, help string
	samples          []string
}

// add appends a sample. labels are names and values in turn.
func (f *family) add(value float64, labels ...string) {
	var b strings.Builder
	b.WriteString(f.name)
	for i := 0; i < len(labels); i += 2 {
		separator := ","
		if i == 0 {
			separator = "{"
		}
		value := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(strings.ToValidUTF8(labels[i+1], "?"))
		fmt.Fprintf(&b, `%s%s="%s"`, separator, labels[i], value)
	}
	if len(labels) > 0 {
		b.WriteString("}")
	}
	fmt.Fprintf(&b, " %v\n", value)
	f.samples = append(f.samples, b.String())
}

// metrics returns the counters of the run.
func (r *Run) metrics(now time.Time) string {
	s := r.Summary()
	var all []*family
	metric := func(name, kind, help string) *family {
		f := &family{name: "kvsframes_" + name, kind: kind, help: help}
		all = append(all, f)
		return f
	}
	info := metric("build_info", "gauge", "1, with the version of the program.")
	info.add(1, "version", s.Version)
	fragments := metric("source_fragments_total", "counter", "Fragments that were read and delivered.")
	bytes := metric("source_bytes_total", "counter", "Payload bytes that were read.")
	reconnects := metric("source_reconnects_total", "counter", "Sessions that were opened after the first.")
	down := metric("source_outage_seconds", "gauge", "How long the service of a stream has not answered, 0 while it does.")
	frames := metric("decode_frames_total", "counter", "Frames that the decoders returned.")
	gaps := metric("gaps_total", "counter", "Fragments and frames that could not be delivered.")
	undelivered := metric("undelivered_fragments", "gauge", "Fragments that were read and of which some image is not stored yet.")
	images := metric("sink_images_total", "counter", "Images by what became of them: written, or skipped because the object was there.")
	for _, name := range slices.Sorted(maps.Keys(s.Streams)) {
		stream := s.Streams[name]
		fragments.add(float64(stream.Fragments), "stream", name)
		bytes.add(float64(stream.BytesRead), "stream", name)
		reconnects.add(float64(stream.Reconnects), "stream", name)
		frames.add(float64(stream.FramesDecoded), "stream", name)
		gaps.add(float64(stream.Gaps), "stream", name)
		undelivered.add(float64(stream.Undelivered.Fragments), "stream", name)
		for _, sink := range slices.Sorted(maps.Keys(stream.FramesWritten)) {
			images.add(float64(stream.FramesWritten[sink]), "stream", name, "sink", sink, "result", "written")
			images.add(float64(stream.FramesSkipped[sink]), "stream", name, "sink", sink, "result", "skipped")
		}
	}
	lag := metric("source_lag_seconds", "gauge", "Distance of the last fragment that was read from the newest one of its stream.")
	lag.add(float64(r.meter.MillisBehind.Load()) / 1000)
	objects := metric("sink_objects_total", "counter", "Objects that were written, manifest parts included.")
	stored := metric("sink_bytes_total", "counter", "Bytes of these objects.")
	failed := metric("sink_failed", "gauge", "1 if a sink has failed for good.")
	for _, name := range slices.Sorted(maps.Keys(s.Sinks)) {
		sink := s.Sinks[name]
		objects.add(float64(sink.Objects), "sink", name)
		stored.add(float64(sink.Bytes), "sink", name)
		value := 0.0
		if sink.Status == pipeline.StatusFailed {
			value = 1
		}
		failed.add(value, "sink", name)
	}
	waiting := metric("sink_outage_seconds", "gauge", "How long a sink has waited for its destination, 0 while that works.")
	r.outages.each(now, func(stream string, d time.Duration) { down.add(d.Seconds(), "stream", stream) },
		func(sink string, d time.Duration) { waiting.add(d.Seconds(), "sink", sink) })
	age := metric("checkpoint_age_seconds", "gauge", "How old the checkpoint of a stream is that has moved since it was written, else 0.")
	r.positions.ages(now, func(stream string, d time.Duration) { age.add(d.Seconds(), "stream", stream) })
	var text strings.Builder
	for _, f := range all {
		if len(f.samples) > 0 {
			fmt.Fprintf(&text, "# HELP %s %s\n# TYPE %s %s\n%s", f.name, f.help, f.name, f.kind, strings.Join(f.samples, ""))
		}
	}
	return text.String()
}

// serve serves the handler at an address until stop is called.
func (r *Run) serve(address string, log *slog.Logger) (stop func(), err error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("service.http: %w", err)
	}
	server := &http.Server{Handler: r.Handler(), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, MaxHeaderBytes: 64 << 10}
	log.Info("metrics, health and readiness are served", "address", listener.Addr().String())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("metrics are not served any more", "error", err)
		}
	}()
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = errors.Join(server.Shutdown(ctx), server.Close())
		<-done
	}, nil
}
