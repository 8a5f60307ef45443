package pipeline

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// Account collects the results of a run of one stream. Several goroutines may call its methods at any time.
type Account struct {
	mu       sync.Mutex
	summary  Summary  // its Undelivered are the fragments that only failed sinks lack
	reading  []string // the numbers of the fragments that other sinks also lack
	failures SinkErrors
	parts    []*Account  // see Begin
	behind   Undelivered // see SetBehind
	progress Progress    // its First, Last, Read and Decoded
	reasons  map[media.GapReason]int
	queues   func() Load // nil without a run
}

// Load is what a run of one stream holds in memory, and what it may hold, in bytes.
type Load struct {
	// Fragments is the media of fragments that are decoded or wait for a decoder, Images the images that wait for their sinks.
	Fragments, MaxFragments int64
	Images, MaxImages       int64
}

// join adds the load of another run of the stream.
func (l *Load) join(of Load) {
	l.Fragments += of.Fragments
	l.MaxFragments += of.MaxFragments
	l.Images += of.Images
	l.MaxImages += of.MaxImages
}

// Load returns what the run holds now, nothing after its end.
func (a *Account) Load() (l Load) {
	a.mu.Lock()
	queues, parts := a.queues, slices.Clone(a.parts)
	a.mu.Unlock()
	if queues != nil {
		l = queues()
	}
	for _, p := range parts {
		l.join(p.Load())
	}
	return l
}

// hold sets what tells the load; nil is nothing.
func (a *Account) hold(queues func() Load) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.queues = queues
}

// GapsByReason returns the number of gaps for each reason that has any.
func (a *Account) GapsByReason() map[media.GapReason]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := map[media.GapReason]int{}
	maps.Copy(all, a.reasons)
	for _, p := range a.parts {
		for reason, n := range p.GapsByReason() {
			all[reason] += n
		}
	}
	return all
}

// count adds gaps to those by reason.
func (a *Account) count(reason media.GapReason, n int) {
	if a.reasons == nil {
		a.reasons = map[media.GapReason]int{}
	}
	a.reasons[reason] += n
}

// Progress is how far a run of one stream is. Unlike a Summary it counts what is not durable yet.
type Progress struct {
	Status Status
	// Error is why the run failed.
	Error string
	// First and Last are the times of the first and the last fragment that was read, by the producer's clock or, if they have none, by the
	// server's; zero before that.
	First, Last time.Time
	// Read is the number of fragments that were read, Decoded that of the frames that the decoders returned.
	Read, Decoded int64
	// Written is the number of images that are durable, at all sinks together.
	Written   int64
	Gaps      int64
	BytesRead int64
}

// join adds the progress of another run of the stream.
func (p *Progress) join(of Progress) {
	if p.First.IsZero() {
		p.First = of.First
	}
	if of.Last.After(p.Last) {
		p.Last = of.Last
	}
	p.Read += of.Read
	p.Decoded += of.Decoded
	p.Written += of.Written
	p.Gaps += of.Gaps
	p.BytesRead += of.BytesRead
}

// Progress returns how far the run is.
func (a *Account) Progress() Progress {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.progress
	p.Status, p.Error, p.Gaps, p.BytesRead = a.summary.Status, a.summary.Error, int64(a.summary.Gaps), a.summary.BytesRead
	for _, n := range a.summary.FramesWritten {
		p.Written += int64(n)
	}
	for _, part := range a.parts {
		p.join(part.Progress())
	}
	return p
}

// NewAccount returns the account of a new run, with sinks of these names.
func NewAccount(sinks ...string) *Account {
	a := &Account{summary: Summary{
		Status: StatusRunning, FramesWritten: map[string]int{}, FramesSkipped: map[string]int{}, GapList: []media.Gap{},
	}}
	for _, name := range sinks {
		a.summary.FramesWritten[name], a.summary.FramesSkipped[name] = 0, 0
	}
	return a
}

// Summary returns a copy of the results so far.
func (a *Account) Summary() Summary {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.summary
	s.FramesWritten, s.FramesSkipped = maps.Clone(s.FramesWritten), maps.Clone(s.FramesSkipped)
	s.GapList = slices.Clone(s.GapList)
	for _, number := range a.reading {
		s.Undelivered.add(number)
	}
	for _, p := range a.parts {
		s.Join(p.Summary())
	}
	s.Undelivered.join(a.behind)
	return s
}

