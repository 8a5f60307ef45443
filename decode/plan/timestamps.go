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

// stampRequest is a request with its place in the order asked.
type stampRequest struct {
	Request
	place    int
	answered bool
	by       int // the ordinal of the fragment whose frame answers
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

// stampSampler chooses a frame for each of a list of instants.
//
// It sees the frames in presentation order. As long as their clock does not go back
// they are one segment. Of the last frame before a request and the first one at or after
// it, the nearer answers, or the earlier on a tie. With PickShown, the last frame at or
// before the request answers, and a frame counts half a unit of its time scale early.
// The frame must be within the tolerance. A request that no frame of a segment answers
// stays open for the next segment.
type stampSampler struct {
	// output is the output that the requests belong to.
	output    int
	sink      string
	tolerance time.Duration
	shown     bool
	// requests are those for instants, in order of time, and from timed on those for places, in order of these.
	requests []stampRequest
	timed    int
	// next is the first request that the frames so far do not decide: the first after the
	// latest frame or, with PickShown, the first not before it.
	next int
	// last is the latest frame, nil before the first of a segment, and lastAt its instant.
	last   *Frame
	lastAt time.Time
	// fragment is the ordinal of the fragment that is being seen, lastFragment that of last's.
	fragment, lastFragment int
	// taken are the requests that a copy has answered; nil for a sampler that is no copy (see ahead).
	taken map[int]bool
}

func newStampSampler(output int, sink string, rule Timestamps) *stampSampler {
	s := &stampSampler{output: output, sink: sink, tolerance: rule.Tolerance, shown: rule.Pick == PickShown}
	for i, r := range rule.Requests() {
		s.requests = append(s.requests, stampRequest{Request: r, place: i})
	}
	slices.SortStableFunc(s.requests, func(a, b stampRequest) int {
		if a.Fragment == "" || b.Fragment == "" {
			return cmp.Or(cmp.Compare(a.Fragment, ""), -cmp.Compare(b.Fragment, ""), a.Time.Compare(b.Time))
		}
		return cmp.Or(media.CompareNumbers(a.Fragment, b.Fragment), cmp.Compare(a.Offset, b.Offset))
	})
	s.timed = sort.Search(len(s.requests), func(i int) bool { return s.requests[i].Fragment != "" })
	return s
}

// place answers the requests for places of a fragment that has these frames, in presentation order. The frame that is shown at an offset is the last
// one at or before it, which counts half a unit of its time scale early, or else the first one. The last one is shown for as long as the one
// before it, or if there is none, for the nominal duration or the tolerance.
func (s *stampSampler) place(frames []*Frame, clock media.Clock, t Timing) {
	if len(frames) == 0 {
		return
	}
	info := frames[0].Info
	at := func(i int) time.Duration { return frames[i].Info.PTS }
	last := len(frames) - 1
	end := at(last) + cmp.Or(t.Nominal, s.tolerance)
	if last > 0 && at(last) > at(last-1) {
		end = at(last) + max(t.Nominal, at(last)-at(last-1))
	}
	places := s.requests[s.timed:]
	first := sort.Search(len(places), func(i int) bool { return media.CompareNumbers(places[i].Fragment, info.FragmentNumber) >= 0 })
	for i := first; i < len(places) && media.CompareNumbers(places[i].Fragment, info.FragmentNumber) == 0; i++ {
		r := &places[i]
		if r.Offset >= end+t.Unit {
			break
		}
		shown := sort.Search(len(frames), func(i int) bool { return at(i) > r.Offset+t.Unit/2 })
		r.Time = info.At(clock).Add(r.Offset - info.PTS)
		s.answer(s.timed+i, frames[max(0, shown-1)], true)
	}
}

// see adds the next frame, whose time is rounded to unit, and answers the requests that it decides.
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
		s.next = sort.Search(s.timed, func(i int) bool { return !s.requests[i].Time.Before(begins) })
	}
	for ; s.next < s.timed; s.next++ {
		asked := s.requests[s.next].Time
		nearest, distance := frame, at.Sub(asked)
		if s.shown && !asked.Before(begins) || !s.shown && distance < 0 {
			break
		}
		if s.last != nil && (s.shown || asked.Sub(s.lastAt) <= distance) {
			nearest, distance = s.last, asked.Sub(s.lastAt)
		}
		if distance <= s.tolerance {
			s.answer(s.next, nearest, nearest == frame)
		}
	}
	s.last, s.lastAt, s.lastFragment = frame, at, s.fragment
}

