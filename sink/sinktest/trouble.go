package sinktest

import (
	"context"
	"errors"
	"sync"

	"github.com/kvsframes/kvsframes/sink"
)

// errTrouble is the error of an operation that fails.
var errTrouble = errors.New("the destination has failed")

// Trouble makes operations of a destination fail or hang when a test wants it. The zero value lets
// everything pass.
type Trouble struct {
	mu     sync.Mutex
	count  int // operations since plan
	failAt int // the operation that fails, from 1
	hang   chan struct{}
}

// Pass is called at the start of each operation. It returns the error with which the operation is to
// fail, or waits until ctx ends and returns its error.
func (t *Trouble) Pass(ctx context.Context) error {
	t.mu.Lock()
	t.count++
	fails, hang := t.count == t.failAt, t.hang
	t.mu.Unlock()
	if hang != nil {
		select {
		case hang <- struct{}{}:
		default:
		}
		<-ctx.Done()
		return ctx.Err()
	}
	if fails {
		return errTrouble
	}
	return nil
}

// plan makes the nth operation from now on fail; 0 is none.
func (t *Trouble) plan(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count, t.failAt, t.hang = 0, n, nil
}

// block makes all operations hang, and returns a channel that gets a value when one does.
func (t *Trouble) block() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hang = make(chan struct{}, 1)
	return t.hang
}

// met reports whether the operation that was to fail has come.
func (t *Trouble) met() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failAt > 0 && t.count >= t.failAt
}

// Store returns a store of which every operation passes through t, but for Abandon.
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

func (w troubledWriter) Commit(ctx context.Context) error {
	if err := w.trouble.Pass(ctx); err != nil {
		return err
	}
	return w.ObjectWriter.Commit(ctx)
}
