package plan

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/setting"
)

// Sample selects the frames that a sink asks for.
type Sample struct {
	// Rule holds the keys of the sampler's type; nil is All.
	Rule Rule `block:"type" doc:"Which frames the sink gets: all; keyframes; stride, every nth; interval, the first at or after each point of a grid in time; timestamps and indices, those that are listed, indices not of live streams; uniform, n in each window; scene, the first of each scene; best, the best of each window." example:"keyframes"`
	// Clock is the clock that instants refer to.
	Clock media.Clock `key:"clock" doc:"The clock that times and grids refer to." example:"server"`
	_     struct{}    `later:"threshold min_gap"`
}

// Rule chooses frames of a stream. An implementation is a struct whose fields are the keys
// of the sampler (see package setting).
type Rule interface {
	// Validate returns all problems of the keys, joined, each a *setting.Error whose path
	// starts below `sample`.
	Validate() error
	// Sampler returns a new sampler, for one stream. It is nil only for Timestamps, which
	// the planner applies itself because it must look ahead.
	Sampler() Sampler
}

// DefaultSample returns the settings of an empty `sample` part.
func DefaultSample() Sample {
	return Sample{Rule: DefaultInterval(), Clock: media.ClockProducer}
}

// Validate returns all problems of s, joined; each is a *setting.Error whose path starts
// below `sample`.
func (s Sample) Validate() error { return setting.Check(s, DefaultSample()) }

// NewSampler returns a sampler for one stream; nil for Timestamps (see Rule).
func (s Sample) NewSampler() Sampler {
	if s.Rule == nil {
		return allSampler{}
	}
	return s.Rule.Sampler()
}

// All chooses every frame.
type All struct{}

// Validate implements Rule.
func (All) Validate() error { return nil }

// Sampler implements Rule.
func (All) Sampler() Sampler { return allSampler{} }

// Keyframes chooses every key frame.
type Keyframes struct{}

// Validate implements Rule.
func (Keyframes) Validate() error { return nil }

// Sampler implements Rule.
func (Keyframes) Sampler() Sampler { return keySampler{} }

// Stride chooses every Nth frame, from the first on.
type Stride struct {
	N int `key:"n,optional" doc:"Every nth frame is taken, from the first on; it must be written." example:"30"`
}

// Validate implements Rule.
func (r Stride) Validate() error {
	var p setting.Problems
	if r.N < 1 || r.N > math.MaxInt32 {
		p.Add("n", "a stride needs n, 1 or more")
	}
	return p.Err()
}

// Sampler implements Rule.
func (r Stride) Sampler() Sampler { return &strideSampler{step: r.N} }

// Interval chooses the first frame at or after each point of a grid in time, which starts
// at the Unix epoch.
type Interval struct {
	// Every is the distance between two grid points; Rate is the number of points per
	// second. One of the two is set.
	Every time.Duration `key:"interval,optional" unless:"fps" hint:"frames per second are written as fps: 5" doc:"The distance of the points of a grid from the Unix epoch on." example:"1s"`
	Rate  Rate          `key:"fps,optional" doc:"The points of the grid in a second, instead of interval." example:"30000/1001"`
}

// DefaultInterval returns the rule of an empty `sample` part.
func DefaultInterval() Interval { return Interval{Every: 10 * time.Second} }

// Validate implements Rule.
func (r Interval) Validate() error {
	var p setting.Problems
	p.Check("", r, DefaultInterval())
	rate := r.Rate != (Rate{})
	switch {
	case rate && (r.Rate.Num < 1 || r.Rate.Den < 1 || r.Rate.Num > maxRate*r.Rate.Den):
		p.Add("fps", "%s is not above 0 and at most %d", r.Rate, maxRate)
	case !rate && r.Every <= 0:
		p.Add("interval", "an interval needs interval (such as 10s) or fps, above 0")
	case !rate && r.Every.Milliseconds() < 1:
		p.Add("interval", "%s is below 1ms, the precision of the clocks", r.Every)
	}
	return p.Err()
}

