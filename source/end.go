package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// Clock returns the clock of the selector's timestamp, or the producer's if it has none.
func (s StartSelector) Clock() media.Clock {
	if s.Type == StartServerTimestamp {
		return media.ClockServer
	}
	return media.ClockProducer
}

// WithEnd returns a Source that returns the fragments of s until a limit of e is reached, then closes s and returns
// io.EOF. Its own Close also closes s.
//
// Fragments counts the wanted fragments that were returned, not those lost. Timestamp ends the stream before
// the first fragment that starts at or after it, and Duration before the first one that starts at least that
// long after the first wanted one, both on clock. A fragment that contains the end is returned with its Until
// set. As GetMedia has no end, these limits take effect only when the next fragment arrives.
//
// IdleTimeout ends the stream when no byte arrived for that long while Next was waiting. Next then returns the
// part of an unfinished fragment that arrived. If the service did not answer for that long, the stream ends
// with an error instead of io.EOF.
func WithEnd(s Source, e End, clock media.Clock) Source {
	return WithEndFrom(s, e, clock, media.Progress{})
}

// WithEndFrom is WithEnd for a source that continues where another one was: the fragments up to there count.
func WithEndFrom(s Source, e End, clock media.Clock, from media.Progress) Source {
	if e.Timestamp.IsZero() && e.Duration <= 0 && e.Fragments <= 0 && e.IdleTimeout <= 0 {
		return s
	}
	ended := &ending{Source: s, end: e, clock: clock, count: from.Wanted}
	if from.Wanted > 0 {
		ended.first = from.Begun.At(clock)
	}
	return ended
}

// ending is a Source with an end.
type ending struct {
	Source
	end   End
	clock media.Clock
	count int
	// first is the time of the first fragment.
	first time.Time
	// over is what Next returns from now on: io.EOF, or the error of closing.
	over error
	// limit reports whether a limit other than the idle timeout was reached.
	limit atomic.Bool
	// share is the part that was read, as the bits of a float64.
	share atomic.Uint64
}

// Stats implements Source.
func (s *ending) Stats() Stats {
	stats := s.Source.Stats()
	stats.AtEnd = s.limit.Load()
	stats.Share = max(stats.Share, math.Float64frombits(s.share.Load()))
	return stats
}

// Next implements Source.
func (s *ending) Next(ctx context.Context) (*media.Fragment, error) {
	if s.over != nil {
		return nil, s.over
	}
	f, err := s.next(ctx)
	if err != nil {
		return nil, err
	}
	if s.count == 0 {
		s.first = f.At(s.clock)
	}
	if s.past(f, s.first) {
		s.limit.Store(true)
		s.share.Store(math.Float64bits(1))
		s.finish()
		return nil, s.over
	}
	s.share.Store(math.Float64bits(s.end.Share(s.first, f.At(s.clock), s.count)))
	if f.Unwanted {
		return s.bounded(f, s.first), nil
	}
	if s.count++; s.end.Fragments > 0 && s.count >= s.end.Fragments {
		// The connection is released at once: the next fragment is not wanted.
		s.limit.Store(true)
		s.share.Store(math.Float64bits(1))
		s.finish()
	}
	return s.bounded(f, s.first), nil
}

// arriving returns a fragment that is told of with its Until, nil if it is past the end. The limit on the number of fragments needs no look: at
// that number the source is closed.
func (s *ending) arriving(f *media.Fragment) *media.Fragment {
	first := s.first
	if s.count == 0 {
		first = f.At(s.clock)
	}
	if s.past(f, first) {
		return nil
	}
	return s.bounded(f, first)
}

// bounded returns the fragment with Until set to the end of the stream, whose first fragment starts at first.
func (s *ending) bounded(f *media.Fragment, first time.Time) *media.Fragment {
	until := s.end.Timestamp
	if d := s.end.Duration; d > 0 && (until.IsZero() || first.Add(d).Before(until)) {
		until = first.Add(d)
	}
	if until.IsZero() {
		return f
	}
	b := *f
	b.Until, b.Clock = until, s.clock
	return &b
}

