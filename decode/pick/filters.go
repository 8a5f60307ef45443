package pick

import (
	"time"

	"github.com/kvsframes/kvsframes/setting"
)

// Filters leave out samples by their pixels. A filter is off while the level that it needs is not set.
type Filters struct {
	Black     Black     `key:"black"`
	Blur      Blur      `key:"blur"`
	Duplicate Duplicate `key:"duplicate"`
}

// The names of the filters: keys of the settings, and names of scores.
const (
	filterBlack     = "black"
	filterBlur      = "blur"
	filterDuplicate = "duplicate"
)

// On returns the names of the filters that are on, as a media.Choice has them.
func (f Filters) On() (names []string) {
	if _, on := f.Black.Amount.Get(); on {
		names = append(names, filterBlack)
	}
	if _, on := f.Blur.Max.Get(); on {
		names = append(names, filterBlur)
	}
	if _, on := f.Duplicate.Distance.Get(); on {
		names = append(names, filterDuplicate)
	}
	return names
}

// Black leaves out pictures that are black, as ffmpeg's blackframe finds them.
type Black struct {
	Amount    setting.Level `key:"amount,optional" implied:"98" doc:"The percentage of dark pixels from which a picture is black and left out." example:"98"`
	Threshold setting.Level `key:"threshold,optional" doc:"The level of luma below which pixels are dark, 1 to 255; 32 if it is not written; it needs amount." example:"32"`
}

// Blur leaves out pictures that are blurred, as ffmpeg's blurdetect measures it.
type Blur struct {
	Max setting.Level `key:"max,optional" implied:"required" doc:"The largest mean width of edges, in pixels of a picture of at most 320: blurred pictures have wider ones and are left out." example:"6"`
}

// Duplicate leaves out pictures that look like the last one that it let through.
type Duplicate struct {
	Distance setting.Level `key:"distance,optional" implied:"4" doc:"In how many bits of 64, at most, a picture that is left out differs from the last one that stayed." example:"4"`
	// MaxGap is the distance of the points of a grid that starts at the Unix epoch: the first picture at or after each is let through
	// in any case. It is a minute if it is left to the program.
	MaxGap setting.AutoDuration `key:"max_gap,optional" doc:"The distance of the points of a grid from the Unix epoch on: the first picture at or after each of them stays in any case; auto is 60s." example:"5m"`
}

// The values of optional keys that are not set.
const (
	defaultThreshold = 32
	defaultMaxGap    = time.Minute
)

// Validate returns all problems of f, joined; each is a *setting.Error whose path starts below `filters`.
func (f Filters) Validate() error {
	var p setting.Problems
	amount, black := f.Black.Amount.Get()
	if threshold, set := f.Black.Threshold.Get(); set && (threshold < 1 || threshold > 255 || threshold != float64(int(threshold))) {
		p.Add("black.threshold", "%s is not a level of luma from 1 to 255", f.Black.Threshold)
	} else if set && !black {
		p.Add("black.amount", "is missing: without it the filter is off")
	}
	if amount > 100 {
		p.Add("black.amount", "%s is not a percentage", f.Black.Amount)
	}
	distance, duplicate := f.Duplicate.Distance.Get()
	if gap, set := f.Duplicate.MaxGap.Get(); set && gap < time.Millisecond {
		p.Add("duplicate.max_gap", "%s is below 1ms, the precision of the clocks", gap)
	} else if set && !duplicate {
		p.Add("duplicate.distance", "is missing: without it the filter is off")
	}
	if distance > 64 || distance != float64(int(distance)) {
		p.Add("duplicate.distance", "%s is not a number of bits from 0 to 64", f.Duplicate.Distance)
	}
	return p.Err()
}

// threshold returns the level of luma below which pixels are dark.
func (b Black) threshold() int {
	if v, set := b.Threshold.Get(); set {
		return int(v)
	}
	return defaultThreshold
}

func (d Duplicate) maxGap() time.Duration {
	if gap, set := d.MaxGap.Get(); set {
		return gap
	}
	return defaultMaxGap
}
