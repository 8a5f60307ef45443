// Package wait waits before something is tried again.
package wait

import (
	"context"
	"math/rand/v2"
	"time"
)

// Sleep returns nil after d, or the error of ctx as soon as that is done.
func Sleep(ctx context.Context, d time.Duration) error {
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

// Backoff returns the delay before try n, counted from 0: first, doubled n times, but at most
// most. Chance takes away up to one part in share of it, so that callers who failed together
// do not try again together.
func Backoff(first, most time.Duration, n, share int) time.Duration {
	d := most
	if n < 16 {
		d = min(first<<n, most)
	}
	return d - rand.N(d/time.Duration(share)+1)
}
