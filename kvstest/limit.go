package kvstest

import (
	"fmt"
	"sync"
	"time"
)

// limiter enforces the quotas of one stream.
type limiter struct {
	mu  sync.Mutex
	ops map[string]*usage
}

// usage holds the limits of one operation, 0 or less for none, and what is used of them.
type usage struct {
	callLimit, connectionLimit, pointLimit int

	calls  window
	open   int // connections
	budget budget
}

func newLimiter(q Quotas) *limiter {
	return &limiter{ops: map[string]*usage{
		opGetDataEndpoint:         {callLimit: q.EndpointCalls},
		opDescribeStream:          {callLimit: q.DescribeCalls},
		opDescribeStreamStorage:   {},
		opGetMedia:                {callLimit: q.GetMediaCalls, connectionLimit: q.GetMediaConnections},
		opPutMedia:                {callLimit: q.PutMediaCalls, connectionLimit: q.PutMediaConnections},
		opListFragments:           {pointLimit: q.MetadataPoints},
		opGetMediaForFragmentList: {connectionLimit: q.FragmentListConnections, pointLimit: q.FragmentPoints},
	}}
}

// call counts a call and refuses it above the limit of calls a second.
func (l *limiter) call(op string, now time.Time) *apiError {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.ops[op]
	if u.callLimit > 0 && !u.calls.take(u.callLimit, now) {
		return errClientLimit(fmt.Sprintf("%s was called %d times within a second, which is the limit of a stream", op, u.callLimit))
	}
	return nil
}

// connect counts a connection and refuses it above the limit. If it returns no refusal, the caller must call release.
func (l *limiter) connect(op string) (release func(), refusal *apiError) {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.ops[op]
	if u.connectionLimit > 0 && u.open >= u.connectionLimit {
		message := fmt.Sprintf("the stream has %d open %s connections, which is the limit", u.connectionLimit, op)
		if op == opGetMediaForFragmentList { // the operation has no other exception for it
			return nil, errClientLimit(message)
		}
		return nil, errConnectionLimit(message)
	}
	u.open++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		u.open--
	}, nil
}

// pay takes points from an operation's budget, and refuses the call without them.
func (l *limiter) pay(op string, points int, now time.Time) *apiError {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.ops[op]
	if u.pointLimit > 0 && !u.budget.take(points, u.pointLimit, now) {
		return errClientLimit(fmt.Sprintf("%s has spent the stream's %d points a second", op, u.pointLimit))
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

// budget is a number of points that grows at a steady rate, up to that of a second. The zero value is full.
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
