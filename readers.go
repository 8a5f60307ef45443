package kvsframes

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/pipeline"
	"github.com/kvsframes/kvsframes/source"
)

// distances decide which sinks share a reader.
type distances struct {
	// apart is how far behind a sink may be, in media, before the others continue without it.
	apart time.Duration
	// patience is how long its destination may be in trouble before they do.
	patience time.Duration
	// meet is the distance of two readers at which a single one replaces them.
	meet time.Duration
	// look is the time between two checks.
	look time.Duration
}

// usualDistances are those of all runs except in tests.
var usualDistances = distances{apart: time.Minute, patience: time.Minute, meet: 15 * time.Second, look: time.Second}

// readers reads one stream that has a checkpoint. As a rule a single reader serves all sinks. Sinks that are far behind
// the others, and those whose destination has been in trouble for a while, get a second reader, which continues where they are.
// When it has caught up, a single reader replaces the two. There are never more, since KVS allows few connections to
// a stream.
type readers struct {
	*stages
	in      source.Input
	at      *position
	options pipeline.Options

	// over reports which sinks no reader will serve any more, by index: they have failed, or their reader came to its end.
	over []bool
	// complete reports whether each reader that came to its end has read all that the settings ask for.
	complete bool
	// counted is the number of the last fragment that the summary counts, or that earlier runs have delivered.
	counted string
	// front are the sinks of the reader that is furthest on.
	front []int
	// leaving reports whether the readers are ending because others continue.
	leaving bool
	errs    []error
}

// reader reads one stream for some of its sinks.
type reader struct {
	sinks []int // by index, in order
	// stop ends when the reader has to end although the stream continues: the run is drained, or leave was called.
	stop  context.Context
	leave context.CancelFunc
	// first reports whether the reader is the one that is furthest on, or the only one. It counts the fragments after the one with
	// the number counted.
	first   bool
	counted string
	// aside has a context for each sink, by name. leaves ends it, which makes the sink leave the reader.
	aside  map[string]context.Context
	leaves map[string]context.CancelFunc
	place  atomic.Pointer[media.Place] // of the fragment that was planned last
	ended  atomic.Bool

	account *pipeline.Account
	// continues reports whether another reader, or a later run, continues the stream.
	continues bool
	// atEnd reports whether the reader has read all that the settings ask for.
	atEnd bool
	err   error
}

// pass notes the fragment that was planned last.
func (r *reader) pass(p media.Place) { r.place.Store(&p) }

// read reads the stream until nothing is left to do for any sink, or the run is drained.
func (r *readers) read(ctx, draining context.Context) error {
	r.over, r.complete = make([]bool, len(r.sinks)), true
	r.counted = furthestOf(r.at.states()).Place.Number
	for ctx.Err() == nil && draining.Err() == nil && slices.Contains(r.over, false) {
		r.round(ctx, draining)
	}
	r.at.reached = r.complete && !slices.Contains(r.over, false)
	r.options.Account.SetBehind(r.behind())
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case len(r.errs) == 1:
		return r.errs[0]
	}
	return errors.Join(r.errs...)
}

// round runs one or two readers until they have ended.
func (r *readers) round(ctx, draining context.Context) {
	front, behind := r.split(time.Now())
	if len(behind) == 0 && len(r.front) > 0 && len(front) > len(r.front) {
		r.options.Log.Info("the sinks that were behind have caught up: one reader serves all", "stream", r.in.Stream)
	}
	r.front, r.leaving = front, false
	running := []*reader{r.open(draining, front)}
	running[0].first, running[0].counted = true, r.counted // a second reader may have come further than the last first one
	if len(behind) > 0 {
		running = append(running, r.open(draining, behind))
		r.options.Log.Info("sinks are behind the others: a second reader serves them", "stream", r.in.Stream, "sinks", r.text(behind))
	}
	var all sync.WaitGroup
	for _, rd := range running {
		all.Go(func() {
			defer rd.ended.Store(true)
			rd.err = r.carry(ctx, rd, r.in, r.at, r.options)
		})
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		all.Wait()
	}()
	ticker := time.NewTicker(r.distances.look)
	defer ticker.Stop()
	for ended := false; !ended; {
		select {
		case <-over:
			ended = true
		case now := <-ticker.C:
			if !interrupted(draining) {
				r.look(now, running)
			}
		}
	}
	for _, rd := range running {
		r.close(rd, draining.Err() != nil)
	}
}

// split returns the sinks that one reader serves, and those of a second one, which are behind. Sinks whose destination is in
// trouble share the second reader with no others.
func (r *readers) split(now time.Time) (front, behind []int) {
	states := r.at.states()
	begin := beginning(states)
	var waiting []int
	for i, over := range r.over {
		switch {
		case over:
		case r.inTrouble(i, now):
			waiting = append(waiting, i)
		default:
			front = append(front, i)
		}
	}
	if len(front) == 0 {
		front, waiting = waiting, nil
	}
	when := func(i int) time.Time {
		if states[i].Place.Number == "" {
			return arrival(begin)
		}
		return arrival(states[i].Place)
	}
	last := when(slices.MaxFunc(front, func(a, b int) int { return when(a).Compare(when(b)) }))
	var near []int
	for _, i := range front {
		// What is open is read again while the others wait: with a second reader it would not be complete when the two meet either, and so for ever.
		open := r.pipeline.Config.Sinks[i].SinkConfig().MostOpen()
		if last.Sub(when(i)) > r.distances.apart+open {
			behind = append(behind, i)
		} else {
			near = append(near, i)
		}
	}
	if len(behind) == 0 {
		behind = waiting
	}
	return near, behind
}

