package plan

import "time"

// cadence is a constant distance of frames, num/den nanoseconds.
type cadence struct{ num, den int64 }

// Limits of what is looked at to find a cadence.
const (
	maxCadenceRate   = 1000 // frames a second
	maxCadenceFrames = 4096
)

// Precedes returns the time of the frame before the first of these, or the time that such a frame would have had.
//
// The distance to the next frame is not enough: times are rounded, and 33 ms are sometimes 34.
// So it looks for the cadence that explains the most frames from the first on, which leaves
// little doubt how the time before them was rounded. Where there is some the later time is
// assumed, since a frame on a grid point never has a time later than that point's unit.
func Precedes(frames []Candidate, t Timing) time.Time {
	first := frames[0].At
	unit := max(int64(t.Unit), 1)
	explained, before := 1, -int64(spacing(frames, t))
	for _, c := range cadences(frames, t.Nominal, unit) {
		if n, latest := c.fit(frames, unit); n > explained {
			// latest is where the first frame may have been at most. Round to the nearest unit.
			explained, before = n, ceilDiv(latest-2*c.num-c.den*unit, 2*c.den*unit)*unit
		}
	}
	return first.Add(time.Duration(min(before, -1)))
}

// cadences returns those that frames may have, the likeliest first. Clocks of video
// run at whole numbers of frames a second, or at 1000/1001 of one.
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
		const rounding = int64(time.Microsecond) // of what writers call the nominal duration
		rates(int64(nominal), rounding)
		cs = append(cs, cadence{int64(nominal), 1})
	}
	if len(frames) > 1 {
		rates(int64(frames[1].At.Sub(frames[0].At)), unit)
	}
	return cs
}

// fit returns how many frames from the first on c explains, if their times were rounded to units, and
// the latest instant at which the first may have been, relative to its rounded time, in nanoseconds times 2*den.
func (c cadence) fit(frames []Candidate, unit int64) (n int, latest int64) {
	earliest, latest := -c.den*unit, c.den*unit
	for n = 1; n < min(len(frames), maxCadenceFrames); n++ {
		told := frames[n].At.Sub(frames[0].At)
		if told > time.Hour { // a rate has 10 bits, an hour 42
			break
		}
		off := 2 * (int64(told)*c.den - int64(n)*c.num)
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

// spacing returns the distance of the first frame to the next one, the nominal
// duration when there is none, and never less than a microsecond.
func spacing(frames []Candidate, t Timing) time.Duration {
	if len(frames) > 1 {
		if d := frames[1].At.Sub(frames[0].At); d > 0 {
			return d
		}
	}
	return max(t.Nominal, time.Microsecond)
}
