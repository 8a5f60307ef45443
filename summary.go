package kvsframes

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/pipeline"
	"github.com/kvsframes/kvsframes/sink"
)

// Summary is the outcome of a run, or its state so far. Its JSON is the output of `kvsframes run --summary`.
type Summary struct {
	Status   pipeline.Status             `json:"status" doc:"running, complete, gaps (done, but not all could be delivered), interrupted or failed"`
	ExitCode int                         `json:"exit_code" doc:"the exit code; -1 during the run, so that the summary of a killed run does not look complete"`
	Error    string                      `json:"error" doc:"why the run failed"`
	Started  string                      `json:"started" doc:"when the run began"`
	Ended    string                      `json:"ended" doc:"when it ended; empty during the run"`
	Elapsed  float64                     `json:"elapsed_s" doc:"how many seconds it took"`
	Version  string                      `json:"version" doc:"the version of the program"`
	Config   string                      `json:"config" doc:"8 hex digits that identify all settings; empty when they could not be read"`
	Streams  map[string]pipeline.Summary `json:"streams" doc:"the streams"`
	Sinks    map[string]SinkSummary      `json:"sinks" doc:"the sinks"`
	Latency  LatencySummary              `json:"latency" doc:"how long images took, where source.deliver is frame; else 0"`
}

// LatencySummary states how long images took (see pipeline.Latencies), by bounds that are exceeded by half of them, and by one in a hundred.
type LatencySummary struct {
	Images     int64 `json:"images" doc:"the number of images"`
	ArrivalP50 int64 `json:"arrival_p50_ms" doc:"a bound in milliseconds that half of them do not exceed, from the last byte of the picture to its stored image"`
	ArrivalP99 int64 `json:"arrival_p99_ms" doc:"the same bound for all but one in a hundred"`
	CaptureP50 int64 `json:"capture_p50_ms" doc:"a bound in milliseconds that half of them do not exceed, from the capture of the picture to its stored image"`
	CaptureP99 int64 `json:"capture_p99_ms" doc:"the same bound for all but one in a hundred"`
}

func latencySummary(m *pipeline.Meter) LatencySummary {
	return LatencySummary{
		Images:     m.Arrival.Count(),
		ArrivalP50: m.Arrival.Quantile(0.5).Milliseconds(), ArrivalP99: m.Arrival.Quantile(0.99).Milliseconds(),
		CaptureP50: m.Capture.Quantile(0.5).Milliseconds(), CaptureP99: m.Capture.Quantile(0.99).Milliseconds(),
	}
}

// SinkSummary counts what one sink wrote for all streams.
type SinkSummary struct {
	// Status is failed, even during the run, when the sink stopped because of its own error, else the status of the
	// run. A sink has every image only when the run is complete.
	Status  pipeline.Status `json:"status" doc:"failed, even during the run, when the sink stopped because of an error of its own, else the status of the run"`
	Error   string          `json:"error" doc:"why it stopped; in the first stream by name, if in several"`
	Objects int64           `json:"objects" doc:"the objects that were written, with manifest parts and rewrites of a key"`
	Bytes   int64           `json:"bytes" doc:"their bytes"`
}

// stillRunning is the exit code of a run that has not ended.
const stillRunning = -1

// journal collects the outcome of a run. Several goroutines may call its methods.
type journal struct {
	started time.Time
	names   []string // of the sinks

	mu      sync.Mutex
	end     Summary // status, exit code, error, ended, version and config
	streams map[string]*pipeline.Account
	sinks   []*sink.Sink
}

// newJournal begins the journal of a run.
func newJournal(p *Pipeline, version string) (*journal, error) {
	j := &journal{started: time.Now(), streams: map[string]*pipeline.Account{}}
	j.end = Summary{Status: pipeline.StatusRunning, ExitCode: stillRunning, Started: media.Timestamp(j.started), Version: version}
	if p.Config == nil { // the settings could not be read
		return j, nil
	}
	for _, s := range p.Config.Sinks {
		j.names = append(j.names, s.Name)
	}
	var err error
	j.end.Config, err = p.Config.Digest()
	return j, err
}

// open begins the account of a stream.
func (j *journal) open(stream string) *pipeline.Account {
	a := pipeline.NewAccount(j.names...)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.streams[stream] = a
	return a
}

// count sets the sinks whose objects are counted.
func (j *journal) count(sinks []*sink.Sink) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.sinks = sinks
}

// accounts returns those of the streams, by name, and which sinks have failed.
func (j *journal) accounts() (streams map[string]*pipeline.Account, failed map[string]bool) {
	j.mu.Lock()
	streams, failed = maps.Clone(j.streams), map[string]bool{}
	j.mu.Unlock()
	for _, a := range streams {
		for _, e := range a.Failures() {
			failed[e.Sink] = true
		}
	}
	return streams, failed
}

// close completes the journal and returns the summary of the whole run.
func (j *journal) close(status pipeline.Status, code int, err error) Summary {
	now := time.Now()
	j.mu.Lock()
	j.end.Status, j.end.ExitCode, j.end.Ended, j.end.Elapsed = status, code, media.Timestamp(now), now.Sub(j.started).Seconds()
	if err != nil {
		j.end.Error = err.Error()
	}
	j.mu.Unlock()
	return j.summary()
}

// summary returns the state of the run so far.
func (j *journal) summary() Summary {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.end
	if s.Ended == "" {
		s.Elapsed = time.Since(j.started).Seconds()
	}
	s.Streams, s.Sinks = map[string]pipeline.Summary{}, map[string]SinkSummary{}
	for name, a := range j.streams {
		s.Streams[name] = a.Summary()
	}
	for _, name := range j.names {
		s.Sinks[name] = SinkSummary{Status: s.Status}
	}
	for _, c := range j.sinks {
		sum := s.Sinks[c.Name()]
		sum.Objects, sum.Bytes = c.Written()
		s.Sinks[c.Name()] = sum
	}
	for _, stream := range slices.Sorted(maps.Keys(j.streams)) {
		for _, e := range j.streams[stream].Failures() {
			if sum := s.Sinks[e.Sink]; sum.Error == "" {
				sum.Status, sum.Error = pipeline.StatusFailed, e.Error()
				s.Sinks[e.Sink] = sum
			}
		}
	}
	return s
}

// After returns the summary of a run that continues another one, with what that has counted. Latency remains that of the later run.
func (s Summary) After(earlier Summary) Summary {
	if earlier.Started == "" { // there was none
		return s
	}
	s.Started, s.Elapsed = earlier.Started, s.Elapsed+earlier.Elapsed
	streams := maps.Clone(s.Streams)
	for name, of := range earlier.Streams {
		of.FramesWritten, of.FramesSkipped, of.GapList = maps.Clone(of.FramesWritten), maps.Clone(of.FramesSkipped), slices.Clone(of.GapList)
		of.Undelivered, of.Status = pipeline.Undelivered{}, s.Status // the later run reads again what was on its way
		if later, found := streams[name]; found {
			of.Join(later)
			of.Status, of.Error = later.Status, later.Error
		}
		streams[name] = of
	}
	sinks := maps.Clone(s.Sinks)
	for name, of := range earlier.Sinks {
		if later, found := sinks[name]; found {
			later.Objects, later.Bytes = later.Objects+of.Objects, later.Bytes+of.Bytes
			of = later
		}
		sinks[name] = of
	}
	s.Streams, s.Sinks = streams, sinks
	return s
}
