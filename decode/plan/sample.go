package plan

import (
	"fmt"
	"math"
	"math/bits"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// Candidate is a frame that a sampler may pick: its time on the sampler's clock, and whether it is a key frame.
type Candidate struct {
	At  time.Time
	Key bool
}

// Sampler picks frames of a stream, fragment by fragment. It remembers what it has seen, so it must see every fragment
// once and in order.
type Sampler interface {
	// Pick reports for each frame of a fragment, in presentation order, whether
	// it is a sample.
	Pick(frames []Candidate, t Timing) []bool
}

// Timing is what is known about the times of a fragment's frames.
type Timing struct {
	// Nominal is the track's nominal frame duration, Unit the step to which times are rounded
	// (see media.Fragment.TimeScale). Each is 0 if unknown.
	Nominal, Unit time.Duration
}

type allSampler struct{ stateless }

func (allSampler) Pick(frames []Candidate, _ Timing) []bool {
	picked := make([]bool, len(frames))
	for i := range picked {
		picked[i] = true
	}
	return picked
}

type keySampler struct{ stateless }

func (keySampler) Pick(frames []Candidate, _ Timing) []bool {
	picked := make([]bool, len(frames))
	for i, f := range frames {
		picked[i] = f.Key
	}
	return picked
}

// strideSampler picks every step-th frame of the run, from its first.
type strideSampler struct {
	step, next int
}

func (s *strideSampler) Pick(frames []Candidate, _ Timing) []bool {
	picked := make([]bool, len(frames))
	for ; s.next < len(frames); s.next += s.step {
		picked[s.next] = true
	}
	s.next -= len(frames)
	return picked
}

// indexSampler picks frames by their index in the run.
type indexSampler struct {
	// at are the indices, from 0, sorted and distinct; those before next have passed.
	at   []int64
	next int
	// seen is the number of frames so far.
	seen int64
}

func (s *indexSampler) Pick(frames []Candidate, _ Timing) []bool {
	picked := make([]bool, len(frames))
	for ; s.next < len(s.at) && s.at[s.next] < s.seen+int64(len(frames)); s.next++ {
		picked[s.at[s.next]-s.seen] = true
	}
	s.seen += int64(len(frames))
	return picked
}

// misses returns a gap for each index that the run did not reach; beyond maxNamedMisses, one gap for the rest.
func (s *indexSampler) misses(stream, sink string) (gaps []media.Gap) {
	for n, i := range s.at[s.next:] {
		detail := fmt.Sprintf("sink %s: no frame %d: there are %d", sink, i, s.seen)
		if left := len(s.at) - s.next - n; n == maxNamedMisses && left > 1 {
			detail = fmt.Sprintf("sink %s: no frame for %d more indices from %d to %d: there are %d", sink, left, i, s.at[len(s.at)-1], s.seen)
		}
		gaps = append(gaps, media.Gap{Stream: stream, FrameIndex: media.WholeFragment, Sink: sink, Reason: media.GapNoFrame, Detail: detail})
		if n == maxNamedMisses {
			break
		}
	}
	return gaps
}

// grid is the set of instants k * num/den half nanoseconds since the Unix epoch, for
// all whole k. In half nanoseconds, half a unit of a time scale is a whole number.
type grid struct {
	num, den uint64
}

const halvesPerSecond = 2e9

func newGrid(r Interval) grid {
	num, den := uint64(2*r.Every.Nanoseconds()), uint64(1)
	if r.Rate != (Rate{}) {
		num, den = uint64(r.Rate.Den)*halvesPerSecond, uint64(r.Rate.Num)
	}
	return reduced(num, den)
}

// reduced returns the grid of a distance of num/den half nanoseconds.
func reduced(num, den uint64) grid {
	for a, b := num, den; ; a, b = b, a%b { // divide by the greatest common divisor
		if b == 0 {
			return grid{num / a, den / a}
		}
	}
}

// cell returns the k of the last grid point at or before half a unit after t.
func (g grid) cell(t time.Time, unit time.Duration) int64 {
	t = t.Add(unit / 2)
	seconds, rest := t.Unix(), uint64(2*t.Nanosecond()+int(unit%2))
	// Validate bounds den by 2^31, so that neither product below overflows.
	if seconds >= 0 {
		hi, lo := bits.Mul64(uint64(seconds), halvesPerSecond*g.den)
		lo, carry := bits.Add64(lo, rest*g.den, 0)
		return quotient(hi+carry, lo, g.num)
	}
	// Round down, not towards zero.
	hi, lo := bits.Mul64(uint64(-seconds), halvesPerSecond*g.den)
	lo, borrow := bits.Sub64(lo, rest*g.den+1, 0)
	return -1 - quotient(hi-borrow, lo, g.num)
}

// Points returns the number of grid points at or after from and before to.
func (r Interval) Points(from, to time.Time) int64 { return newGrid(r).points(from, to) }

func (g grid) points(from, to time.Time) int64 {
	return g.cell(to.Add(-1), 0) - g.cell(from.Add(-1), 0)
}

// quotient divides 128 bits, rounded down. The result is at most math.MaxInt64.
func quotient(hi, lo, by uint64) int64 {
	if hi >= by {
		return math.MaxInt64
	}
	q, _ := bits.Div64(hi, lo, by)
	return int64(min(q, math.MaxInt64))
}

// gridSampler picks the first frame at or after each grid point: a frame is
// picked if a grid point lies after its predecessor and not after the frame itself.
// A rounded time may be half a unit too early (33 ms may be 33.333), so a frame
// also counts as at a grid point that is up to half a unit later.
//
// The first frame of a run has no predecessor, nor has the first one after the
// clock went back. The time of one is estimated (see Precedes), so that a run picks
// the same frames wherever it starts.
type gridSampler struct {
	grid grid
	prev time.Time // the latest frame so far; zero before the first
}

func (s *gridSampler) Pick(frames []Candidate, t Timing) []bool {
	picked := make([]bool, len(frames))
	for i, f := range frames {
		if s.prev.IsZero() || f.At.Before(s.prev.Add(-spacing(frames[i:], t))) {
			s.prev = Precedes(frames[i:], t)
		}
		picked[i] = s.grid.cell(f.At, t.Unit) > s.grid.cell(s.prev, t.Unit)
		if f.At.After(s.prev) {
			s.prev = f.At
		}
	}
	return picked
}
