package source

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// Clock is one of the two clocks of KVS.
type Clock string

// The clocks: the producer's capture time, and the time of arrival at KVS.
const (
	ClockProducer Clock = "producer"
	ClockServer   Clock = "server"
)

// EndClock is the clock on which End is measured: the one of the start selector,
// or the producer's if that has none.
func (c Config) EndClock() Clock {
	if c.Type == TypeKVS && c.StartSelector.Type == StartServerTimestamp {
		return ClockServer
	}
	return ClockProducer
}

// of returns a fragment's time on the clock; plain files have producer times alone.
func (c Clock) of(f *media.Fragment) time.Time {
	if c == ClockServer && !f.ServerTime.IsZero() {
		return f.ServerTime
	}
	return f.ProducerTime
}

// WithEnd returns a Source that yields the fragments of s until a limit of e is
// reached, then closes s and returns io.EOF. Its own Close closes s too.
//
// A fragment is never divided. Fragments counts the fragments that were handed
// on, not those lost. Timestamp ends the stream before the first fragment that
// starts at or after it, Duration before the first that starts that long or
// longer after the first one, both on clock: GetMedia has no end of its own, so
// each of them shows only when the fragment after it arrives.
func WithEnd(s Source, e End, clock Clock) Source {
	if e.Timestamp.IsZero() && e.Duration <= 0 && e.Fragments <= 0 {
		return s
	}
	return &ending{Source: s, end: e, clock: clock}
}

// ending is a Source with an end.
type ending struct {
	Source
	end   End
	clock Clock
	count int
	// first is the time of the first fragment.
	first time.Time
	// over is what Next returns from now on: io.EOF, or what closing returned.
	over error
}

// Next implements Source.
func (s *ending) Next(ctx context.Context) (*media.Fragment, error) {
	if s.over != nil {
		return nil, s.over
	}
	f, err := s.Source.Next(ctx)
	if err != nil {
		return nil, err
	}
	if s.past(f) {
		s.finish()
		return nil, s.over
	}
	if s.count++; s.count == s.end.Fragments {
		// The connection is given back at once: the next fragment is not wanted.
		s.finish()
	}
	return f, nil
}

// past says whether a fragment starts at or after the end.
func (s *ending) past(f *media.Fragment) bool {
	start := s.clock.of(f)
	if s.count == 0 {
		s.first = start
	}
	return !s.end.Timestamp.IsZero() && !start.Before(s.end.Timestamp) ||
		s.end.Duration > 0 && start.Sub(s.first) >= s.end.Duration
}

// finish closes the source.
func (s *ending) finish() {
	s.over = io.EOF
	if err := s.Source.Close(); err != nil {
		s.over = fmt.Errorf("close the source at its end: %w", err)
	}
}
