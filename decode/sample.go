package decode

import (
	"math/bits"
	"time"
)

// candidate is a frame that a sampler may pick, and its instant on the sampler's clock.
type candidate struct {
	at  time.Time
	key bool
}

// sampler picks frames of a stream, fragment by fragment. It holds the state
// that goes over fragment borders, so it sees every fragment once and in order.
type sampler interface {
	// pick reports for each frame of a fragment, in presentation order, whether
	// it is a sample. nominal is the track's nominal frame duration, 0 when unknown.
	pick(frames []candidate, nominal time.Duration) []bool
}

// newSampler returns the sampler of s; nil for type timestamps, which is none of these
// since it looks ahead (see stampSampler).
func newSampler(s Sample) sampler {
	switch s.Type {
	case SampleTimestamps:
		return nil
	case SampleKeyframes:
		return keySampler{}
	case SampleStride:
		return &strideSampler{step: s.N}
	case SampleInterval:
		return &gridSampler{grid: newGrid(s)}
	default:
		return allSampler{}
	}
}

type allSampler struct{}

func (allSampler) pick(frames []candidate, _ time.Duration) []bool {
	picked := make([]bool, len(frames))
	for i := range picked {
		picked[i] = true
	}
	return picked
}

type keySampler struct{}

func (keySampler) pick(frames []candidate, _ time.Duration) []bool {
	picked := make([]bool, len(frames))
	for i, f := range frames {
		picked[i] = f.key
	}
	return picked
}

// strideSampler picks every step-th frame of the run, from its first.
type strideSampler struct {
	step, next int
}

func (s *strideSampler) pick(frames []candidate, _ time.Duration) []bool {
	picked := make([]bool, len(frames))
	for ; s.next < len(frames); s.next += s.step {
		picked[s.next] = true
	}
	s.next -= len(frames)
	return picked
}

// grid is the set of instants k * num/den microseconds since the Unix epoch, for
// all whole k.
type grid struct {
	num, den uint64
}

func newGrid(s Sample) grid {
	num, den := uint64(s.Interval.Nanoseconds()), uint64(1000)
	if s.Rate != (Rate{}) {
		num, den = uint64(s.Rate.Den)*1e6, uint64(s.Rate.Num)
	}
	for a, b := num, den; ; a, b = b, a%b { // divide by the greatest common divisor
		if b == 0 {
			return grid{num / a, den / a}
		}
	}
}

// cell returns the k of the last grid point at or before t.
func (g grid) cell(t time.Time) int64 {
	us := t.UnixMicro()
	if us >= 0 {
		return int64(mulDiv(uint64(us), g.den, g.num))
	}
	// Round down, not towards zero.
	return -1 - int64(mulDiv(uint64(-(us+1)), g.den, g.num))
}

// mulDiv returns a*b/c, rounded down; the result must fit 63 bits.
func mulDiv(a, b, c uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	if hi >= c { // cannot be with the limits of Validate and any clock until the year 290000
		return 1<<63 - 1
	}
	q, _ := bits.Div64(hi, lo, c)
	return q
}

// gridSampler picks the first frame at or after each grid point: a frame is
// picked when a grid point lies after its predecessor and not after itself.
//
// The first frame of a run has no predecessor, nor has the first one after a
// clock that went back. One is assumed at the distance of one frame, so that a
// run that starts anywhere picks what a run that started earlier picks.
type gridSampler struct {
	grid grid
	prev time.Time // the latest frame so far; zero before the first
}

func (s *gridSampler) pick(frames []candidate, nominal time.Duration) []bool {
	picked := make([]bool, len(frames))
	for i, f := range frames {
		spacing := spacingAt(frames, i, nominal)
		if s.prev.IsZero() || f.at.Before(s.prev.Add(-spacing)) {
			s.prev = f.at.Add(-spacing)
		}
		picked[i] = s.grid.cell(f.at) > s.grid.cell(s.prev)
		if f.at.After(s.prev) {
			s.prev = f.at
		}
	}
	return picked
}

// spacingAt returns the distance of frame i to the next one, the nominal
// duration when there is none, and never less than a microsecond.
func spacingAt(frames []candidate, i int, nominal time.Duration) time.Duration {
	if i+1 < len(frames) {
		if d := frames[i+1].at.Sub(frames[i].at); d > 0 {
			return d
		}
	}
	return max(nominal, time.Microsecond)
}
