package source

import (
	"context"
	"math/rand/v2"
	"time"
)

// The rate of GetMedia calls. KVS takes 5 a second of all consumers of a stream
// together (Developer Guide, Quotas); this reader leaves one of them to others,
// and a margin for calls that are sent apart and arrive together.
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
	if err := sleep(ctx, callWindow-time.Since(l.calls[l.next])); err != nil {
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
// nothing, counted from 0: from minDelay on it doubles up to maxDelay. Chance takes
// away up to half of it, so that streams which were cut together do not come back
// together.
func backoff(n int) time.Duration {
	d := maxDelay
	if n < 5 { // 2^5 s is above maxDelay
		d = minDelay << n
	}
	return max(minDelay, d/2+rand.N(d/2+1))
}

// sleep waits for d, or for the end of ctx, whose error it returns.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