// next asks the source for a fragment until the source has been idle for too long.
func (s *ending) next(ctx context.Context) (*media.Fragment, error) {
	ctx = telling(ctx, s.arriving)
	if s.end.IdleTimeout <= 0 {
		return s.Source.Next(ctx)
	}
	waiting, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var outage error
	watch := watchIdle(s.Source, s.end.IdleTimeout, func(why error) { outage = why; cancel(errIdle) })
	defer watch.stop()
	f, err := s.Source.Next(watch.pausing(waiting))
	if err != nil && ctx.Err() == nil && errors.Is(context.Cause(waiting), errIdle) {
		s.finish()
		if outage != nil {
			s.over = fmt.Errorf("no data for %v and the stream does not answer: %w", s.end.IdleTimeout, outage)
		}
		var unfinished *UnfinishedError
		switch {
		case !errors.As(err, &unfinished):
			return nil, s.over
		case unfinished.Fragment != nil:
			return unfinished.Fragment, nil
		}
		return nil, unfinished.Gap
	}
	return f, err
}

// errIdle is the cause with which the wait for an idle source is cancelled.
var errIdle = errors.New("source is idle")

// idleWatch detects when a source is idle.
type idleWatch struct {
	source  Source
	timeout time.Duration
	idle    func(outage error)
	mu      sync.Mutex
	timer   *time.Timer
	bytes   int64
	// paused reports whether nobody waits for bytes.
	paused bool
	// quiet is when the last byte arrived, or the watch began.
	quiet time.Time
}

// watchIdle calls idle when no byte has arrived from s for the timeout. outage is the error of a service that has not
// answered for that long, nil if it does answer.
func watchIdle(s Source, timeout time.Duration, idle func(outage error)) *idleWatch {
	w := &idleWatch{source: s, timeout: timeout, idle: idle, bytes: s.Stats().BytesRead, quiet: time.Now()}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(timeout, w.check)
	return w
}

// check is called when the timeout may have passed.
func (w *idleWatch) check() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.paused {
		return
	}
	now, stats := time.Now(), w.source.Stats()
	bytes, reach := stats.BytesRead, stats.Reach
	if bytes != w.bytes {
		w.bytes, w.quiet = bytes, now
	}
	since, tag := reach.Since, (*payload.ErrorTag)(nil)
	if w.quiet.After(since) && !errors.As(reach.Err, &tag) { // an error tag consists of bytes, too
		since = w.quiet
	}
	if left := w.timeout - now.Sub(since); left > 0 {
		w.timer.Reset(left)
		return
	}
	w.idle(reach.Err)
}

// pausing returns a context whose media.Arrivals may take their time: it does not count as silence.
func (w *idleWatch) pausing(ctx context.Context) context.Context {
	arrived := media.Arrivals(ctx)
	if arrived == nil {
		return ctx
	}
	return media.WithArrivals(ctx, func(f *media.Fragment) {
		w.pause(true)
		defer w.pause(false)
		arrived(f)
	})
}

// pause ends the watch for a while, or begins it again.
func (w *idleWatch) pause(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.paused = on; !on {
		w.quiet = time.Now()
		w.timer.Reset(w.timeout)
	}
}

// stop ends the watch. A check in progress may still call idle.
func (w *idleWatch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
}

// past reports whether a fragment starts at or after the end of a stream whose first one starts at first.
func (s *ending) past(f *media.Fragment, first time.Time) bool {
	start := f.At(s.clock)
	return !s.end.Timestamp.IsZero() && !start.Before(s.end.Timestamp) ||
		s.end.Duration > 0 && start.Sub(first) >= s.end.Duration
}

// finish closes the source.
func (s *ending) finish() {
	s.over = io.EOF
	if err := s.Source.Close(); err != nil {
		s.over = fmt.Errorf("close the source at its end: %w", err)
	}
}
