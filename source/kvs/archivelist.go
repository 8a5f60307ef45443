package kvs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// ArchivedFragment is one stored fragment, as KVS lists it.
type ArchivedFragment struct {
	Number string
	// ProducerTime and ServerTime are the fragment's start on the two clocks.
	ProducerTime, ServerTime time.Time
	// Length is the fragment's duration.
	Length time.Duration
	// Bytes is the fragment's size in the archive.
	Bytes int64
}

// at returns the start on one of the clocks.
func (f ArchivedFragment) at(c media.Clock) time.Time {
	if c == media.ClockServer {
		return f.ServerTime
	}
	return f.ProducerTime
}

const (
	// longestFragment is the longest duration of a fragment (Developer Guide, Quotas). The service lists
	// fragments by their starts, so a range is extended by it to the left.
	longestFragment = 20 * time.Second
	// period is the hour by which fragments are ordered (see archive), and the smallest window.
	period = time.Hour
	// sparse is the number of fragments below which the length of the next window doubles.
	sparse = pageSize / 2
	// longestWindow bounds the doubling.
	longestWindow = 1 << 20 * period
	// maxWindow is the largest number of fragments in one window: 25 times what KVS accepts in an hour.
	maxWindow = 500_000
	// settled is the age, by the server's clock, from which onward reading returns a fragment. The listing is
	// normally complete within a second.
	settled = 10 * time.Second
)

// lister lists a range window by window.
type lister struct {
	a     *archive
	clock media.Clock
	// at is where the next window begins, end where the last one ends. span is the length of the next one, in whole
	// periods.
	at, end time.Time
	span    time.Duration
	// full is the end of a window with too many fragments to be listed at once.
	full time.Time
	// headless reports whether the first fragment may be long after at.
	headless bool
	// listed holds the only window if it is known: what the search for the first fragment listed, or the named fragments.
	listed []ArchivedFragment
	// keep reports whether a fragment of the windows is wanted.
	keep func(ArchivedFragment) bool
	// first is the number of the fragment that contains the start, when reading onward by the producer's clock.
	// Otherwise it is empty, and any fragment that begins before the start contains it.
	first string
}

// listing is one window of the range, or the error that ends the listing.
type listing struct {
	fragments []ArchivedFragment
	// first is that of the lister.
	first string
	err   error
}

// listings lists the range window by window, in order. The first error ends it.
func (a *archive) listings(ctx context.Context) iter.Seq[listing] {
	return func(yield func(listing) bool) {
		l, err := a.list(ctx)
		for empty := true; ; empty = false {
			next := listing{err: err}
			if err == nil {
				next.first = l.first
				next.fragments, next.err = l.next(ctx)
			}
			if errors.Is(next.err, io.EOF) {
				if empty {
					a.reportNothing(ctx)
				}
				return
			}
			if !yield(next) || next.err != nil {
				return
			}
		}
	}
}

// listed lists the range, in order. The first error ends it.
func (a *archive) listed(ctx context.Context) iter.Seq2[ArchivedFragment, error] {
	return func(yield func(ArchivedFragment, error) bool) {
		for window := range a.listings(ctx) {
			for _, f := range window.fragments {
				if !yield(f, nil) {
					return
				}
			}
			if window.err != nil {
				yield(ArchivedFragment{}, window.err)
			}
		}
	}
}

// list returns the windows of the range, or of the named fragments.
func (a *archive) list(ctx context.Context) (*lister, error) {
	if len(a.cfg.Fragments) > 0 {
		l := &lister{end: time.Unix(0, 0), keep: func(ArchivedFragment) bool { return true }}
		for _, number := range a.cfg.Fragments {
			l.listed = append(l.listed, ArchivedFragment{Number: number})
		}
		return l, nil
	}
	now, err := a.serviceNow(ctx)
	if err != nil {
		return nil, err
	}
	r := a.within
	if r.After.Number != "" && r.After.ServerTime.IsZero() {
		if r.After, err = a.lookUp(ctx, r.After.Number); err != nil {
			return nil, err
		}
	}
	if r.Onward {
		return a.onward(ctx, r, now)
	}
	if r.End.IsZero() {
		r.End = now
	}
	return a.bounded(r), nil
}

