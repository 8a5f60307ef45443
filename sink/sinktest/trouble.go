package sinktest

import (
	"context"
	"errors"
	"sync"

	"github.com/kvsframes/kvsframes/sink"
)

// errTrouble is the error of an operation that fails.
var errTrouble = errors.New("the destination has failed")

// Trouble makes operations of a destination fail or hang on request. The zero value disturbs nothing.
type Trouble struct {
	mu    sync.Mutex
	count int // operations since the last request
	at    int // the operation that fails or hangs, from 1
	// hanging is nil if the operation fails. Otherwise the operation and all later ones hang, and the channel is
	// closed when the first one does.
	hanging chan struct{}
}

// Pass is called at the start of each operation. It returns the error with which the operation must fail, or
// waits until ctx ends and returns the error of ctx.
func (t *Trouble) Pass(ctx context.Context) error {
	t.mu.Lock()
	t.count++
	hit, hanging, at := t.count == t.at, t.hanging, t.at > 0 && t.count >= t.at
	t.mu.Unlock()
	switch {
	case hanging == nil && hit:
		return errTrouble
	case hanging == nil || !at:
		return nil
	case hit:
		close(hanging)
	}
	<-ctx.Done()
	return ctx.Err()
}

// fail makes the nth operation from now fail; 0 is none.
func (t *Trouble) fail(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count, t.at, t.hanging = 0, n, nil
}

// hang makes the nth operation from now and all later ones hang. It returns a channel that is closed when
// the first one hangs.
func (t *Trouble) hang(n int) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count, t.at, t.hanging = 0, n, make(chan struct{})
	return t.hanging
}

// met reports whether the operation that must fail or hang has begun.
func (t *Trouble) met() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.at > 0 && t.count >= t.at
}

// Store returns a store whose operations, except Abandon, pass through t.
func Store(s sink.Store, t *Trouble) sink.Store { return troubled{s, t} }

type troubled struct {
	store   sink.Store
	trouble *Trouble
}

func (s troubled) Put(ctx context.Context, key string, body []byte, opts sink.PutOptions) error {
	if err := s.trouble.Pass(ctx); err != nil {
		return err
	}
	return s.store.Put(ctx, key, body, opts)
}

func (s troubled) Holds(ctx context.Context, key string, body []byte) (bool, error) {
	if err := s.trouble.Pass(ctx); err != nil {
		return false, err
	}
	return s.store.Holds(ctx, key, body)
}

func (s troubled) Create(ctx context.Context, key string, opts sink.PutOptions) (sink.ObjectWriter, error) {
	if err := s.trouble.Pass(ctx); err != nil {
		return nil, err
	}
	w, err := s.store.Create(ctx, key, opts)
	if err != nil {
		return nil, err
	}
	return troubledWriter{w, s.trouble}, nil
}

type troubledWriter struct {
	sink.ObjectWriter
	trouble *Trouble
}

func (w troubledWriter) Write(ctx context.Context, p []byte) error {
	if err := w.trouble.Pass(ctx); err != nil {
		return err
	}
	return w.ObjectWriter.Write(ctx, p)
}

func (w troubledWriter) Same(ctx context.Context) (bool, error) {
	if err := w.trouble.Pass(ctx); err != nil {
		return false, err
	}
	return w.ObjectWriter.Same(ctx)
}

func (w troubledWriter) Commit(ctx context.Context) error {
	if err := w.trouble.Pass(ctx); err != nil {
		return err
	}
	return w.ObjectWriter.Commit(ctx)
}
