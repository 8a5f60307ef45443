package kvstest

import (
	"slices"
	"sync"
	"time"
)

// maxCallLog is the number of recorded calls of an operation on one stream.
const maxCallLog = 100_000

// callKey is an operation and the name of a stream, "" where it names none.
type callKey struct{ op, stream string }

// callLog records the times of the calls of each operation.
type callLog struct {
	mu    sync.Mutex
	calls map[callKey][]time.Time
}

func (l *callLog) add(op, stream string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := callKey{op, stream}
	times := append(l.calls[key], now)
	if len(times) > maxCallLog {
		times = slices.Clone(times[maxCallLog/2:])
	}
	l.calls[key] = times
}

// Calls returns the times at which an operation, such as "GetMedia", was called on a stream, oldest first: all
// calls with a valid signature for an existing stream, served or refused. Stream "" selects the calls without a
// stream, "*" those of all streams. In a very long run the oldest calls may be dropped.
func (s *Server) Calls(op, stream string) []time.Time {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	var times []time.Time
	for key, called := range s.calls.calls {
		if key.op == op && (stream == "*" || key.stream == stream) {
			times = append(times, called...)
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	return times
}
