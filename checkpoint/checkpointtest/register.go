package checkpointtest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/kvsframes/kvsframes/checkpoint"
)

// Register is a checkpoint.Register in memory. Several goroutines may use it.
type Register struct {
	mu      sync.Mutex
	content []byte
	change  int // counts the changes; the tag
	fails   func(bytes int) (lost bool, err error)
}

// Fail makes each Read (0 bytes) and Swap return the error of fails; nil is none. The swap is made all the same if lost is
// true: only its answer is lost.
func (r *Register) Fail(fails func(bytes int) (lost bool, err error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fails = fails
}

var _ checkpoint.Register = (*Register)(nil)

// Name implements checkpoint.Register.
func (r *Register) Name() string { return "memory" }

// Read implements checkpoint.Register.
func (r *Register) Read(ctx context.Context, limit int64) ([]byte, string, error) {
	_, err := r.fault(0)
	if err = errors.Join(ctx.Err(), err); err != nil {
		return nil, "", err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if int64(len(r.content)) > limit {
		return nil, "", fmt.Errorf("the object is larger than %d bytes", limit)
	}
	return r.content, r.tag(), nil
}

// Swap implements checkpoint.Register.
func (r *Register) Swap(ctx context.Context, content []byte, tag string) (string, bool, error) {
	lost, err := r.fault(len(content))
	if err = errors.Join(ctx.Err(), err); err != nil && !lost {
		return "", false, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tag() != tag {
		return "", false, err
	}
	r.put(content)
	return r.tag(), true, err
}

func (r *Register) fault(bytes int) (lost bool, err error) {
	r.mu.Lock()
	fails := r.fails
	r.mu.Unlock()
	if fails == nil {
		return false, nil
	}
	return fails(bytes)
}

// Put replaces the content, and removes the object if it is nil.
func (r *Register) Put(content []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.put(content)
}

// Get returns the content; nil if there is no object.
func (r *Register) Get() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.content
}

func (r *Register) put(content []byte) { r.content, r.change = content, r.change+1 }

func (r *Register) tag() string {
	if r.content == nil {
		return ""
	}
	return strconv.Itoa(r.change)
}
