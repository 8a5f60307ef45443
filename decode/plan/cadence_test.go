package plan

import (
	"fmt"
	"math/big"
	"slices"
	"testing"
	"time"
)

// rounded returns n frames of a rate, from the k-th on after start, whose times are rounded to units.
func rounded(rate Rate, start, unit time.Duration, k, n int) []Candidate {
	var cs []Candidate
	for ; n > 0; k, n = k+1, n-1 {
		exact := new(big.Rat).SetFrac64(1e9*rate.Den, rate.Num)
		exact.Mul(exact, big.NewRat(int64(k), 1))
		exact.Add(exact, new(big.Rat).SetInt64(int64(start)))
		exact.Quo(exact, new(big.Rat).SetInt64(int64(unit)))
		exact.Add(exact, big.NewRat(1, 2))
		units := new(big.Int).Div(exact.Num(), exact.Denom()) // rounds down
		cs = append(cs, Candidate{At: time.Unix(0, units.Int64()*int64(unit))})
	}
	return cs
}

func pickedOf(s Sampler, frags [][]Candidate, t Timing) (picked []int) {
	n := 0
	for _, f := range frags {
		for _, ok := range s.Pick(f, t) {
			if ok {
				picked = append(picked, n)
			}
			n++
		}
	}
	return picked
}

var videoRates = []Rate{{24000, 1001}, {24, 1}, {25, 1}, {30000, 1001}, {30, 1}, {50, 1}, {60000, 1001}, {60, 1}}

// TestAGridAtTheFrameRateTakesEveryFrame has streams that begin on a grid point, at
// the frames' own rate and at parts of it.
func TestAGridAtTheFrameRateTakesEveryFrame(t *testing.T) {
	for _, rate := range videoRates {
		for _, unit := range []time.Duration{time.Millisecond, 100 * time.Microsecond, 20833, time.Microsecond, 3, 1} {
			for _, step := range []int{1, 2, 5, 24} {
				// Point k of the grid is at k * step / rate seconds.
				sample := Sample{Rule: Interval{Rate: Rate{rate.Num, rate.Den * int64(step)}}}
				for _, from := range []int{0, 53793500000 / step * step, -7000000 / step * step} {
					var frags [][]Candidate
					for i := range 5 {
						frags = append(frags, rounded(rate, 0, unit, from+i*71, 71))
					}
					var want []int
					for k := 0; k < 5*71; k += step {
						want = append(want, k)
					}
					if got := pickedOf(sample.NewSampler(), frags, Timing{Unit: unit}); !slices.Equal(got, want) {
						t.Errorf("%s fps told in %s from frame %d, every %d: picked %v", rate, unit, from, step, got)
					}
				}
			}
		}
	}
}

// TestGridsOfRoundedTimesFromAnyStart begins runs at every frame, with and without a told frame duration.
func TestGridsOfRoundedTimesFromAnyStart(t *testing.T) {
	samples := []Sample{
		{Rule: Interval{Rate: Rate{30, 1}}},
		{Rule: Interval{Rate: Rate{15, 1}}},
		{Rule: Interval{Rate: Rate{25, 2}}},
		{Rule: Interval{Rate: Rate{30000, 1001}}},
		{Rule: Interval{Rate: Rate{7, 3}}},
		every(100 * time.Millisecond), every(333 * time.Millisecond), every(time.Second),
	}
	const n, more = 80, 130 // starts, and frames that each run sees
	for _, rate := range videoRates {
		for _, unit := range []time.Duration{time.Millisecond, 100 * time.Microsecond, 1} {
			for _, start := range []time.Duration{0, 1793500000*time.Second + 123456789, -3*time.Second - 777777} {
				frames := rounded(rate, start, unit, 0, n+more)
				for _, s := range samples {
					whole := pickedOf(s.NewSampler(), [][]Candidate{frames}, Timing{Unit: unit})
					for _, told := range []time.Duration{0, time.Duration(1e9 * rate.Den / rate.Num)} {
						for from := 1; from < n; from++ {
							var want []int
							for _, k := range whole {
								if k >= from && k < from+more {
									want = append(want, k-from)
								}
							}
							got := pickedOf(s.NewSampler(), [][]Candidate{frames[from : from+more]}, Timing{told, unit})
							if !slices.Equal(got, want) {
								t.Errorf("%s fps told in %s from %s, %v: from frame %d (duration %s) picked %v, want %v", rate, unit, start, gridName(s), from, told, got[:min(3, len(got))], want[:min(3, len(want))])
							}
						}
					}
				}
			}
		}
	}
}

func gridName(s Sample) string {
	rule := s.Rule.(Interval)
	if rule.Every > 0 {
		return rule.Every.String()
	}
	return fmt.Sprint("fps ", rule.Rate)
}

func TestWhatPrecedesIsRoundedAsTheFramesAre(t *testing.T) {
	for name, c := range map[string]struct {
		frames []Candidate
		timing Timing
		want   time.Duration // from the first frame
	}{
		"thirds of a millisecond, told":   {at(33, 67, 100, 133), Timing{33333333, time.Millisecond}, -33 * time.Millisecond},
		"thirds of a millisecond, untold": {at(33, 67, 100, 133, 167, 200), Timing{0, time.Millisecond}, -33 * time.Millisecond},
		"the next phase":                  {at(67, 100, 133, 167, 200, 233), Timing{0, time.Millisecond}, -34 * time.Millisecond},
		"a wrong nominal duration":        {at(33, 67, 100, 133, 167, 200), Timing{20 * time.Millisecond, time.Millisecond}, -33 * time.Millisecond},
		"no rate of any video":            {at(0, 7013, 9000), Timing{0, time.Millisecond}, -7013 * time.Millisecond},
		"a lone frame":                    {at(100), Timing{40 * time.Millisecond, time.Millisecond}, -40 * time.Millisecond},
		"a lone frame, untold":            {at(100), Timing{0, time.Millisecond}, -time.Microsecond},
		"equal times":                     {at(5, 5, 5), Timing{0, time.Millisecond}, -time.Microsecond},
	} {
		if got := Precedes(c.frames, c.timing).Sub(c.frames[0].At); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
