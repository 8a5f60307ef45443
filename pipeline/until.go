package pipeline

import (
	"context"
	"io"

	"github.com/kvsframes/kvsframes/media"
)

// reconnects returns how often a source has opened its stream again; sources that never
// do need not say so.
func reconnects(s Source) int {
	if r, ok := s.(interface{ Reconnects() int }); ok {
		return r.Reconnects()
	}
	return 0
}

// pauses returns how often the producer of a source's stream has paused.
func pauses(s Source) int {
	if p, ok := s.(interface{ Pauses() int }); ok {
		return p.Pauses()
	}
	return 0
}

// Until returns a source that ends cleanly once stop is done: what was read until
// then is finished, and nothing more is read.
func Until(stop context.Context, s Source) Source { return &until{Source: s, stop: stop} }

type until struct {
	Source
	stop context.Context // a signal to end, not the context of a call
}

// Reconnects returns what the source says.
func (u *until) Reconnects() int { return reconnects(u.Source) }

// Pauses returns what the source says.
func (u *until) Pauses() int { return pauses(u.Source) }

func (u *until) Next(ctx context.Context) (*media.Fragment, error) {
	if u.stop.Err() != nil {
		return nil, io.EOF
	}
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(u.stop, cancel)()
	f, err := u.Source.Next(reading)
	if err != nil && ctx.Err() == nil && u.stop.Err() != nil {
		return nil, io.EOF
	}
	return f, err
}