// answer answers a request with a frame: the one that is being seen, or else the last one.
func (s *stampSampler) answer(i int, frame *Frame, seen bool) {
	r := &s.requests[i]
	switch {
	case r.answered || s.taken[i]:
	case s.taken != nil:
		s.taken[i] = true
		frame.ask(s.output, *r)
	default:
		if r.answered, r.by = true, s.lastFragment; seen {
			r.by = s.fragment
		}
		frame.ask(s.output, *r)
	}
}

// ahead returns a copy that answers like the sampler, and leaves it as it is. What it answers with the frame that is the latest now is lost.
func (s *stampSampler) ahead() *stampSampler {
	c := *s
	if c.taken = map[int]bool{}; s.last != nil {
		c.last = &Frame{}
	}
	return &c
}

// asksFor reports whether there are requests for places of a fragment.
func (s *stampSampler) asksFor(number string) bool {
	places := s.requests[s.timed:]
	i := sort.Search(len(places), func(i int) bool { return media.CompareNumbers(places[i].Fragment, number) >= 0 })
	return i < len(places) && media.CompareNumbers(places[i].Fragment, number) == 0
}

// undecided reports whether the next frame decides whether the latest one answers a request.
func (s *stampSampler) undecided() bool {
	from, to := s.waiting()
	return from < to
}

// waiting returns the requests that the latest frame answers unless the next one is
// nearer, as a range of indexes. The first one is not answered yet.
func (s *stampSampler) waiting() (from, to int) {
	if s.last == nil {
		return 0, 0
	}
	for to = s.next; to < s.timed && s.requests[to].Time.Sub(s.lastAt) <= s.tolerance; to++ {
	}
	for from = s.next; from < to && s.requests[from].answered; from++ {
	}
	return from, to
}

// settle answers the waiting requests with the latest frame, which is the last of its segment.
func (s *stampSampler) settle() {
	from, to := s.waiting()
	for i := from; i < to; i++ {
		s.answer(i, s.last, false)
	}
}

// maxNamedMisses is how many requests without a frame get a gap each. One more gap is for
// all others, so that a summary stays readable and small.
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
	var places []string
	for _, r := range s.requests {
		switch {
		case r.answered:
		case r.Fragment != "" && len(gaps) < maxNamedMisses:
			gaps = append(gaps, media.Gap{
				Stream: stream, FragmentNumber: r.Fragment, FrameIndex: media.WholeFragment, Sink: s.sink, AskedPlaces: []string{r.Place()},
				Reason: media.GapNoFrame, Detail: fmt.Sprintf("sink %s: no frame is shown %s after the beginning of the fragment, or it was not read", s.sink, r.Offset),
			})
		case r.Fragment != "":
			places = append(places, r.Place())
		case len(gaps) < maxNamedMisses:
			gap([]time.Time{r.Time}, instant(r.Time))
		default:
			more = append(more, r.Time)
		}
	}
	if n := len(more); n > 0 {
		gap(more, fmt.Sprintf("%d more times from %s to %s", n, instant(more[0]), instant(more[n-1])))
	}
	if n := len(places); n > 0 {
		gaps = append(gaps, media.Gap{
			Stream: stream, FrameIndex: media.WholeFragment, Sink: s.sink, AskedPlaces: places,
			Reason: media.GapNoFrame, Detail: fmt.Sprintf("sink %s: no frame for %d more places from %s to %s", s.sink, n, places[0], places[n-1]),
		})
	}
	return gaps
}

// instant formats the time of a request in full precision.
func instant(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
