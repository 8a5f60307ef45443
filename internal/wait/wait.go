// Package wait waits before a retry.
package wait

import (
	"context"
	"math/rand/v2"
	"time"
)

// Sleep returns nil after d, or the error of ctx as soon as ctx is done.
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

// Backoff returns the delay before retry n, counted from 0: first, doubled n times, but at most most. It
// subtracts a random amount of up to one part in share, so that callers that failed together do not retry
// together.
func Backoff(first, most time.Duration, n, share int) time.Duration {
	d := most
	if n < 16 {
		d = min(first<<n, most)
	}
	return d - rand.N(d/time.Duration(share)+1)
}