// bounded returns the windows of a range that has an end.
func (a *archive) bounded(r extent) *lister {
	l := &lister{a: a, clock: r.Clock, at: time.Unix(0, 0), end: r.End, span: period}
	after := r.After
	known := ArchivedFragment{Number: after.Number, ProducerTime: after.ProducerTime, ServerTime: after.ServerTime}
	l.headless = r.Start.IsZero()
	if !r.Start.IsZero() {
		l.at = r.Start.Add(-longestFragment)
	}
	if t := known.at(r.Clock); !t.IsZero() && t.Truncate(period).After(l.at) {
		l.at, l.headless = t.Truncate(period), false
	}
	l.keep = func(f ArchivedFragment) bool {
		at := f.at(r.Clock)
		switch {
		case !r.Start.IsZero() && at.Before(r.Start) && !at.Add(f.Length).After(r.Start):
			return false
		case after.Number == "":
			return true
		case known.at(r.Clock).IsZero():
			return media.CompareNumbers(f.Number, after.Number) > 0
		}
		return compareInOrder(r.Clock)(f, known) > 0
	}
	return l
}

// onward returns the windows from the first fragment of the range on. They use the server's clock, so that
// fragments are in the order of their numbers.
func (a *archive) onward(ctx context.Context, r extent, now time.Time) (*lister, error) {
	server := r
	server.Clock, server.End = media.ClockServer, now.Add(-settled)
	if r.After.Number != "" {
		server.Start = time.Time{}
		l := a.bounded(server)
		l.keep = func(f ArchivedFragment) bool { return media.CompareNumbers(f.Number, r.After.Number) > 0 }
		l.first = r.After.Number
		return l, nil
	}
	if r.Clock == media.ClockServer || r.Start.IsZero() {
		return a.bounded(server), nil
	}
	r.End = now
	window, err := a.bounded(r).next(ctx)
	if err != nil {
		return nil, err // io.EOF if there is nothing from the start on
	}
	first := firstOf(window, r.Start)
	server.Start = time.Time{}
	l := a.bounded(server)
	l.at, l.first, l.headless = first.ServerTime.Truncate(time.Second), first.Number, false
	l.keep = func(f ArchivedFragment) bool { return media.CompareNumbers(f.Number, first.Number) >= 0 }
	return l, nil
}

// firstOf returns the fragment that contains start, or else the first one after start, by the producer's clock.
func firstOf(window []ArchivedFragment, start time.Time) ArchivedFragment {
	distance := func(f ArchivedFragment) time.Duration {
		if d := start.Sub(f.ProducerTime); d >= 0 {
			return d - longestFragment - longestWindow // before all that begin later
		}
		return f.ProducerTime.Sub(start)
	}
	return slices.MinFunc(window, func(f, g ArchivedFragment) int {
		return cmp.Or(cmp.Compare(distance(f), distance(g)), media.CompareNumbers(f.Number, g.Number))
	})
}

// compareInOrder returns a function that compares two fragments by the order of the archive.
func compareInOrder(clock media.Clock) func(f, g ArchivedFragment) int {
	return func(f, g ArchivedFragment) int {
		return cmp.Or(
			f.at(clock).Truncate(period).Compare(g.at(clock).Truncate(period)),
			media.CompareNumbers(f.Number, g.Number),
		)
	}
}

// next lists the next window that is not empty, and returns io.EOF after the last one. Windows end with a period, so that the order does not depend on
// where they begin.
func (l *lister) next(ctx context.Context) ([]ArchivedFragment, error) {
	if l.headless {
		if err := l.findHead(ctx); err != nil {
			return nil, err
		}
	}
	for l.at.Before(l.end) {
		to, found, whole := l.end, l.listed, true
		if l.listed = nil; found == nil {
			var err error
			to = l.windowEnd()
			if found, whole, err = l.window(ctx, l.at, to); err != nil {
				return nil, err
			}
		}
		if !whole {
			l.full, l.span = to, max(period, (to.Sub(l.at)/2).Truncate(period))
			continue
		}
		l.at = to
		if len(found) < sparse {
			l.span = min(2*l.span, longestWindow)
		}
		found = slices.DeleteFunc(found, func(f ArchivedFragment) bool { return !l.keep(f) })
		if len(found) == 0 {
			continue
		}
		slices.SortFunc(found, compareInOrder(l.clock))
		same := func(f, g ArchivedFragment) bool { return media.CompareNumbers(f.Number, g.Number) == 0 }
		return slices.CompactFunc(found, same), nil
	}
	return nil, io.EOF
}

