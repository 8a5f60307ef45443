package kvstest

import (
	"context"
	"sync"
	"testing"
	"time"
)

// movableClock is a clock that a test sets.
type movableClock struct {
	mu sync.Mutex
	at time.Time
}

func (c *movableClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *movableClock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// start serves until the test ends, and has the test fail when a handler is left then.
func start(t *testing.T, s *Server) (url string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	url, wait, err := s.Start(ctx, "")
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := wait(); err != nil || s.Active() != 0 {
			t.Errorf("the server ended with %v and %d handlers", err, s.Active())
		}
	})
	return url
}
