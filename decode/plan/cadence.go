package plan

import "time"

// cadence is a constant distance between frames, of num/den nanoseconds.
type cadence struct{ num, den int64 }

// Limits of the search for a cadence.
const (
	maxCadenceRate   = 1000 // frames a second
	maxCadenceFrames = 4096
)

// Precedes returns the time that a frame before the first of these has, or would have.
//
// The distance between the first two frames is not exact enough: times are rounded, and 33 ms
// are sometimes 34. So Precedes looks for the cadence that explains the most frames from the
// first on. If two rounded times are still possible, it returns the later one: a frame on a grid
// point never has a time later than that point's unit.
func Precedes(frames []Candidate, t Timing) time.Time {
	first := frames[0].At
	unit := max(int64(t.Unit), 1)
	explained, before := 1, -int64(spacing(frames, t))
	for _, c := range cadences(frames, t.Nominal, unit) {
		if n, latest := c.fit(frames, unit); n > explained {
			// latest is the latest possible time of the first frame. Round to the nearest unit.
			explained, before = n, ceilDiv(latest-2*c.num-c.den*unit, 2*c.den*unit)*unit
		}
	}
	return first.Add(time.Duration(min(before, -1)))
}

// cadences returns the cadences that frames may have, the most likely first. Video has a
// whole number of frames per second, or 1000/1001 of one.
func cadences(frames []Candidate, nominal time.Duration, unit int64) (cs []cadence) {
	rates := func(distance, doubt int64) {
		if distance <= 0 {
			return
		}
		most := int64(maxCadenceRate)
		if distance > doubt {
			most = min(most, 1e9/(distance-doubt)+1)
		}
		for rate := max(1, 1e9/(distance+doubt)); rate <= most; rate++ {
			for _, c := range [2]cadence{{1e9, rate}, {1001e6, rate}} {
				if off := c.num - distance*c.den; max(off, -off) <= doubt*c.den {
					cs = append(cs, c)
				}
			}
		}
	}
	if nominal > 0 && nominal < time.Hour {
		const rounding = int64(time.Microsecond) // of nominal durations
		rates(int64(nominal), rounding)
		cs = append(cs, cadence{int64(nominal), 1})
	}
	if len(frames) > 1 {
		rates(int64(frames[1].At.Sub(frames[0].At)), unit)
	}
	return cs
}

// fit returns how many frames from the first on c explains, if their times were rounded to units. latest is the
// latest possible time of the first, relative to its rounded time, in nanoseconds times 2*den.
func (c cadence) fit(frames []Candidate, unit int64) (n int, latest int64) {
	earliest, latest := -c.den*unit, c.den*unit
	for n = 1; n < min(len(frames), maxCadenceFrames); n++ {
		elapsed := frames[n].At.Sub(frames[0].At)
		if elapsed > time.Hour { // the products below must not overflow
			break
		}
		off := 2 * (int64(elapsed)*c.den - int64(n)*c.num)
		from, to := max(earliest, off-c.den*unit), min(latest, off+c.den*unit)
		if from > to {
			break
		}
		earliest, latest = from, to
	}
	return n, latest
}

// ceilDiv returns a/b, rounded up; b is above 0.
func ceilDiv(a, b int64) int64 {
	q := a / b
	if a%b > 0 {
		q++
	}
	return q
}

// spacing returns the distance from the first frame to the next or, without a next
// one, the nominal duration, but at least a microsecond.
func spacing(frames []Candidate, t Timing) time.Duration {
	if len(frames) > 1 {
		if d := frames[1].At.Sub(frames[0].At); d > 0 {
			return d
		}
	}
	return max(t.Nominal, time.Microsecond)
}
