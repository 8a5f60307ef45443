package main

import (
	"context"
	"errors"
	"sync"
	"time"
)

// The causes with which the contexts of a command end.
var (
	errDraining = errors.New("interrupted")
	errAborted  = errors.New("interrupted twice")
)

// secondAfter is the delay after which a second signal counts. GNU timeout sends two at once, to the process and
// to its group.
const secondAfter = time.Second

// watch turns signals into contexts: the first signal ends draining, and another one, at least secondAfter later,
// ends ctx. draining also ends with ctx. The signal after that has the system's default effect, and ends the
// process. stop ends the watch and waits for it; both contexts are then done. Before the first watch a signal
// ends the program at once.
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

// await calls first at the first signal, and second at the first later one that counts.
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

// within returns the result of f, or the cause of ctx if ctx ends first. In that case f keeps running until the
// process ends: it is a call that cannot be ended, such as reading standard input.
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
