package kvsframes

import (
	"slices"
	"time"

	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/kvs"
)

// piece is the wanted part of one fragment.
type piece struct {
	begins time.Time // producer time of the whole fragment
	// producer and server are the instants of the part's start.
	producer, server time.Time
	length           time.Duration
	// frames and keys are those in it; frames may be unknown.
	frames, keys int64
}

// pieceOfArchive is the part of a listed fragment, which begins at the instant at, that
// lies within start and until; zero is no bound. frames tells how many frames play in a
// time.
func pieceOfArchive(f kvs.ArchivedFragment, at, start, until time.Time, frames func(time.Duration) int64) piece {
	from, to := time.Duration(0), f.Length
	// Reading onward, a fragment that begins before the start may well be wanted whole.
	if start.After(at) && start.Before(at.Add(f.Length)) {
		from = start.Sub(at)
	}
	if !until.IsZero() {
		to = min(to, until.Sub(at))
	}
	p := piece{
		begins: f.ProducerTime, producer: f.ProducerTime.Add(from), server: f.ServerTime.Add(from),
		length: max(0, to-from),
	}
	p.frames = frames(p.length)
	if from == 0 {
		p.keys = 1 // a fragment begins with a key frame (Producer SDK requirement)
	}
	return p
}

// framesOf returns how many frames of the rate play in the time after what was added so
// far, without the rounding of each fragment adding up.
func (sp *StreamPlan) framesOf(rate plan.Rate) func(time.Duration) int64 {
	return func(d time.Duration) int64 {
		if rate == (plan.Rate{}) {
			return unknown
		}
		until := func(d time.Duration) int64 {
			return int64(d.Seconds()*float64(rate.Num)/float64(rate.Den) + 0.5)
		}
		return until(sp.media+d) - until(sp.media)
	}
}

// at returns the instant of the piece's start.
func (p piece) at(c media.Clock) time.Time {
	if c == media.ClockServer {
		return p.server
	}
	return p.producer
}

// estimate counts a piece of a listed fragment, whose frames nobody has seen.
func (sp *StreamPlan) estimate(p piece) {
	sp.add(p.begins, p.length, p.frames)
	sp.Estimate = true
	for _, s := range sp.Sinks {
		s.Estimate = true
		s.add(s.images(p))
	}
}

// images returns how many images a piece gives, or unknown.
func (s *SinkPlan) images(p piece) int64 {
	if s.nonkey {
		p.frames = p.keys
	}
	switch rule := s.sample.Rule.(type) {
	case plan.Keyframes:
		return p.keys
	case plan.Interval:
		from := p.at(s.sample.Clock)
		return p.atMost(rule.Points(from, from.Add(p.length)))
	case plan.Timestamps:
		if p.length == 0 {
			return 0
		}
		return p.atMost(s.answered(p, rule))
	}
	if p.frames == unknown {
		return unknown
	}
	n := int64(0)
	for _, picked := range s.sampler.Pick(make([]plan.Candidate, p.frames), plan.Timing{}) {
		if picked { // by the frame's place alone
			n++
		}
	}
	return n
}

// atMost returns a number of images, of which the piece has no more than it has frames.
func (p piece) atMost(images int64) int64 {
	if p.frames == unknown {
		return images
	}
	return min(images, p.frames)
}

// answered counts the requests that are answered by a piece: those in it, those that lie a little
// before it, and those that lie a little after the piece before it and not so near to this one.
func (s *SinkPlan) answered(p piece, rule plan.Timestamps) int64 {
	from := p.at(s.sample.Clock)
	begins := from
	if rule.Pick != plan.PickShown {
		begins = from.Add(-rule.Tolerance)
	}
	n := s.count(begins, from.Add(p.length)) + s.rest()
	s.ended = from.Add(p.length)
	return n
}

// rest counts the requests that lie a little after the last piece.
func (s *SinkPlan) rest() int64 {
	if s.ended.IsZero() {
		return 0
	}
	rule, _ := s.sample.Rule.(plan.Timestamps)
	return s.count(s.ended, s.ended.Add(rule.Tolerance))
}

// count counts the requests from one instant on and before another that were not counted before.
func (s *SinkPlan) count(from, until time.Time) (n int64) {
	first, _ := slices.BinarySearchFunc(s.requests, from, func(r request, t time.Time) int { return r.at.Compare(t) })
	for i := first; i < len(s.requests) && s.requests[i].at.Before(until); i++ {
		if !s.requests[i].counted {
			s.requests[i].counted = true
			n++
		}
	}
	return n
}

// finish counts what is asked for after the last piece.
func (sp *StreamPlan) finish() {
	for _, s := range sp.Sinks {
		n := s.rest()
		addTo(&s.Images, n)
		addTo(&s.Objects, n)
	}
}

// request is a time that is asked for.
type request struct {
	at      time.Time
	counted bool
}

// requestsOf returns the times that a sampler asks for, in order, each once.
func requestsOf(s plan.Sample) []request {
	var rs []request
	rule, _ := s.Rule.(plan.Timestamps)
	for _, r := range rule.Requests() {
		rs = append(rs, request{at: r.Time})
	}
	slices.SortFunc(rs, func(a, b request) int { return a.at.Compare(b.at) })
	return slices.CompactFunc(rs, func(a, b request) bool { return a.at.Equal(b.at) })
}
