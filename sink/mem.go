package sink

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"
)

// Object is one object of a memory store.
type Object struct {
	Body        []byte
	ContentType string
	Metadata    map[string]string
}

// Mem is a Store in memory, for tests and for programs that use the images directly. It has no limit: its
// user removes the objects.
type Mem struct {
	mu      sync.Mutex
	objects map[string]Object
}

var _ Store = (*Mem)(nil)

// NewMem returns an empty store.
func NewMem() *Mem { return &Mem{objects: map[string]Object{}} }

// Put implements Store.
func (m *Mem) Put(ctx context.Context, key string, body []byte, opts PutOptions) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	if err := opts.confirm(ctx); err != nil {
		return err
	}
	object := Object{Body: bytes.Clone(body), ContentType: opts.ContentType, Metadata: maps.Clone(opts.Metadata)}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, there := m.objects[key]; there && opts.IfAbsent {
		return fmt.Errorf("put %s: %w", key, ErrExist)
	}
	m.objects[key] = object
	return nil
}

// Create implements Store.
func (m *Mem) Create(ctx context.Context, key string, opts PutOptions) (ObjectWriter, error) {
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	return &memWriter{store: m, key: key, opts: opts}, ctx.Err()
}

// memWriter writes an object that is not in its store yet.
type memWriter struct {
	store *Mem
	key   string
	opts  PutOptions
	body  bytes.Buffer
	ended bool
}

func (w *memWriter) Write(ctx context.Context, p []byte) error {
	if w.ended {
		return errEnded
	}
	w.body.Write(p)
	return ctx.Err()
}

func (w *memWriter) Commit(ctx context.Context) error {
	if w.ended {
		return errEnded
	}
	err := w.store.Put(ctx, w.key, w.whole(), w.opts)
	w.ended = err == nil
	return err
}

func (w *memWriter) Same(ctx context.Context) (bool, error) {
	if w.ended {
		return false, errEnded
	}
	return w.store.Holds(ctx, w.key, w.whole())
}

// whole returns what was written, with its head.
func (w *memWriter) whole() []byte {
	if w.opts.Head != nil {
		copy(w.body.Bytes(), w.opts.Head())
	}
	return w.body.Bytes()
}

func (w *memWriter) Abandon() error {
	w.ended = true
	w.body = bytes.Buffer{}
	return nil
}

// Holds implements Store.
func (m *Mem) Holds(ctx context.Context, key string, body []byte) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	object, err := m.Get(key)
	return err == nil && bytes.Equal(object.Body, body), err
}

// Get returns an object, or an error that is fs.ErrNotExist. The object is shared: do not change it.
func (m *Mem) Get(key string) (Object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	object, there := m.objects[key]
	if !there {
		return Object{}, fmt.Errorf("get %s: %w", key, fs.ErrNotExist)
	}
	return object, nil
}

// Remove removes an object if it exists.
func (m *Mem) Remove(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, key)
}

// Keys returns the keys of all objects, in order.
func (m *Mem) Keys() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.objects))
}
