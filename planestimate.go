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
	// producer and server are the times at which the part starts.
	producer, server time.Time
	length           time.Duration
	// frames and keys are the numbers of frames and key frames; frames may be unknown.
	frames, keys int64
}

// pieceOfArchive returns the part of a listed fragment, which begins at the instant at, that lies
// between start and until; zero is no bound. frames returns the number of frames in a duration.
func pieceOfArchive(f kvs.ArchivedFragment, at, start, until time.Time, frames func(time.Duration) int64) piece {
	from, to := time.Duration(0), f.Length
	// A fragment that begins before start may be wanted whole, when reading continues from an earlier one.
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

// framesOf returns a function that counts the frames in the time after the media added so far. Rounding
// errors of single fragments do not add up.
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

// at returns the time at which the piece starts, on the given clock.
func (p piece) at(c media.Clock) time.Time {
	if c == media.ClockServer {
		return p.server
	}
	return p.producer
}

// estimate counts a piece of a listed fragment, whose frames were not read.
func (sp *StreamPlan) estimate(p piece) {
	sp.add(p.begins, p.length, p.frames)
	sp.Estimate = true
	for _, s := range sp.Sinks {
		s.Estimate = true
		s.add(s.images(p))
	}
}

// images returns the number of images that a piece yields, or unknown.
func (s *SinkPlan) images(p piece) int64 {
	if s.nonkey {
		p.frames = p.keys
	}
	switch rule := s.sample.Rule.(type) {
	case plan.Keyframes:
		return p.keys
	case interface {
		Points(from, to time.Time) int64
	}:
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
		if picked { // depends only on the frame's index
			n++
		}
	}
	return n
}

// atMost limits a number of images to the frames of the piece.
func (p piece) atMost(images int64) int64 {
	if p.frames == unknown {
		return images
	}
	return min(images, p.frames)
}

// answered counts the requests that a piece answers: those inside it, those shortly before it, and those
// shortly after the previous piece that are not nearer to this one.
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

// rest counts the requests shortly after the last piece.
func (s *SinkPlan) rest() int64 {
	if s.ended.IsZero() {
		return 0
	}
	rule, _ := s.sample.Rule.(plan.Timestamps)
	return s.count(s.ended, s.ended.Add(rule.Tolerance))
}

// count counts the requests at or after from and before until that were not counted yet.
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

// finish counts the requests shortly after the last piece.
func (sp *StreamPlan) finish() {
	for _, s := range sp.Sinks {
		n := s.rest()
		addTo(&s.Images, n)
		addTo(&s.Objects, n)
	}
}

// request is a time for which a frame was requested.
type request struct {
	at      time.Time
	counted bool
}

// requestsOf returns the times that a sampler requests, sorted and without duplicates.
func requestsOf(s plan.Sample) []request {
	var rs []request
	rule, _ := s.Rule.(plan.Timestamps)
	for _, r := range rule.Requests() {
		rs = append(rs, request{at: r.Time})
	}
	slices.SortFunc(rs, func(a, b request) int { return a.at.Compare(b.at) })
	return slices.CompactFunc(rs, func(a, b request) bool { return a.at.Equal(b.at) })
}
