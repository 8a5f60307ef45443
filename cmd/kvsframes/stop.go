package main

import (
	"context"
	"errors"
	"sync"
	"time"
)

// The reasons why contexts of a command end.
var (
	errDraining = errors.New("interrupted")
	errAborted  = errors.New("interrupted twice")
)

// secondAfter is how long after the first signal a second one counts. GNU timeout sends two at once, to the
// process and to its group.
const secondAfter = time.Second

// watch turns signals into contexts: the first signal ends draining, another one, at least
// secondAfter later, ends ctx, and draining is over when ctx is. The one after that meets the system's
// default, and ends the process. stop ends the watch and waits for it; both
// contexts are then over. Until the first watch a signal ends the program at once.
func (p *program) watch(parent context.Context) (ctx, draining context.Context, stop func()) {
	p.watched()
	ctx, abort := context.WithCancelCause(parent)
	draining, drain := context.WithCancelCause(ctx)
	ended, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		p.await(ended, func() { drain(errDraining) }, func() {
			abort(errAborted)
			p.release()
		})
	}()
	return ctx, draining, sync.OnceFunc(func() {
		close(ended)
		<-gone
		abort(context.Canceled)
	})
}

// await calls first at the first signal, and second at the first one that counts after it.
func (p *program) await(ended <-chan struct{}, first, second func()) {
	var began time.Time
	for {
		select {
		case <-ended:
			return
		case <-p.signals:
		}
		switch now := p.now(); {
		case began.IsZero():
			began = now
			first()
		case now.Sub(began) >= secondAfter:
			second()
			return
		}
	}
}

// within returns what f does, or the cause of ctx's end when that comes first. Then f is left to the end of
// the process: it is a call that nothing else ends, such as reading standard input.
func within[T any](ctx context.Context, f func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := f()
		done <- result{value, err}
	}()
	select {
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	case r := <-done:
		return r.value, r.err
	}
}

// interrupted reports whether a signal has ended the context.
func interrupted(ctx context.Context) bool {
	cause := context.Cause(ctx)
	return errors.Is(cause, errDraining) || errors.Is(cause, errAborted)
}
