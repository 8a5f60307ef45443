//go:build cgo

package decode

import (
	"context"
	"sync"

	"github.com/kvsframes/kvsframes/decode/plan"
)

// executor decodes one fragment at a time.
type executor interface {
	// run decodes a fragment for an account. before is the decoder of the fragment before, or nil, and the decoder is handed to the
	// next fragment if that needs it. run takes ownership of before and of room, the memory for a decoder.
	run(ctx context.Context, s *Stream, what work, before plan.Decoder, room *room, a *account) error
	// suits returns how well the executor suits a stream; more is better.
	suits(s *Stream) int
	// dropOldest frees a decoder that is kept for later, and reports whether there was one.
	dropOldest() bool
	free()
}

// crew holds the executors that are idle.
type crew struct {
	// tokens has one for each of them.
	tokens chan struct{}

	mu sync.Mutex
	// idle has the one that has been idle the longest first.
	idle []executor
}

func newCrew(n int) *crew { return &crew{tokens: make(chan struct{}, n)} }

// put adds an executor.
func (c *crew) put(e executor) {
	c.mu.Lock()
	c.idle = append(c.idle, e)
	c.mu.Unlock()
	c.tokens <- struct{}{}
}

// take waits for an executor and takes the one that suits s best.
func (c *crew) take(ctx context.Context, s *Stream) (executor, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-c.tokens:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	best := 0
	for i, e := range c.idle {
		if e.suits(s) > c.idle[best].suits(s) {
			best = i
		}
	}
	e := c.idle[best]
	c.idle = append(c.idle[:best], c.idle[best+1:]...)
	return e, nil
}

// adopt gives a process to an idle executor that has none, and reports whether there was one.
func (c *crew) adopt(p *process) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.idle {
		if e, ok := e.(*isolated); ok && e.p == nil {
			e.p = p
			return true
		}
	}
	return false
}

// dropKept frees a decoder that an idle executor keeps, and reports whether there was one.
func (c *crew) dropKept() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.idle {
		if e.dropOldest() {
			return true
		}
	}
	return false
}