// Begin returns the account of a run that reads a part of the stream, or reads it for some of its sinks. Its results are
// part of a's. The caller calls Fold when the run has ended.
func (a *Account) Begin() *Account {
	part := NewAccount()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.parts = append(a.parts, part)
	return part
}

// Fold adds the results of a run that Begin began to a's own. continues reports whether another run continues it: what it
// has not delivered is then not undelivered.
func (a *Account) Fold(of *Account, continues bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.Index(a.parts, of)
	s := of.Summary()
	if continues {
		s.Undelivered = Undelivered{}
	}
	a.summary.Join(s)
	a.progress.join(of.reached())
	for reason, n := range of.GapsByReason() {
		a.count(reason, n)
	}
	a.failures = append(a.failures, of.Failures()...)
	a.parts = slices.Delete(a.parts, i, i+1)
}

// SetBehind sets the fragments that were read and delivered to some sinks, and that another run delivers to the rest.
func (a *Account) SetBehind(u Undelivered) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.behind = u
}

// SetGaps replaces the gaps of the stream by those that a repair leaves.
func (a *Account) SetGaps(gaps []media.Gap) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.summary.Gaps, a.summary.GapList = len(gaps), a.summary.GapList[:0]
	a.summary.list(gaps)
	a.reasons = nil
	for _, g := range gaps {
		a.count(g.Reason, 1)
	}
}

// End records how the run ended; err may be nil.
func (a *Account) End(status Status, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.summary.Status = status
	if err != nil {
		a.summary.Error = err.Error()
	}
}

// Failures returns the errors of the sinks that have failed so far, in the order of the failures.
func (a *Account) Failures() SinkErrors {
	a.mu.Lock()
	defer a.mu.Unlock()
	failures := slices.Clone(a.failures)
	for _, p := range a.parts {
		failures = append(failures, p.Failures()...)
	}
	return failures
}

// fail records that a sink has failed after it reported the given number of the undelivered fragments. It sets
// e.Fragment to the first fragment that the sink lacks.
func (a *Account) fail(e *SinkError, reported int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if reported < len(a.reading) {
		e.Fragment = a.reading[reported]
	}
	a.failures = append(a.failures, e)
}

// source records the counts of the source.
func (a *Account) source(s Source) {
	stats := s.Stats()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.summary.BytesRead, a.summary.Reconnects, a.summary.Pauses = stats.BytesRead, stats.Reconnects, stats.Pauses
}

// reached returns the part of the progress that the summary does not have.
func (a *Account) reached() Progress {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.progress
}

// begin records that a fragment was read.
func (a *Account) begin(f *media.Fragment) {
	at := f.ProducerTime
	if at.IsZero() {
		at = f.ServerTime
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reading = append(a.reading, f.Number)
	if a.progress.First.IsZero() {
		a.progress.First = at
	}
	a.progress.Last = at // even if the clock went back
	a.progress.Read++
}

// decoded counts the frames of a fragment.
func (a *Account) decoded(frames int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.progress.Decoded += int64(frames)
}

// images adds the images of a fragment that are durable at one sink.
func (a *Account) images(sink string, written, skipped int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.summary.FramesWritten[sink] += written
	a.summary.FramesSkipped[sink] += skipped
}

// commit adds one fragment that is durable at every sink, or gaps outside any fragment.
func (a *Account) commit(p *pending) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := &a.summary
	s.Gaps += len(p.gaps)
	s.list(p.gaps)
	for _, g := range p.gaps {
		a.count(g.Reason, 1)
	}
	if !p.counts { // the source could not return it, or another run counts it
		return
	}
	a.reading = a.reading[1:]
	if p.lacking {
		s.Undelivered.add(p.number)
	}
	s.Fragments++
	s.FramesDecoded += p.decoded
	s.FramesConcealed += p.concealed
	at := media.Timestamp(p.at)
	if s.Fragments == 1 {
		s.FirstFragmentNumber, s.FirstProducerTimestamp = p.number, at
	}
	s.LastFragmentNumber, s.LastProducerTimestamp = p.number, at
}
