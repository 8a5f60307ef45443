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

// Black leaves out pictures that are black, as ffmpeg's blackframe finds them.
type Black struct {
	// Amount is the percentage of dark pixels from which a picture is black; those below Threshold are dark, which is 32 if it is 0.
	Amount    setting.Level `key:"amount,optional" implied:"98"`
	Threshold int           `key:"threshold,optional" range:"1..255"`
}

// Blur leaves out pictures that are blurred, as ffmpeg's blurdetect measures it.
type Blur struct {
	// Max is the largest mean width of edges that is let through, in pixels of the small picture.
	Max setting.Level `key:"max,optional" implied:"required"`
}

// Duplicate leaves out pictures that look like the last one that it let through.
type Duplicate struct {
	// Distance is the number of bits of the 64 of a hash in which pictures that look alike differ at most.
	Distance setting.Level `key:"distance,optional" implied:"4"`
	// MaxGap is the distance of the points of a grid that starts at the Unix epoch: the first picture at or after each is let through
	// in any case. It is a minute if it is 0.
	MaxGap time.Duration `key:"max_gap,optional" range:"1ms.."`
}

// The values of optional keys that are not set.
const (
	defaultThreshold = 32
	defaultMaxGap    = time.Minute
)

// Validate returns all problems of f, joined; each is a *setting.Error whose path starts below `filters`.
func (f Filters) Validate() error {
	var p setting.Problems
	p.Check("black", f.Black, Black{})
	p.Check("blur", f.Blur, Blur{})
	p.Check("duplicate", f.Duplicate, Duplicate{})
	amount, black := f.Black.Amount.Get()
	switch {
	case black && amount > 100:
		p.Add("black.amount", "%s is not a percentage", f.Black.Amount)
	case !black && f.Black.Threshold != 0:
		p.Add("black.amount", "is missing: without it the filter is off")
	}
	distance, duplicate := f.Duplicate.Distance.Get()
	switch {
	case duplicate && (distance > 64 || distance != float64(int(distance))):
		p.Add("duplicate.distance", "%s is not a number of bits from 0 to 64", f.Duplicate.Distance)
	case !duplicate && f.Duplicate.MaxGap != 0:
		p.Add("duplicate.distance", "is missing: without it the filter is off")
	}
	return p.Err()
}

// threshold returns the level of luma below which pixels are dark.
func (b Black) threshold() int {
	if b.Threshold == 0 {
		return defaultThreshold
	}
	return b.Threshold
}

func (d Duplicate) maxGap() time.Duration {
	if d.MaxGap == 0 {
		return defaultMaxGap
	}
	return d.MaxGap
}
