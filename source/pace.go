package source

import (
	"context"
	"time"

	"github.com/kvsframes/kvsframes/internal/wait"
)

// The rate of GetMedia calls. KVS accepts 5 a second from all consumers of a stream together (Developer Guide,
// Quotas). One of them is left to others. The window is longer than a second, since calls may arrive closer
// together than they were sent.
const (
	maxCalls   = 4
	callWindow = 1100 * time.Millisecond
)

// limiter allows at most maxCalls calls in any callWindow.
type limiter struct {
	// calls are the times of the last calls, the oldest at next.
	calls [maxCalls]time.Time
	next  int
}

// wait returns when a call may be made, and counts the call.
func (l *limiter) wait(ctx context.Context) error {
	if err := wait.Sleep(ctx, callWindow-time.Since(l.calls[l.next])); err != nil {
		return err
	}
	l.calls[l.next] = time.Now()
	l.next = (l.next + 1) % maxCalls
	return nil
}

// The delays after sessions that return nothing.
const (
	minDelay = time.Second
	maxDelay = 30 * time.Second
)

// backoff returns the delay after the nth consecutive session or call that returned nothing, counted from 0: minDelay
// doubled up to maxDelay, less up to half of it.
func backoff(n int) time.Duration {
	return max(minDelay, wait.Backoff(minDelay, maxDelay, n, 2))
}
