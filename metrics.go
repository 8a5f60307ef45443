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
	"net/http/pprof"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/decode"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/pipeline"
	"github.com/kvsframes/kvsframes/source"
)

// Handler returns a handler that shows the run to monitors:
//
//   - /metrics: its counters in the text format of Prometheus
//     (https://prometheus.io/docs/instrumenting/exposition_formats/)
//   - /healthz: 200 as long as the process answers
//   - /readyz: 200 while the run reads and writes; 503 with the reason before it does, and while a stream or a
//     sink is in trouble
//   - /debug/pprof/: profiles of the process (package net/http/pprof), only with service.pprof
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
	if r.pipeline != nil && r.pipeline.Config.Service.Pprof {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
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

// metric describes a metric of the page.
type metric struct{ name, kind, labels, help string }

// metrics holds all metrics, in the order of the reference.
var metrics = []metric{
	{"build_info", "gauge", "version", "1, with the version of the program."},
	{"decode_isolation", "gauge", "layer", "1 for each layer (process, landlock, seccomp) that separates decoders from the program, else 0."},
	{"goroutines", "gauge", "", "Goroutines of the process."},
	{"decode_objects", "gauge", "", "Objects of libav that are not freed."},
	{"source_fragments_total", "counter", "stream", "Fragments that were read and delivered."},
	{"source_bytes_total", "counter", "stream", "Payload bytes that were read."},
	{"source_reconnects_total", "counter", "stream", "Sessions that were opened after the first."},
	{"source_lag_seconds", "gauge", "stream", "Distance of the last fragment that was read from the newest one of a live stream."},
	{"source_outage_seconds", "gauge", "stream", "How long the service of a stream has not answered, 0 while it does."},
	{"decode_frames_total", "counter", "stream", "Frames that the decoders returned."},
	{"decode_seconds", "summary", "", "For how long fragments had a worker, each on one core: its rate is the number of busy cores."},
	{"decode_memory_bytes", "gauge", "", "Memory of all decoders, by estimate."},
	{"decode_memory_limit_bytes", "gauge", "", "What that memory may be: decode.max_memory."},
	{"decode_restarts_total", "counter", "reason", "Child processes that died of a fragment, or that something else (other) has ended."},
	{"queue_bytes", "gauge", "stream, stage", "Media of fragments that are decoded or wait for that (decode), and images that wait for their sinks or are being written (sink)."},
	{"queue_limit_bytes", "gauge", "stream, stage", "What these may be."},
	{"gaps_total", "counter", "stream, reason", "Fragments and frames that could not be delivered, by the reasons of the ledger."},
	{"undelivered_fragments", "gauge", "stream", "Fragments that were read and of which some image is not stored yet."},
	{"sink_frames_total", "counter", "stream, sink, result", "Images by what became of them: written, or skipped because the object was there."},
	{"filtered_frames_total", "counter", "sink, filter", "Samples that a filter (black, blur, duplicate) left out; of several, the first."},
	{"sink_objects_total", "counter", "sink", "Objects that were written, manifest parts included."},
	{"sink_bytes_total", "counter", "sink", "Bytes of these objects."},
	{"sink_write_seconds", "histogram", "sink, le", "How long each image took a sink: until it was stored, or was added to an object of several or to a pipe."},
	{"sink_outage_seconds", "gauge", "sink", "How long a sink has waited for its destination, 0 while that works."},
	{"sink_failed", "gauge", "sink", "1 if a sink has failed for good."},
	{"image_arrival_seconds", "histogram", "le", "From the last byte of a picture to its stored image, where source.deliver is frame, of sinks whose images are objects."},
	{"image_capture_seconds", "histogram", "le", "From the capture of a picture, by its producer's clock, to its stored image, likewise."},
	{"checkpoint_age_seconds", "gauge", "stream", "How old the checkpoint of a stream is that has moved since it was written, else 0."},
}

// page is a page of metrics in the text format.
type page struct{ strings.Builder }

// metric begins a metric, whose samples follow.
func (p *page) metric(name string) {
	m := metrics[slices.IndexFunc(metrics, func(m metric) bool { return m.name == name })]
	fmt.Fprintf(p, "# HELP kvsframes_%s %s\n# TYPE kvsframes_%s %s\n", name, m.help, name, m.kind)
}

var escaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// sample adds a sample. labels are names and values in turn.
func (p *page) sample(name string, value float64, labels ...string) {
	pairs := make([]string, len(labels)/2)
	for i := range pairs {
		pairs[i] = fmt.Sprintf(`%s="%s"`, labels[2*i], escaper.Replace(strings.ToValidUTF8(labels[2*i+1], "?")))
	}
	if len(pairs) > 0 {
		name += "{" + strings.Join(pairs, ",") + "}"
	}
	fmt.Fprintf(p, "kvsframes_%s %v\n", name, value)
}

// streamMetrics are the metrics of a stream's summary, sinkMetrics those of a sink's.
var (
	streamMetrics = []struct {
		name  string
		value func(pipeline.Summary) int64
	}{
		{"source_fragments_total", func(s pipeline.Summary) int64 { return int64(s.Fragments) }},
		{"source_bytes_total", func(s pipeline.Summary) int64 { return s.BytesRead }},
		{"source_reconnects_total", func(s pipeline.Summary) int64 { return int64(s.Reconnects) }},
		{"decode_frames_total", func(s pipeline.Summary) int64 { return int64(s.FramesDecoded) }},
		{"undelivered_fragments", func(s pipeline.Summary) int64 { return int64(s.Undelivered.Fragments) }},
	}
	sinkMetrics = []struct {
		name  string
		value func(SinkSummary) int64
	}{
		{"sink_objects_total", func(s SinkSummary) int64 { return s.Objects }},
		{"sink_bytes_total", func(s SinkSummary) int64 { return s.Bytes }},
		{"sink_failed", func(s SinkSummary) int64 {
			if s.Status == pipeline.StatusFailed {
				return 1
			}
			return 0
		}},
	}
)

// metrics returns the counters of the run.
func (r *Run) metrics(now time.Time) string {
	s := r.Summary()
	streams, sinks := slices.Sorted(maps.Keys(s.Streams)), slices.Sorted(maps.Keys(s.Sinks))
	var p page
	p.metric("build_info")
	p.sample("build_info", 1, "version", s.Version)
	p.metric("decode_isolation")
	var layers decode.Layers
	var pool decode.Stats
	if running := r.pool.Load(); running != nil {
		layers, pool = running.Isolation(), running.Stats()
	}
	for _, layer := range []struct {
		name string
		on   bool
	}{{"process", layers.Process}, {"landlock", layers.Landlock}, {"seccomp", layers.Seccomp}} {
		p.sample("decode_isolation", one(layer.on), "layer", layer.name)
	}
	p.metric("goroutines")
	p.sample("goroutines", float64(runtime.NumGoroutine()))
	p.metric("decode_objects")
	p.sample("decode_objects", float64(decode.OpenObjects()))
	p.decoding(pool)
	for _, m := range streamMetrics {
		p.metric(m.name)
		for _, name := range streams {
			p.sample(m.name, float64(m.value(s.Streams[name])), "stream", name)
		}
	}
	for _, m := range sinkMetrics {
		p.metric(m.name)
		for _, name := range sinks {
			p.sample(m.name, float64(m.value(s.Sinks[name])), "sink", name)
		}
	}
	p.queues(r, streams)
	p.metric("sink_frames_total")
	for _, name := range streams {
		stream := s.Streams[name]
		for _, sink := range slices.Sorted(maps.Keys(stream.FramesWritten)) {
			p.sample("sink_frames_total", float64(stream.FramesWritten[sink]), "stream", name, "sink", sink, "result", "written")
			p.sample("sink_frames_total", float64(stream.FramesSkipped[sink]), "stream", name, "sink", sink, "result", "skipped")
		}
	}
	p.metric("source_lag_seconds")
	r.outages.sources.each(func(name string, src source.Source) {
		p.sample("source_lag_seconds", src.Stats().Lag.Seconds(), "stream", name)
	})
	lasts := func(reach source.Reach) float64 {
		if reach.Err == nil {
			return 0
		}
		return max(0, now.Sub(reach.Since)).Seconds()
	}
	p.metric("source_outage_seconds")
	r.outages.eachStream(func(name string, reach source.Reach) { p.sample("source_outage_seconds", lasts(reach), "stream", name) })
	p.metric("sink_outage_seconds")
	r.outages.eachSink(func(name string, reach source.Reach) { p.sample("sink_outage_seconds", lasts(reach), "sink", name) })
	p.metric("checkpoint_age_seconds")
	r.positions.each(func(name string, at *position) {
		p.sample("checkpoint_age_seconds", at.age(now).Seconds(), "stream", name)
	})
	p.metric("image_arrival_seconds")
	p.histogram("image_arrival_seconds", &r.meter.Arrival, nil)
	p.metric("image_capture_seconds")
	p.histogram("image_capture_seconds", &r.meter.Capture, nil)
	p.chosen(r, sinks)
	return p.String()
}

// decoding adds what the decoders have done.
func (p *page) decoding(pool decode.Stats) {
	p.metric("decode_seconds")
	p.sample("decode_seconds_sum", pool.Busy.Seconds())
	p.sample("decode_seconds_count", float64(pool.Fragments))
	p.metric("decode_memory_bytes")
	p.sample("decode_memory_bytes", float64(pool.Memory))
	p.metric("decode_memory_limit_bytes")
	p.sample("decode_memory_limit_bytes", float64(pool.MaxMemory))
	p.metric("decode_restarts_total")
	p.sample("decode_restarts_total", float64(pool.Died), "reason", "fragment")
	p.sample("decode_restarts_total", float64(pool.Ended), "reason", "other")
}

// queues adds the queues of the streams, and their gaps by reason.
func (p *page) queues(r *Run, streams []string) {
	accounts, _ := r.journal.accounts()
	loads := map[string]pipeline.Load{}
	for _, name := range streams {
		loads[name] = accounts[name].Load()
	}
	each := func(metric string, fragments, images func(pipeline.Load) int64) {
		p.metric(metric)
		for _, name := range streams {
			p.sample(metric, float64(fragments(loads[name])), "stream", name, "stage", "decode")
			p.sample(metric, float64(images(loads[name])), "stream", name, "stage", "sink")
		}
	}
	each("queue_bytes", func(l pipeline.Load) int64 { return l.Fragments }, func(l pipeline.Load) int64 { return l.Images })
	each("queue_limit_bytes", func(l pipeline.Load) int64 { return l.MaxFragments }, func(l pipeline.Load) int64 { return l.MaxImages })
	p.metric("gaps_total")
	for _, name := range streams {
		reasons := accounts[name].GapsByReason()
		for _, reason := range slices.Sorted(maps.Keys(reasons)) {
			p.sample("gaps_total", float64(reasons[reason]), "stream", name, "reason", string(reason))
		}
		if len(reasons) == 0 { // so that a rate is known from the first gap on
			p.sample("gaps_total", 0, "stream", name, "reason", string(media.GapDamaged))
		}
	}
}

// chosen adds what filters have left out, and how long the rest took the sinks.
func (p *page) chosen(r *Run, sinks []string) {
	p.metric("filtered_frames_total")
	if r.pipeline != nil && r.pipeline.Config != nil {
		for _, s := range r.pipeline.Config.Sinks {
			for _, filter := range s.Filters.On() {
				p.sample("filtered_frames_total", float64(r.meter.FramesFiltered(s.Name, filter)), "sink", s.Name, "filter", filter)
			}
		}
	}
	p.metric("sink_write_seconds")
	for _, name := range sinks {
		p.histogram("sink_write_seconds", r.meter.Writes(name), writeBounds, "sink", name)
	}
}

// writeBounds are the bounds of the buckets of sink_write_seconds, which has them for each sink: some of those of a pipeline.Latency.
var writeBounds = []time.Duration{
	time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond,
	250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute,
}

// histogram adds the samples of a histogram, with the buckets of these bounds, or with all if there are none.
func (p *page) histogram(name string, l *pipeline.Latency, bounds []time.Duration, labels ...string) {
	bucket := func(most string, n int64) {
		p.sample(name+"_bucket", float64(n), slices.Concat(labels, []string{"le", most})...)
	}
	count := l.Buckets(func(most time.Duration, n int64) {
		if len(bounds) == 0 || slices.Contains(bounds, most) {
			bucket(fmt.Sprint(most.Seconds()), n)
		}
	})
	bucket("+Inf", count)
	p.sample(name+"_sum", l.Sum().Seconds(), labels...)
	p.sample(name+"_count", float64(count), labels...)
}

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// writeTimeout is more than what a profile of the usual 30 s takes.
const writeTimeout = time.Minute

// serve serves the handler at an address until stop is called.
func (r *Run) serve(address string, log *slog.Logger) (stop func(), err error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("service.http: %w", err)
	}
	server := &http.Server{Handler: r.Handler(), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: writeTimeout, MaxHeaderBytes: 64 << 10}
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
