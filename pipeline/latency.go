package pipeline

import (
	"sync/atomic"
	"time"
)

// Latencies count how long images took, in a run that decodes fragments while they arrive (see Options.Ahead). They count an image when the
// Write of its sink has returned: sinks whose images are objects have then stored it. Others are not counted.
type Latencies struct {
	// Arrival is the time since the last byte of the picture was read, Capture the time since the picture was taken, by the producer's
	// clock.
	Arrival, Capture Latency
}

// Latency is a histogram of durations. All methods may be called at any time.
type Latency struct {
	counts [len(latencyBounds) + 1]atomic.Int64
	sum    atomic.Int64 // nanoseconds
}

// latencyBounds are the upper bounds of the histogram's buckets, in milliseconds. One more bucket has what is longer.
var latencyBounds = [...]int64{
	1, 2, 5, 10, 15, 20, 25, 30, 40, 50, 60, 80, 100, 125, 150, 200, 250, 300, 400, 500, 750, 1000, 1500, 2000, 3000, 5000, 7500, 10_000, 15_000, 30_000, 60_000,
}

// observe counts a duration. One below 0, of a clock that is ahead, is 0.
func (l *Latency) observe(d time.Duration) {
	d = max(0, d)
	i := 0
	for i < len(latencyBounds) && d > time.Duration(latencyBounds[i])*time.Millisecond {
		i++
	}
	l.counts[i].Add(1)
	l.sum.Add(int64(d))
}

// Count returns the number of durations.
func (l *Latency) Count() int64 { return l.Buckets(func(time.Duration, int64) {}) }

// Sum returns the sum of the durations.
func (l *Latency) Sum() time.Duration { return time.Duration(l.sum.Load()) }

// Buckets calls each for every bucket: its upper bound, and the number of durations up to that. It returns the number of all, some of which
// may be longer than the last bound.
func (l *Latency) Buckets(each func(most time.Duration, count int64)) (n int64) {
	for i, bound := range latencyBounds {
		n += l.counts[i].Load()
		each(time.Duration(bound)*time.Millisecond, n)
	}
	return n + l.counts[len(latencyBounds)].Load()
}

// Quantile returns a bound that a share q of the durations does not exceed: that of the bucket which completes the share. It is 0 without any
// durations, and the last bound where they are longer.
func (l *Latency) Quantile(q float64) time.Duration {
	total := l.Count()
	if total == 0 {
		return 0
	}
	n := int64(0)
	for i, bound := range latencyBounds {
		if n += l.counts[i].Load(); float64(n) >= q*float64(total) {
			return time.Duration(bound) * time.Millisecond
		}
	}
	return time.Duration(latencyBounds[len(latencyBounds)-1]) * time.Millisecond
}
