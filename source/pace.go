package source

import (
	"context"
	"time"

	"github.com/kvsframes/kvsframes/internal/wait"
)

// The rate of GetMedia calls. KVS accepts 5 a second from all consumers of a stream
// together (Developer Guide, Quotas). This reader leaves one of them to others, and the
// window is longer than a second since calls that are sent apart may arrive together.
const (
	maxCalls   = 4
	callWindow = 1100 * time.Millisecond
)

// limiter lets at most maxCalls calls pass in any callWindow.
type limiter struct {
	// calls are the times of the last calls, the oldest at next.
	calls [maxCalls]time.Time
	next  int
}

// wait returns when a call may be made, and counts it.
func (l *limiter) wait(ctx context.Context) error {
	if err := wait.Sleep(ctx, callWindow-time.Since(l.calls[l.next])); err != nil {
		return err
	}
	l.calls[l.next] = time.Now()
	l.next = (l.next + 1) % maxCalls
	return nil
}

// The delays between sessions that bring nothing.
const (
	minDelay = time.Second
	maxDelay = 30 * time.Second
)

// backoff is the delay after the nth session or call in a row that brought
// nothing, counted from 0: from minDelay on it doubles up to maxDelay, less up to half of it.
func backoff(n int) time.Duration {
	return max(minDelay, wait.Backoff(minDelay, maxDelay, n, 2))
}
