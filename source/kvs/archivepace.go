package kvs

import (
	"context"
	"sync"
	"time"

	"github.com/kvsframes/kvsframes/internal/wait"
)

// How fast the archive is asked. KVS has a budget of 500 fragments a second for media and
// of 10,000 listed ones for each stream, of all consumers together (Developer Guide,
// Quotas); this reader never takes more than that in any second, and leaves a part of
// the second budget to others.
const (
	mediaRate, mediaBurst = 400, maxBatch
	listRate, listBurst   = 7 * pageSize, 2 * pageSize
)

// tempo is how long the reader waits before it asks again.
type tempo struct {
	// retry and throttle are the first delays after an error and after a throttle,
	// absent the one for a fragment that is not there.
	retry, throttle, absent time.Duration
	// most is the longest delay.
	most time.Duration
}

// usualTempo has 5 tries for a fragment take some 10 s.
var usualTempo = tempo{retry: 300 * time.Millisecond, throttle: 500 * time.Millisecond, absent: 800 * time.Millisecond, most: 30 * time.Second}

// backoff is the delay before try n, from first on, less up to a quarter.
func (t tempo) backoff(first time.Duration, n int) time.Duration {
	return wait.Backoff(first, t.most, n, 4)
}

// points is a purse that fills up at a steady rate. It is used by several goroutines.
type points struct {
	rate, burst float64

	mu    sync.Mutex
	level float64
	at    time.Time
	// until is the end of the pause that a throttle has made, strikes the number of
	// throttles in a row.
	until   time.Time
	strikes int
	// answered is the number of calls that were served.
	answered int
}

func newPoints(rate, burst int) *points {
	return &points{rate: float64(rate), burst: float64(burst), level: float64(burst)}
}

// spend returns when n points have been saved up and no pause is on.
func (p *points) spend(ctx context.Context, n int) error {
	if err := wait.Sleep(ctx, p.take(n, time.Now())); err != nil {
		return err
	}
	for {
		p.mu.Lock()
		pause := time.Until(p.until)
		p.mu.Unlock()
		if pause <= 0 {
			return ctx.Err()
		}
		if err := wait.Sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// take takes n points and returns how long it takes until they are there.
func (p *points) take(n int, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.at.IsZero() {
		p.level = min(p.burst, p.level+now.Sub(p.at).Seconds()*p.rate)
	}
	p.at = now
	p.level -= float64(n)
	return time.Duration(max(0, -p.level/p.rate) * float64(time.Second))
}

// throttled makes all calls wait. Throttles that come while they already do are answers to
// calls that were under way.
func (p *points) throttled(pace tempo) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.After(p.until) {
		p.until = now.Add(pace.backoff(pace.throttle, p.strikes))
		p.strikes++
	}
}

// served notes that a call was served.
func (p *points) served() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.strikes = 0
	p.answered++
}

// count is the number of calls that were served.
func (p *points) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.answered
}

// budget bounds what is in memory, in bytes.
type budget struct {
	mu         sync.Mutex
	max        int64
	used, peak int64
	freed      chan struct{}
}

func newBudget(most int64) *budget { return &budget{max: most, freed: make(chan struct{}, 1)} }

// acquire waits until there is room for n bytes; for more than there ever is, until nothing
// else takes any. One goroutine calls it.
func (b *budget) acquire(ctx context.Context, n int64) error {
	for !b.fits(n) {
		select {
		case <-b.freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ctx.Err()
}

func (b *budget) fits(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used > 0 && b.used+n > b.max {
		return false
	}
	b.used += n
	b.peak = max(b.peak, b.used)
	return true
}

// grow notes that what was to be n bytes has come out larger; it never waits.
func (b *budget) grow(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used += n
	b.peak = max(b.peak, b.used)
}

// release gives n bytes back.
func (b *budget) release(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	select {
	case b.freed <- struct{}{}:
	default:
	}
}
