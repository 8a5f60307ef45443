package pipeline

import (
	"testing"
	"time"
)

func TestALatencyKnowsItsQuantiles(t *testing.T) {
	const ms = time.Millisecond
	var l Latency
	if l.Quantile(0.5) != 0 || l.Count() != 0 {
		t.Error("there is one without any durations")
	}
	for i := range 100 {
		l.observe(time.Duration(i) * ms)
	}
	l.observe(-ms)
	l.observe(time.Hour)
	if got := l.Quantile(0.5); got != 50*ms {
		t.Errorf("half take %v, want 50ms", got)
	}
	if got := l.Quantile(0.98); got != 100*ms {
		t.Errorf("98 of 100 take %v, want 100ms", got)
	}
	if got := l.Quantile(1); got != time.Minute {
		t.Errorf("all take %v, want the last bound", got)
	}
	last := int64(-1)
	l.Buckets(func(_ time.Duration, n int64) {
		if n < last {
			t.Errorf("%d durations after %d", n, last)
		}
		last = n
	})
	if last != 101 || l.Count() != 102 || l.Sum() != 4950*ms+time.Hour {
		t.Errorf("%d of %d durations, %v", last, l.Count(), l.Sum())
	}
}
