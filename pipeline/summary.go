package pipeline

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/kvsframes/kvsframes/media"
)

// Status says how a run, or the run of one stream, goes on or ended.
type Status string

// The states of a run. Gaps means that it came to its end, and that something could not be
// delivered.
const (
	StatusRunning     Status = "running"
	StatusComplete    Status = "complete"
	StatusGaps        Status = "gaps"
	StatusInterrupted Status = "interrupted"
	StatusFailed      Status = "failed"
)

// Summary is what a run of one stream came to. Its JSON is the stream's part of
// the file that `run --summary` writes. Times are as media.Timestamp writes them.
type Summary struct {
	Status Status `json:"status"`
	// Error is why the run failed; empty when it did not.
	Error string `json:"error"`
	// Fragments is the number of fragments that were read and brought to an end.
	Fragments int `json:"fragments"`
	// FramesDecoded is the number of frames that the decoders gave.
	FramesDecoded int `json:"frames_decoded"`
	// FramesConcealed is the number of samples that were delivered although parts of them are
	// guessed, since data or a reference is missing.
	FramesConcealed int `json:"frames_concealed"`
	// FramesWritten is the number of images by sink that the run made durable, FramesSkipped that
	// of the images for which an object was there already and was left as it was.
	FramesWritten map[string]int `json:"frames_written"`
	FramesSkipped map[string]int `json:"frames_skipped"`
	// BytesRead is the number of payload bytes that were read.
	BytesRead int64 `json:"bytes_read"`
	// Reconnects is the number of times the source opened its stream again.
	Reconnects int `json:"reconnects"`
	// Pauses is the number of times that the producer's clock jumped forward while
	// the stream was within reach: nothing was lost, there was nothing.
	Pauses int `json:"pauses"`
	// The first and the last fragment brought to an end.
	FirstFragmentNumber    string `json:"first_fragment_number"`
	LastFragmentNumber     string `json:"last_fragment_number"`
	FirstProducerTimestamp string `json:"first_producer_timestamp"`
	LastProducerTimestamp  string `json:"last_producer_timestamp"`
	// Gaps is the number of fragments and runs of frames that could not be delivered, GapList the
	// first MaxListedGaps of them.
	Gaps    int         `json:"gaps"`
	GapList []media.Gap `json:"gap_list"`
	// Undelivered are the fragments that were read and not brought to an end.
	Undelivered Undelivered `json:"undelivered"`
}

// MaxListedGaps is the number of gaps that a Summary names; all others are counted.
const MaxListedGaps = 1000

// Undelivered are fragments that were read, one after the other, and not brought to an end: those
// on their way while a run goes on, and those lost with it when it fails.
type Undelivered struct {
	// From and To are the numbers of the first and the last one; empty when there is none.
	From      string `json:"from"`
	To        string `json:"to"`
	Fragments int    `json:"fragments"`
}

// Account is what a run of one stream comes to. Its methods may be called at any time, by several
// goroutines.
type Account struct {
	mu      sync.Mutex
	summary Summary
	reading []string // the numbers of the fragments that were read and not brought to an end
}

// NewAccount returns the account of a run that starts, with sinks of these names.
func NewAccount(sinks ...string) *Account {
	a := &Account{summary: Summary{
		Status: StatusRunning, FramesWritten: map[string]int{}, FramesSkipped: map[string]int{}, GapList: []media.Gap{},
	}}
	for _, name := range sinks {
		a.summary.FramesWritten[name], a.summary.FramesSkipped[name] = 0, 0
	}
	return a
}

// Summary returns what the run has come to until now. It shares nothing with the account.
func (a *Account) Summary() Summary {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.summary
	s.FramesWritten, s.FramesSkipped = maps.Clone(s.FramesWritten), maps.Clone(s.FramesSkipped)
	s.GapList = slices.Clone(s.GapList)
	if n := len(a.reading); n > 0 {
		s.Undelivered = Undelivered{From: a.reading[0], To: a.reading[n-1], Fragments: n}
	}
	return s
}

// End notes how the run ended; err may be nil.
func (a *Account) End(status Status, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.summary.Status = status
	if err != nil {
		a.summary.Error = err.Error()
	}
}

// source notes how far the source has come.
func (a *Account) source(s Source) {
	stats := s.Stats()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.summary.BytesRead, a.summary.Reconnects, a.summary.Pauses = stats.BytesRead, stats.Reconnects, stats.Pauses
}

// begin notes that a fragment was read.
func (a *Account) begin(f *media.Fragment) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reading = append(a.reading, f.Number)
}

// images notes the images of a fragment that one sink has in place.
func (a *Account) images(sink string, written, skipped int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.summary.FramesWritten[sink] += written
	a.summary.FramesSkipped[sink] += skipped
}

// commit notes the end of one fragment, or with f nil gaps outside of any.
func (a *Account) commit(f *media.Fragment, out media.Outcome, gaps []media.Gap) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := &a.summary
	s.Gaps += len(gaps)
	s.GapList = append(s.GapList, gaps[:min(len(gaps), MaxListedGaps-len(s.GapList))]...)
	if f == nil { // a fragment that the source could not give
		return
	}
	a.reading = a.reading[1:]
	s.Fragments++
	s.FramesDecoded += out.FramesDecoded
	s.FramesConcealed += out.FramesConcealed
	at := media.Timestamp(f.ProducerTime)
	if s.Fragments == 1 {
		s.FirstFragmentNumber, s.FirstProducerTimestamp = f.Number, at
	}
	s.LastFragmentNumber, s.LastProducerTimestamp = f.Number, at
}

// Meter counts while a run goes on. All fields may be read at any time; one
// meter may serve several streams.
type Meter struct {
	Fragments, FramesDecoded, BytesRead, Gaps atomic.Int64
	// MillisBehind is the lag of the stream that was read last, in milliseconds.
	MillisBehind atomic.Int64
	written      sync.Map // sink name to *atomic.Int64
}

// FramesWritten returns the number of images that a sink has made durable.
func (m *Meter) FramesWritten(sink string) int64 { return m.sink(sink).Load() }

func (m *Meter) sink(name string) *atomic.Int64 {
	n, _ := m.written.LoadOrStore(name, new(atomic.Int64))
	return n.(*atomic.Int64)
}

// SinkError is why a sink could not go on. It ends the run of its stream.
type SinkError struct {
	// Sink is the sink's name.
	Sink string
	// Op is what was being done, such as "write to sink thumbs".
	Op string
	// Err is the cause.
	Err error
}

// Error implements error.
func (e *SinkError) Error() string { return e.Op + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *SinkError) Unwrap() error { return e.Err }
