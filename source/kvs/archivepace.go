package kvs

import (
	"context"
	"sync"
	"time"

	"github.com/kvsframes/kvsframes/internal/wait"
)

// The rate of calls to the archive. KVS allows 500 fragments of media and 10,000 listed fragments a second for
// each stream, for all consumers together (Developer Guide, Quotas). This reader never exceeds that in any
// second, and leaves a part of the second budget to others.
const (
	mediaRate, mediaBurst = 400, maxBatch
	listRate, listBurst   = 7 * pageSize, 2 * pageSize
)

// tempo holds the delays before requests are repeated.
type tempo struct {
	// retry is the first delay after an error, throttle after a throttled call, and absent after a missing fragment.
	retry, throttle, absent time.Duration
	// most is the longest delay.
	most time.Duration
}

// usualTempo makes 5 tries for a fragment take about 10 s.
var usualTempo = tempo{retry: 300 * time.Millisecond, throttle: 500 * time.Millisecond, absent: 800 * time.Millisecond, most: 30 * time.Second}

// backoff returns the delay before try n: it doubles from first on, less up to a quarter.
func (t tempo) backoff(first time.Duration, n int) time.Duration {
	return wait.Backoff(first, t.most, n, 4)
}

// points limits the rate of calls: each call costs points, which accrue at a steady rate. Several goroutines
// may call its methods.
type points struct {
	rate, burst float64

	mu    sync.Mutex
	level float64
	at    time.Time
	// until is the end of the pause after a throttled call, strikes the number of consecutive throttled calls.
	until   time.Time
	strikes int
	// answered is the number of successful calls.
	answered int
}

func newPoints(rate, burst int) *points {
	return &points{rate: float64(rate), burst: float64(burst), level: float64(burst)}
}

// spend waits until there are n points and no pause, and takes the points.
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

// take takes n points and returns how long it takes until they are available.
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

// throttled makes all calls pause. During a pause it does nothing, because the throttled call was made before
// the pause.
func (p *points) throttled(pace tempo) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.After(p.until) {
		p.until = now.Add(pace.backoff(pace.throttle, p.strikes))
		p.strikes++
	}
}

// served records that a call was successful.
func (p *points) served() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.strikes = 0
	p.answered++
}

// count returns the number of successful calls.
func (p *points) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.answered
}

// budget bounds the bytes in memory.
type budget struct {
	mu         sync.Mutex
	max        int64
	used, peak int64
	freed      chan struct{}
}

func newBudget(most int64) *budget { return &budget{max: most, freed: make(chan struct{}, 1)} }

// acquire waits until there is room for n bytes. If n exceeds the whole budget, it waits until the budget is
// unused. Only one goroutine calls it.
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

// grow adds n bytes that were not reserved; it never waits.
func (b *budget) grow(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used += n
	b.peak = max(b.peak, b.used)
}

// release frees n bytes.
func (b *budget) release(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	select {
	case b.freed <- struct{}{}:
	default:
	}
}
