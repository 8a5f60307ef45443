package kvstest

import (
	"fmt"
	"sync"
	"time"
)

// limiter enforces the quotas of one stream.
type limiter struct {
	quotas Quotas

	mu      sync.Mutex
	calls   map[string]window
	open    map[string]int
	budgets map[string]*budget
}

func newLimiter(quotas Quotas) *limiter {
	return &limiter{quotas: quotas, calls: map[string]window{}, open: map[string]int{}, budgets: map[string]*budget{}}
}

// call counts a call and refuses it above the limit of calls a second.
func (l *limiter) call(op string, now time.Time) *apiError {
	limit := map[string]int{
		opGetMedia: l.quotas.GetMediaCalls, opPutMedia: l.quotas.PutMediaCalls,
		opGetDataEndpoint: l.quotas.EndpointCalls, opDescribeStream: l.quotas.DescribeCalls,
	}[op]
	if limit <= 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.calls[op]
	taken := w.take(limit, now)
	l.calls[op] = w
	if !taken {
		return errClientLimit(fmt.Sprintf("%s was called %d times within a second, which is the limit of a stream", op, limit))
	}
	return nil
}

// connect counts a connection and refuses it above the limit. If it returns no refusal, the caller must call release.
func (l *limiter) connect(op string) (release func(), refusal *apiError) {
	limit := map[string]int{
		opGetMedia: l.quotas.GetMediaConnections, opPutMedia: l.quotas.PutMediaConnections,
		opGetMediaForFragmentList: l.quotas.FragmentListConnections,
	}[op]
	l.mu.Lock()
	defer l.mu.Unlock()
	if limit > 0 && l.open[op] >= limit {
		message := fmt.Sprintf("the stream has %d open %s connections, which is the limit", limit, op)
		if op == opGetMediaForFragmentList { // the operation has no other exception for it
			return nil, errClientLimit(message)
		}
		return nil, errConnectionLimit(message)
	}
	l.open[op]++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.open[op]--
	}, nil
}

// pay takes points from an operation's budget, and refuses the call without them.
func (l *limiter) pay(op string, points int, now time.Time) *apiError {
	rate := map[string]int{
		opListFragments: l.quotas.MetadataPoints, opGetMediaForFragmentList: l.quotas.FragmentPoints,
	}[op]
	if rate <= 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.budgets[op]
	if b == nil {
		b = &budget{level: float64(rate), at: now}
		l.budgets[op] = b
	}
	if !b.take(points, rate, now) {
		return errClientLimit(fmt.Sprintf("%s has spent the stream's %d points a second", op, rate))
	}
	return nil
}

// window counts the events of the last second.
type window struct{ times []time.Time }

// take adds an event unless there are already limit of them.
func (w *window) take(limit int, now time.Time) bool {
	if w.wait(limit, now) > 0 {
		return false
	}
	w.times = append(w.times, now)
	return true
}

// wait returns the time until the next event is within the limit.
func (w *window) wait(limit int, now time.Time) time.Duration {
	for len(w.times) > 0 && now.Sub(w.times[0]) >= time.Second {
		w.times = w.times[1:]
	}
	if len(w.times) < limit {
		return 0
	}
	return time.Second - now.Sub(w.times[len(w.times)-limit])
}

// budget is a number of points that grows at a steady rate.
type budget struct {
	level float64
	at    time.Time
}

// take takes n points. AWS does not say what happens to a request that costs more than the points of a second:
// here a full budget pays for it, and stays negative.
func (b *budget) take(n, rate int, now time.Time) bool {
	b.level = min(float64(rate), b.level+now.Sub(b.at).Seconds()*float64(rate))
	b.at = now
	if b.level < float64(min(n, rate)) {
		return false
	}
	b.level -= float64(n)
	return true
}