// Sampler implements Rule.
func (r Interval) Sampler() Sampler { return &gridSampler{grid: newGrid(r)} }

// Pick selects the frame that answers a request for an instant.
type Pick string

// The values of pick: the frame nearest to the instant, or the frame on screen at the instant,
// which is the last one at or before it.
const (
	PickNearest Pick = "nearest"
	PickShown   Pick = "shown"
)

// Values returns the values of pick.
func (Pick) Values() []string { return setting.Texts(PickNearest, PickShown) }

// Timestamps chooses for each of a list of instants the frame that answers it.
type Timestamps struct {
	At []string `key:"at,optional" unless:"file" doc:"The times that frames are asked for, in any order: RFC 3339, or seconds or milliseconds since 1970." example:"[2026-11-01T00:00:00Z, 1793491201.5]"`
	// File is a file of instants and places (see ReadRequests). The program that sets up the stages reads it
	// into Asked.
	File  string `key:"file,optional" doc:"A file of times and places of frames, one a line; a relative path is below the folder of the settings file." example:"times.txt"`
	Asked []Request
	// Tolerance is the largest distance between an instant and the frame that answers it. It has no meaning for places.
	Tolerance time.Duration `key:"tolerance" range:"0s.." doc:"How far from a time its frame may be; a time with no frame this near is a gap." example:"2s"`
	// Pick selects the frame that answers; empty is PickNearest.
	Pick Pick `key:"pick" doc:"Which frame answers a time: nearest, or shown, the one on screen, which is the last at or before it." example:"shown"`
}

// DefaultTimestamps returns the rule of a sampler that sets only the instants.
func DefaultTimestamps() Timestamps {
	return Timestamps{Tolerance: DefaultTolerance, Pick: PickNearest}
}

// Validate implements Rule.
func (r Timestamps) Validate() error {
	var p setting.Problems
	if r.Pick == "" {
		r.Pick = PickNearest
	}
	p.Check("", r, DefaultTimestamps())
	for i, text := range r.At {
		if _, err := parseTime(text); err != nil {
			p.Add(fmt.Sprintf("at[%d]", i), "%v", err)
		}
	}
	if len(r.At)+len(r.Asked) == 0 && r.File == "" {
		p.Add("at", "type timestamps needs at (a list of times) or file")
	}
	return p.Err()
}

// Sampler implements Rule.
func (Timestamps) Sampler() Sampler { return nil }

// Indices chooses frames by their index in the run, from 0.
type Indices struct {
	// At are the indices, in any order.
	At []string `key:"at,optional" doc:"The indices of frames, the first is 0, counted from the start of the file or of the range." example:"[0, 30, 60]"`
}

// Validate implements Rule.
func (r Indices) Validate() error {
	var p setting.Problems
	for i, text := range r.At {
		if _, err := parseIndex(text); err != nil {
			p.Add(fmt.Sprintf("at[%d]", i), "%v", err)
		}
	}
	if len(r.At) == 0 {
		p.Add("at", "type indices needs at (a list of frames, the first is 0)")
	}
	return p.Err()
}

// Sampler implements Rule.
func (r Indices) Sampler() Sampler { return &indexSampler{at: r.places()} }

// places returns the indices of the requested frames, sorted and distinct.
func (r Indices) places() (at []int64) {
	for _, text := range r.At {
		if i, err := parseIndex(text); err == nil { // Validate reports the others
			at = append(at, i)
		}
	}
	slices.Sort(at)
	return slices.Compact(at)
}

// parseIndex parses the index of a frame.
func parseIndex(text string) (int64, error) {
	i, err := strconv.ParseInt(text, 10, 64)
	if err != nil || i < 0 || i == math.MaxInt64 {
		return 0, fmt.Errorf("%.60q is not the index of a frame: write a whole number from 0 on", text)
	}
	return i, nil
}