// windowEnd returns where the next window ends: at the end of a period, and at most half way to the end of the
// last window that had too many fragments.
func (l *lister) windowEnd() time.Time {
	span := l.span
	if l.at.Before(l.full) {
		span = min(span, max(period, (l.full.Sub(l.at)/2).Truncate(period)))
	}
	to := l.at.Truncate(period).Add(span)
	if to.After(l.end) {
		return l.end
	}
	return to
}

// window lists the fragments that begin at or after from and before to, in order. It gives up a window that
// takes several calls and could be shorter after the first call; whole is then false.
func (l *lister) window(ctx context.Context, from, to time.Time) (found []ArchivedFragment, whole bool, err error) {
	call := page{clock: l.clock, from: from, to: to}
	for {
		next, err := l.page(ctx, call, &found)
		switch {
		case call.token != nil && refusesToken(err) && to.Sub(from) > time.Second:
			found, err = l.halves(ctx, from, to, err)
			return found, true, err
		case err != nil:
			return nil, false, err
		case next == nil:
			return found, true, nil
		case to.Sub(from) > period:
			return found, false, nil
		case len(found) > maxWindow:
			return nil, false, fmt.Errorf("list fragments of stream %s from %v on: one hour has more than %d", l.a.id.name, from, maxWindow)
		}
		call.token = next
	}
}

// refusesToken reports whether the service rejects the token of the previous page.
func refusesToken(err error) bool {
	var refused *Error
	return errors.As(err, &refused) && (refused.Code == codeInvalid || refused.Code == "ResourceNotFoundException")
}

// halves lists both halves of a window after the token of its next page was rejected. They need fewer pages, in
// the end only the first. Pages have no order, so there is no other way to continue.
func (l *lister) halves(ctx context.Context, from, to time.Time, refused error) ([]ArchivedFragment, error) {
	l.a.log.Debug("listing cannot continue, listing both halves of its range", "from", from, "to", to, "error", refused)
	middle := from.Add(to.Sub(from) / 2)
	all, _, err := l.window(ctx, from, middle)
	if err != nil {
		return nil, err
	}
	rest, _, err := l.window(ctx, middle, to)
	return append(all, rest...), err
}

// page lists one page, with as many tries as necessary.
func (l *lister) page(ctx context.Context, call page, found *[]ArchivedFragment) (next *string, err error) {
	a := l.a
	var tries tries
	for {
		if err := a.lists.spend(ctx, pageSize); err != nil {
			return nil, err
		}
		out, endpoint, err := a.api.listFragments(ctx, call)
		if err == nil {
			a.answered()
			a.lists.served()
			for _, f := range out.Fragments {
				info := ArchivedFragment{
					Number:       aws.ToString(f.FragmentNumber),
					ProducerTime: aws.ToTime(f.ProducerTimestamp),
					ServerTime:   aws.ToTime(f.ServerTimestamp),
					Length:       time.Duration(f.FragmentLengthInMilliseconds) * time.Millisecond,
					Bytes:        max(0, f.FragmentSizeInBytes),
				}
				// The range of a call includes its end.
				if at := info.at(l.clock); payload.IsFragmentNumber(info.Number) && !at.Before(call.from) && at.Before(call.to) {
					*found = append(*found, info)
				}
			}
			return out.NextToken, nil
		}
		if call.token != nil && refusesToken(err) {
			return nil, err // the caller lists the halves of the window
		}
		if err := a.again(ctx, &tries, failure{err, &a.api.list, endpoint, a.lists}); err != nil {
			return nil, err
		}
	}
}
