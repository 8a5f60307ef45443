package kvs

import (
	"context"
	"errors"
	"io"
	"time"
)

// maxEdgeCalls bounds the calls to find the first or the last fragment.
const maxEdgeCalls = 8

// findHead moves the start of the windows to the first fragment. A page of the whole range gives the latest
// possible place of the first fragment, and pages of the part before that narrow it down. Few pages are needed,
// since each is a sample from its whole range.
func (l *lister) findHead(ctx context.Context) error {
	l.headless = false
	to := l.end
	for range maxEdgeCalls {
		if to.Sub(l.at) <= period {
			return nil
		}
		found, whole, err := l.window(ctx, l.at, to)
		if err != nil {
			return err
		}
		first, _ := l.edges(found, to)
		switch {
		case whole && len(found) == 0 && to.Equal(l.end):
			l.at = l.end
			return nil
		case whole && to.Equal(l.end):
			l.listed = found
			return nil
		case whole:
			l.at = later(l.at, first.Truncate(period))
			return nil
		}
		to = first
	}
	l.full = to
	return nil
}

// edges returns the times of the first and the last fragment of found, and none for both when found is empty.
func (l *lister) edges(found []ArchivedFragment, none time.Time) (first, last time.Time) {
	for i, f := range found {
		at := f.at(l.clock)
		if i == 0 || at.Before(first) {
			first = at
		}
		last = later(last, at)
	}
	if len(found) == 0 {
		return none, none
	}
	return first, last
}

// later returns the later one of two moments.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// stored returns when the first and the last stored fragment begin, on the clock of the range; both are zero
// when the stream has none.
func (a *archive) stored(ctx context.Context) (first, last time.Time, err error) {
	now, err := a.serviceNow(ctx)
	if err != nil {
		return first, last, err
	}
	l := a.bounded(extent{Clock: a.within.Clock, End: now})
	window, err := l.next(ctx)
	if errors.Is(err, io.EOF) {
		return first, last, nil
	}
	if err != nil {
		return first, last, err
	}
	first, last = l.edges(window, now)
	for range maxEdgeCalls {
		found, whole, err := l.window(ctx, last, now)
		if err != nil {
			return first, last, err
		}
		if _, last = l.edges(found, last); whole {
			break
		}
	}
	return first, last, nil
}

// reportNothing logs which fragments the stream has when the range has none. Onward reading does not log this, as it
// continues with later fragments.
func (a *archive) reportNothing(ctx context.Context) {
	r := a.within
	if r.Onward || len(a.cfg.Fragments) > 0 {
		return
	}
	first, last, err := a.stored(ctx)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		a.log.Warn("nothing is stored "+r.String(), "error", err)
	case first.IsZero():
		a.log.Warn("nothing " + r.String() + "; the stream holds no fragments")
	default:
		a.log.Warn("nothing " + r.String() + "; the stream holds " + stamp(first) + " to " + stamp(last) + " by the " + string(r.Clock) + "'s clock")
	}
}

// String describes the range for log messages.
func (r extent) String() string {
	switch {
	case !r.Start.IsZero() && !r.End.IsZero():
		return "between " + stamp(r.Start) + " and " + stamp(r.End)
	case !r.Start.IsZero():
		return "from " + stamp(r.Start) + " on"
	case r.After.Number != "":
		return "after fragment " + r.After.Number
	case !r.End.IsZero():
		return "before " + stamp(r.End)
	}
	return "is stored"
}

// stamp formats a time for log messages, to the millisecond.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
