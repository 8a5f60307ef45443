package plan

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// stampRequest is a request with its place among all.
type stampRequest struct {
	Request
	place    int
	answered bool
}

// Answer returns the requests that the frame answers, for the image's record: the times in the order asked,
// and their labels, each once.
func (a Asked) Answer() (at []time.Time, label string) {
	slices.SortFunc(a.answers, func(x, y stampRequest) int { return cmp.Compare(x.place, y.place) })
	var labels []string
	for _, r := range a.answers {
		at = append(at, r.Time)
		if r.Label != "" && !slices.Contains(labels, r.Label) {
			labels = append(labels, r.Label)
		}
	}
	return at, strings.Join(labels, ",")
}

// stampSampler gives each of a list of instants a frame.
//
// The frames are seen in presentation order. As long as their clock does not go
// back they are one segment. A request's neighbours in a segment are the last
// frame before it and the first one at or after it, and the nearer one answers, the earlier at
// a tie. Where the frame that is shown is asked for, it is the last one at or before the request, and a frame counts as
// there half a unit of its time scale early. Either answers when it is within the tolerance. What no
// frame of a segment answers is open to the next one.
type stampSampler struct {
	// output is the output that the requests belong to.
	output    int
	sink      string
	tolerance time.Duration
	shown     bool
	// requests are in order of time.
	requests []stampRequest
	// next is the first request that no frame so far decides: after the latest frame, or
	// not before it when the frame that is shown is asked for.
	next int
	// last is the latest frame, nil before the first of a segment, and lastAt its instant.
	last   *Frame
	lastAt time.Time
}

func newStampSampler(output int, o Output) *stampSampler {
	s := &stampSampler{output: output, sink: o.Sink, tolerance: o.Sample.Tolerance, shown: o.Sample.Pick == PickShown}
	for i, r := range o.Sample.Requests() {
		s.requests = append(s.requests, stampRequest{Request: r, place: i})
	}
	slices.SortStableFunc(s.requests, func(a, b stampRequest) int { return a.Time.Compare(b.Time) })
	return s
}

// see takes the next frame, whose time is rounded to the given unit, and answers the requests that are decided by it.
func (s *stampSampler) see(frame *Frame, at time.Time, unit time.Duration) {
	if s.last != nil && at.Before(s.lastAt) {
		s.settle()
		s.last = nil
	}
	begins := at.Add(-s.tolerance)
	if s.shown {
		begins = at.Add(-unit / 2)
	}
	if s.last == nil {
		s.next = sort.Search(len(s.requests), func(i int) bool { return !s.requests[i].Time.Before(begins) })
	}
	for ; s.next < len(s.requests); s.next++ {
		asked := s.requests[s.next].Time
		nearest, distance := frame, at.Sub(asked)
		if s.shown && !asked.Before(begins) || !s.shown && distance < 0 {
			break
		}
		if s.last != nil && (s.shown || asked.Sub(s.lastAt) <= distance) {
			nearest, distance = s.last, asked.Sub(s.lastAt)
		}
		if distance <= s.tolerance {
			s.answer(s.next, nearest)
		}
	}
	s.last, s.lastAt = frame, at
}

func (s *stampSampler) answer(i int, frame *Frame) {
	if r := &s.requests[i]; !r.answered {
		r.answered = true
		frame.ask(s.output, *r)
	}
}

// waiting returns the open requests that the latest frame answers unless the next one is
// nearer, as a range of indexes whose first one is open.
func (s *stampSampler) waiting() (from, to int) {
	if s.last == nil {
		return 0, 0
	}
	for to = s.next; to < len(s.requests) && s.requests[to].Time.Sub(s.lastAt) <= s.tolerance; to++ {
	}
	for from = s.next; from < to && s.requests[from].answered; from++ {
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
	near := "within " + s.tolerance.String() + " of"
	if s.shown {
		near = "shown, " + s.tolerance.String() + " after its time at most, at"
	}
	var gaps []media.Gap
	gap := func(times []time.Time, named string) {
		gaps = append(gaps, media.Gap{
			Stream: stream, FrameIndex: media.WholeFragment, Sink: s.sink, AskedFor: times,
			Reason: media.GapNoFrame, Detail: fmt.Sprintf("sink %s: no frame %s %s", s.sink, near, named),
		})
	}
	var more []time.Time
	for _, r := range s.requests {
		switch {
		case r.answered:
		case len(gaps) < maxNamedMisses:
			gap([]time.Time{r.Time}, instant(r.Time))
		default:
			more = append(more, r.Time)
		}
	}
	if n := len(more); n > 0 {
		gap(more, fmt.Sprintf("%d more times from %s to %s", n, instant(more[0]), instant(more[n-1])))
	}
	return gaps
}

// instant shows a request as precisely as it was written.
func instant(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
