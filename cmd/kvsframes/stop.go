package main

import (
	"context"
	"errors"
	"sync"
)

// The reasons why contexts of a command end.
var (
	errDraining = errors.New("interrupted")
	errAborted  = errors.New("interrupted twice")
)

// watch turns signals into contexts: the first signal ends draining, the second
// ends ctx, and draining is over when ctx is. A third one meets the system's
// default, and ends the process. stop ends the watch and waits for it; both
// contexts are then over.
func (p *program) watch(parent context.Context) (ctx, draining context.Context, stop func()) {
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

// await calls first at the first signal and second at the next one.
func (p *program) await(ended <-chan struct{}, first, second func()) {
	for _, act := range []func(){first, second} {
		select {
		case <-ended:
			return
		case <-p.signals:
			act()
		}
	}
}

// interrupted says whether a signal has ended the context.
func interrupted(ctx context.Context) bool {
	cause := context.Cause(ctx)
	return errors.Is(cause, errDraining) || errors.Is(cause, errAborted)
}
