package decode

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// DefaultTolerance is how far a frame may be from the instant that it is asked for.
const DefaultTolerance = 500 * time.Millisecond

// MaxTimesFile is the largest file of requests that is read, in bytes.
const MaxTimesFile = 64 << 20

// maxTimesLine is the longest line of such a file, in bytes.
const maxTimesLine = 4096

// ReadTimes reads requests: one RFC 3339 time a line. Blank lines and lines that
// begin with # are passed over. The error names the first line that is wrong.
func ReadTimes(r io.Reader) ([]time.Time, error) {
	limited := &io.LimitedReader{R: r, N: MaxTimesFile + 1}
	lines := bufio.NewScanner(limited)
	lines.Buffer(make([]byte, 0, maxTimesLine), maxTimesLine)
	var times []time.Time
	n := 0
	for lines.Scan() {
		n++
		text := strings.TrimSpace(lines.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		t, err := time.Parse(time.RFC3339, text)
		if err != nil && limited.N > 0 {
			return nil, fmt.Errorf("line %d: %.60q is not a time: write RFC 3339, such as 2026-11-01T00:00:00Z", n, text)
		}
		if err != nil {
			break // the line may have been cut
		}
		times = append(times, t.UTC())
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, fmt.Errorf("line %d: is longer than %d bytes", n+1, maxTimesLine)
	case err != nil:
		return nil, err
	case limited.N <= 0:
		return nil, fmt.Errorf("is larger than %d bytes", MaxTimesFile)
	case len(times) == 0:
		return nil, errors.New("holds no time")
	}
	return times, nil
}

// stampSampler gives each of a list of instants the nearest frame.
//
// The frames are seen in presentation order. As long as their clock does not go
// back they are one segment. A request's neighbours in a segment are the last
// frame before it and the first one at or after it, and the nearer one answers, the earlier at
// a tie, when it is within the tolerance. What no frame of a segment answers is open to the next one.
type stampSampler struct {
	// output is the output that the requests belong to.
	output    int
	sink      string
	tolerance time.Duration
	// at are the requests, in order, each once.
	at       []time.Time
	answered []bool
	// next is the first request after the latest frame.
	next int
	// last is the latest frame, nil before the first of a segment, and lastAt its instant.
	last   *plannedFrame
	lastAt time.Time
}

func newStampSampler(output int, o Output) *stampSampler {
	at := slices.Clone(o.Sample.At)
	slices.SortFunc(at, time.Time.Compare)
	at = slices.CompactFunc(at, time.Time.Equal)
	return &stampSampler{output: output, sink: o.Sink, tolerance: o.Sample.Tolerance, at: at, answered: make([]bool, len(at))}
}

// see takes the next frame, and answers the requests that are decided by it.
func (s *stampSampler) see(frame *plannedFrame, at time.Time) {
	if s.last != nil && at.Before(s.lastAt) {
		s.settle()
		s.last = nil
	}
	if s.last == nil {
		s.next = sort.Search(len(s.at), func(i int) bool { return !s.at[i].Before(at.Add(-s.tolerance)) })
	}
	for ; s.next < len(s.at) && !s.at[s.next].After(at); s.next++ {
		nearest, distance := frame, at.Sub(s.at[s.next])
		if s.last != nil && s.at[s.next].Sub(s.lastAt) <= distance {
			nearest, distance = s.last, s.at[s.next].Sub(s.lastAt)
		}
		if distance <= s.tolerance {
			s.answer(s.next, nearest)
		}
	}
	s.last, s.lastAt = frame, at
}

func (s *stampSampler) answer(i int, frame *plannedFrame) {
	if !s.answered[i] {
		s.answered[i] = true
		frame.ask(s.output, s.at[i])
	}
}

// waiting returns the open requests that the latest frame answers unless the next one is
// nearer, as a range of indexes whose first one is open.
func (s *stampSampler) waiting() (from, to int) {
	if s.last == nil {
		return 0, 0
	}
	for to = s.next; to < len(s.at) && s.at[to].Sub(s.lastAt) <= s.tolerance; to++ {
	}
	for from = s.next; from < to && s.answered[from]; from++ {
	}
	return from, to
}

// settle answers what waits with the latest frame: no other one comes in this segment.
func (s *stampSampler) settle() {
	from, to := s.waiting()
	for i := from; i < to; i++ {
		s.answer(i, s.last)
	}
}

// maxNamedMisses is how many requests without a frame are named one by one. The rest
// is one gap: a summary should stay readable, and in memory.
const maxNamedMisses = 10000

// misses returns a gap for each request that no frame has answered.
func (s *stampSampler) misses(stream string) []media.Gap {
	var gaps []media.Gap
	gap := func(reason string) {
		gaps = append(gaps, media.Gap{Stream: stream, FrameIndex: media.WholeFragment, Reason: media.GapNoFrame, Detail: reason})
	}
	more, first, last := 0, time.Time{}, time.Time{}
	for i, at := range s.at {
		switch {
		case s.answered[i]:
		case len(gaps) < maxNamedMisses:
			gap(fmt.Sprintf("sink %s: no frame within %s of %s", s.sink, s.tolerance, instant(at)))
		default:
			if more++; more == 1 {
				first = at
			}
			last = at
		}
	}
	if more > 0 {
		gap(fmt.Sprintf("sink %s: no frame within %s of %d more times from %s to %s", s.sink, s.tolerance, more, instant(first), instant(last)))
	}
	return gaps
}

// instant shows a request as precisely as it was written.
func instant(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// named lists a few times for a message.
func named(times []time.Time) string {
	const most = 10
	var text []string
	for _, t := range times[:min(most, len(times))] {
		text = append(text, instant(t))
	}
	if n := len(times) - most; n > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(text, ", "), n)
	}
	return strings.Join(text, ", ")
}
