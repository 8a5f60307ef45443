package pipeline

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/kvsframes/kvsframes/media"
)

// Status is the state of a run, or of the run of one stream.
type Status string

// The states of a run. StatusGaps is the state of a run that ended but could not deliver everything.
const (
	StatusRunning     Status = "running"
	StatusComplete    Status = "complete"
	StatusGaps        Status = "gaps"
	StatusInterrupted Status = "interrupted"
	StatusFailed      Status = "failed"
)

// Summary holds the results of a run of one stream. Its JSON is the stream's part of the file that
// `run --summary` writes. Times have the format of media.Timestamp.
type Summary struct {
	Status                 Status         `json:"status" doc:"the status of the stream"`
	Error                  string         `json:"error" doc:"why it failed"`
	Fragments              int            `json:"fragments" doc:"fragments that were read and whose images are all durable, except those of failed sinks"`
	FramesDecoded          int            `json:"frames_decoded" doc:"frames that the decoders returned"`
	FramesConcealed        int            `json:"frames_concealed" doc:"samples that were delivered although parts of them are guessed"`
	FramesWritten          map[string]int `json:"frames_written" doc:"by sink: images that the run made durable"`
	FramesSkipped          map[string]int `json:"frames_skipped" doc:"by sink: images whose object was there and was kept"`
	BytesRead              int64          `json:"bytes_read" doc:"payload bytes that were read"`
	Reconnects             int            `json:"reconnects" doc:"how often the stream was opened again"`
	Pauses                 int            `json:"pauses" doc:"how often the clock of the producer jumped forward while the stream was within reach, so that nothing was lost"`
	FirstFragmentNumber    string         `json:"first_fragment_number" doc:"the first of these fragments"`
	LastFragmentNumber     string         `json:"last_fragment_number" doc:"the last of them"`
	FirstProducerTimestamp string         `json:"first_producer_timestamp" doc:"the producer timestamp of the first"`
	LastProducerTimestamp  string         `json:"last_producer_timestamp" doc:"the producer timestamp of the last"`
	Gaps                   int            `json:"gaps" doc:"fragments and runs of frames that could not be delivered"`
	GapList                []media.Gap    `json:"gap_list" doc:"the first 1,000 of them"`
	Undelivered            Undelivered    `json:"undelivered" doc:"fragments that were read and not delivered in full: in progress during the run, and lost when it fails"`
}

// list adds gaps to the list, which does not count them.
func (s *Summary) list(gaps []media.Gap) {
	s.GapList = append(s.GapList, gaps[:min(len(gaps), MaxListedGaps-len(s.GapList))]...)
}

// Join adds the results of another run of the stream, which came later. It changes the maps and the list of s. Status and Error stay.
func (s *Summary) Join(of Summary) {
	s.FramesDecoded += of.FramesDecoded
	s.FramesConcealed += of.FramesConcealed
	for name, n := range of.FramesWritten {
		s.FramesWritten[name] += n
		s.FramesSkipped[name] += of.FramesSkipped[name]
	}
	s.BytesRead += of.BytesRead
	s.Reconnects += of.Reconnects
	s.Gaps += of.Gaps
	s.list(of.GapList)
	s.Undelivered.join(of.Undelivered)
	s.Pauses += of.Pauses
	if of.Fragments == 0 {
		return
	}
	if s.Fragments == 0 {
		s.FirstFragmentNumber, s.FirstProducerTimestamp = of.FirstFragmentNumber, of.FirstProducerTimestamp
	}
	s.Fragments += of.Fragments
	s.LastFragmentNumber, s.LastProducerTimestamp = of.LastFragmentNumber, of.LastProducerTimestamp
}

// MaxListedGaps is the number of gaps that a Summary lists; the others are only counted.
const MaxListedGaps = 1000

// Undelivered describes consecutive fragments that were read but not all of whose images are durable: those on
// their way during a run, and those lost when it fails.
type Undelivered struct {
	From      string `json:"from" doc:"the number of the first fragment; empty when there are none"`
	To        string `json:"to" doc:"the number of the last one"`
	Fragments int    `json:"fragments" doc:"how many there are"`
}

// join adds other fragments.
func (u *Undelivered) join(of Undelivered) {
	if of.Fragments == 0 {
		return
	}
	if u.Fragments == 0 || media.CompareNumbers(of.From, u.From) < 0 {
		u.From = of.From
	}
	if u.Fragments == 0 || media.CompareNumbers(of.To, u.To) > 0 {
		u.To = of.To
	}
	u.Fragments += of.Fragments
}

// add appends a fragment.
func (u *Undelivered) add(number string) {
	if u.Fragments++; u.Fragments == 1 {
		u.From = number
	}
	u.To = number
}

// Meter counts during a run. All fields may be read at any time; one meter may serve several streams.
type Meter struct {
	Fragments, FramesDecoded, BytesRead, Gaps atomic.Int64
	// MillisBehind is the lag of the stream that was read last, in milliseconds.
	MillisBehind atomic.Int64
	Latencies
	sinks sync.Map // name to *sinkMeter
}

// sinkMeter counts what one sink gets from all streams.
type sinkMeter struct {
	written atomic.Int64
	writes  Latency

	mu       sync.Mutex
	filtered map[string]int64 // by the filter's name
}

// FramesWritten returns the number of images that a sink has made durable.
func (m *Meter) FramesWritten(sink string) int64 { return m.sink(sink).written.Load() }

// Writes returns how long the Write of each image took a sink, without those that failed. Where images are objects, an image is then stored.
func (m *Meter) Writes(sink string) *Latency { return &m.sink(sink).writes }

// FramesFiltered returns the number of images that a filter has kept from a sink.
func (m *Meter) FramesFiltered(sink, filter string) int64 {
	s := m.sink(sink)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.filtered[filter]
}

func (m *Meter) sink(name string) *sinkMeter {
	s, known := m.sinks.Load(name)
	if !known {
		s, _ = m.sinks.LoadOrStore(name, new(sinkMeter))
	}
	return s.(*sinkMeter)
}

// leftOut counts images by the filters that left them out.
func (s *sinkMeter) leftOut(filters []string) {
	if len(filters) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.filtered == nil {
		s.filtered = map[string]int64{}
	}
	for _, name := range filters {
		s.filtered[name]++
	}
}

// SinkError is the error that stopped one sink of a stream.
type SinkError struct {
	// Sink is the sink's name.
	Sink string
	// Op is the operation, such as "write to sink thumbs".
	Op string
	// Fragment is the number of the first fragment that the sink lacks; "" when it lacks none.
	Fragment string
	// Err is the cause.
	Err error
}

// Error implements error.
func (e *SinkError) Error() string { return e.Op + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *SinkError) Unwrap() error { return e.Err }

// SinkErrors is the error of a run in which some sinks failed.
type SinkErrors []*SinkError

// Error implements error. For each sink it contains the error and the first fragment that the sink lacks.
func (es SinkErrors) Error() string {
	texts := make([]string, len(es))
	for i, e := range es {
		texts[i] = e.Error()
		if e.Fragment != "" {
			texts[i] += " (the sink lacks fragment " + e.Fragment + " and those after it)"
		}
	}
	return strings.Join(texts, "; ")
}

// Unwrap returns the errors of the sinks.
func (es SinkErrors) Unwrap() []error {
	errs := make([]error, len(es))
	for i, e := range es {
		errs[i] = e
	}
	return errs
}

// err returns es as an error, or nil when es is empty.
func (es SinkErrors) err() error {
	if len(es) == 0 {
		return nil
	}
	return es
}