// arrival returns the time of a place, on the clock that does not jump if that is known.
func arrival(p media.Place) time.Time {
	if p.ServerTime.IsZero() {
		return p.ProducerTime
	}
	return p.ServerTime
}

// beginning returns the first fragment that was read, if one of the states has it.
func beginning(states []plan.State) (first media.Place) {
	for _, s := range states {
		if s.Lead.First.Number != "" {
			first = s.Lead.First
		}
	}
	return first
}

// furthestOf returns the state with the last place.
func furthestOf(states []plan.State) plan.State {
	return slices.MaxFunc(states, func(a, b plan.State) int { return media.CompareNumbers(a.Place.Number, b.Place.Number) })
}

// inTrouble reports whether the destination of a sink has been in trouble for so long that other sinks do not wait for it.
func (r *readers) inTrouble(sink int, now time.Time) bool {
	reach := r.sinks[sink].Reach()
	return reach.Err != nil && now.Sub(reach.Since) >= r.distances.patience
}

// open returns a reader for some sinks.
func (r *readers) open(draining context.Context, sinks []int) *reader {
	rd := &reader{
		sinks: sinks, account: r.options.Account.Begin(),
		aside: map[string]context.Context{}, leaves: map[string]context.CancelFunc{},
	}
	rd.stop, rd.leave = context.WithCancel(draining)
	for _, i := range sinks {
		name := r.at.names[i]
		rd.aside[name], rd.leaves[name] = context.WithCancel(context.WithoutCancel(draining))
	}
	return rd
}

// look makes sinks in trouble leave the others, and readers that have met end.
func (r *readers) look(now time.Time, running []*reader) {
	for _, rd := range running {
		if !rd.ended.Load() {
			r.part(now, rd, running)
		}
	}
	if len(running) == 2 && r.met(now, running[0], running[1]) {
		r.leave(running)
	}
	r.options.Account.SetBehind(r.behind())
}

// part makes the sinks of a reader leave it whose destination is in trouble, if anything else waits for them.
func (r *readers) part(now time.Time, rd *reader, running []*reader) {
	var waiting []int
	others := r.leaving
	for _, i := range rd.sinks {
		switch {
		case rd.aside[r.at.names[i]].Err() != nil:
		case r.inTrouble(i, now):
			waiting = append(waiting, i)
		default:
			others = true
		}
	}
	if !others || len(waiting) == 0 {
		return
	}
	r.options.Log.Warn("the destination of sinks is in trouble: the others continue without them", "stream", r.in.Stream, "sinks", r.text(waiting))
	for _, i := range waiting {
		rd.leaves[r.at.names[i]]()
	}
	r.leave(running)
}

// met reports whether the second of two readers has caught up.
func (r *readers) met(now time.Time, front, behind *reader) bool {
	a, b := front.place.Load(), behind.place.Load()
	if r.leaving || a == nil || b == nil || front.ended.Load() || behind.ended.Load() {
		return false
	}
	waits := slices.ContainsFunc(behind.sinks, func(i int) bool { return r.inTrouble(i, now) })
	return !waits && arrival(*a).Sub(arrival(*b)) <= r.distances.meet
}

// leave makes the readers end, so that others continue.
func (r *readers) leave(running []*reader) {
	r.leaving = true
	for _, rd := range running {
		rd.leave()
	}
}

// close notes what a reader has come to.
func (r *readers) close(rd *reader, drained bool) {
	rd.leave()
	left := make([]bool, len(rd.sinks)) // while the reader went on
	for n, i := range rd.sinks {
		left[n] = rd.aside[r.at.names[i]].Err() != nil
		rd.leaves[r.at.names[i]]()
	}
	failed := rd.account.Failures()
	aside := errors.Is(rd.err, pipeline.ErrAside)
	closed := errors.Is(rd.err, media.ErrReaderClosed) // and no sink is left
	_, ofSinks := rd.err.(pipeline.SinkErrors)
	fatal := rd.err != nil && !aside && !ofSinks && !closed
	ended := fatal || closed || !rd.continues && !aside
	for n, i := range rd.sinks {
		lost := slices.ContainsFunc(failed, func(e *pipeline.SinkError) bool { return e.Sink == r.at.names[i] })
		r.over[i] = ended && !left[n] || fatal || lost
	}
	r.complete = r.complete && (rd.atEnd || !ended || closed)
	if rd.err != nil && !aside && !closed {
		r.errs = append(r.errs, rd.err)
	}
	if last := rd.account.Summary().LastFragmentNumber; media.CompareNumbers(last, r.counted) > 0 {
		r.counted = last
	}
	r.options.Account.Fold(rd.account, closed || !ended && !drained)
}

// behind returns the fragments that the first reader has delivered, and that sinks of no reader or of the second one lack.
func (r *readers) behind() (u pipeline.Undelivered) {
	if len(r.front) == len(r.over) { // as a rule; it is asked for each second
		return u
	}
	states := r.at.states()
	furthest := furthestOf(states)
	for i, s := range states {
		if n := furthest.Fragments - s.Fragments; n > u.Fragments && !slices.Contains(r.front, i) {
			u = pipeline.Undelivered{From: r.at.next(i), To: furthest.Place.Number, Fragments: n}
		}
	}
	return u
}

// text returns the names of sinks.
func (r *readers) text(sinks []int) string {
	names := make([]string, len(sinks))
	for n, i := range sinks {
		names[n] = r.at.names[i]
	}
	return strings.Join(names, ", ")
}
