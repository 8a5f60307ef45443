package plan

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/setting"
)

// SampleType names a sampler.
type SampleType string

// The samplers.
const (
	SampleAll        SampleType = "all"
	SampleKeyframes  SampleType = "keyframes"
	SampleStride     SampleType = "stride"
	SampleInterval   SampleType = "interval"
	SampleTimestamps SampleType = "timestamps"
	SampleIndices    SampleType = "indices"
)

// Values returns the samplers.
func (SampleType) Values() []string {
	return setting.Texts(SampleAll, SampleKeyframes, SampleStride, SampleInterval, SampleTimestamps, SampleIndices)
}

// Later returns the samplers that are reserved for a later version.
func (SampleType) Later() []string { return []string{"uniform", "scene", "best"} }

// Pick selects the frame that answers a request for an instant.
type Pick string

// The values of pick: the frame nearest to the instant, or the one that is on screen then, which
// is the last one at or before it.
const (
	PickNearest Pick = "nearest"
	PickShown   Pick = "shown"
)

// Values returns the values of pick.
func (Pick) Values() []string {
	return setting.Texts(PickNearest, PickShown)
}

// Sample selects the frames that a sink asks for.
type Sample struct {
	Type SampleType `key:"type"`
	// N is the step of a stride: every Nth frame.
	N int `key:"n,optional" with:"type=stride"`
	// Interval is the distance of two grid points; Rate is the same as frames
	// per second. One of the two is set for type interval.
	Interval time.Duration `key:"interval,optional" with:"type=interval" unless:"fps" hint:"frames per second are written as fps: 5"`
	Rate     Rate          `key:"fps,optional" with:"type=interval"`
	// At are the instants of type timestamps (see ParseTime), in any order, or the frames of type
	// indices, counted from 0. File is a file of instants (see ReadTimes), for whoever puts
	// the stages together to read into Asked.
	At    []string `key:"at,optional" with:"type=timestamps|indices" unless:"file"`
	File  string   `key:"file,optional" with:"type=timestamps"`
	Asked []Request
	// Tolerance is the largest distance of an instant and the frame that answers it. Pick says
	// which does; empty is PickNearest.
	Tolerance time.Duration `key:"tolerance" with:"type=timestamps" range:"0s.."`
	Pick      Pick          `key:"pick" with:"type=timestamps"`
	Clock     media.Clock   `key:"clock"`
	_         struct{}      `later:"threshold min_gap window"`
}

// MaxRate is the largest sampling rate in frames per second.
const MaxRate = 1000

// Rate is an exact number of frames per second, Num/Den. The zero value is unset.
type Rate struct {
	Num, Den int64
}

// DefaultSample returns the settings of an empty `sample` part.
func DefaultSample() Sample {
	return Sample{Type: SampleInterval, Interval: 10 * time.Second, Tolerance: DefaultTolerance, Pick: PickNearest, Clock: media.ClockProducer}
}

// Validate returns all problems of s, joined; each is a *setting.Error whose path starts
// below `sample`.
func (s Sample) Validate() error {
	var p setting.Problems
	if s.Pick == "" {
		s.Pick = PickNearest
	}
	p.Check("", s, DefaultSample())
	if s.Type != SampleTimestamps && s.File == "" && len(s.Asked) > 0 {
		p.Add("file", "belongs to type timestamps, and the type is %s", s.Type)
	}
	switch s.Type {
	case SampleStride:
		if s.N < 1 || s.N > math.MaxInt32 {
			p.Add("n", "a stride needs n, 1 or more")
		}
	case SampleInterval:
		s.checkGrid(&p)
	case SampleTimestamps:
		s.checkTimes(&p)
	case SampleIndices:
		s.checkIndices(&p)
	}
	return p.Err()
}

func (s Sample) checkGrid(p *setting.Problems) {
	rate := s.Rate != (Rate{})
	switch {
	case rate && (s.Rate.Num < 1 || s.Rate.Den < 1 || s.Rate.Num > MaxRate*s.Rate.Den):
		p.Add("fps", "%s is not above 0 and at most %d", s.Rate, MaxRate)
	case !rate && s.Interval <= 0:
		p.Add("interval", "an interval needs interval (such as 10s) or fps, above 0")
	case !rate && s.Interval.Milliseconds() < 1:
		p.Add("interval", "%s is below 1ms, the precision of the clocks", s.Interval)
	}
}

func (s Sample) checkTimes(p *setting.Problems) {
	for i, text := range s.At {
		if _, err := ParseTime(text); err != nil {
			p.Add(fmt.Sprintf("at[%d]", i), "%v", err)
		}
	}
	if len(s.At)+len(s.Asked) == 0 && s.File == "" {
		p.Add("at", "type timestamps needs at (a list of times) or file")
	}
}

func (s Sample) checkIndices(p *setting.Problems) {
	for i, text := range s.At {
		if _, err := parseIndex(text); err != nil {
			p.Add(fmt.Sprintf("at[%d]", i), "%v", err)
		}
	}
	if len(s.At) == 0 {
		p.Add("at", "type indices needs at (a list of frames, the first is 0)")
	}
}

// parseIndex reads the place of a frame.
func parseIndex(text string) (int64, error) {
	i, err := strconv.ParseInt(text, 10, 64)
	if err != nil || i < 0 || i == math.MaxInt64 {
		return 0, fmt.Errorf("%.60q is not the index of a frame: write a whole number from 0 on", text)
	}
	return i, nil
}

// Indices returns the frames that a sampler of type indices asks for, in order and each once.
func (s Sample) Indices() (at []int64) {
	if s.Type != SampleIndices {
		return nil
	}
	for _, text := range s.At {
		if i, err := parseIndex(text); err == nil { // Validate reports the others
			at = append(at, i)
		}
	}
	slices.Sort(at)
	return slices.Compact(at)
}

// UnmarshalText reads a rate as a decimal (29.97), a whole number or a fraction
// (30000/1001), exactly.
func (r *Rate) UnmarshalText(text []byte) error {
	if len(text) > 32 {
		return fmt.Errorf("%.32q... is not a rate", text)
	}
	if _, err := time.ParseDuration(string(text)); err == nil && strings.ContainsAny(string(text), "smh") {
		return fmt.Errorf("%s is a duration: write interval: %[1]s, or frames per second here", text)
	}
	q, ok := new(big.Rat).SetString(string(text))
	if !ok || strings.ContainsAny(string(text), "eExXpP") || q.Sign() <= 0 || !q.Num().IsInt64() || !q.Denom().IsInt64() ||
		q.Num().Int64() > math.MaxInt32 || q.Denom().Int64() > math.MaxInt32 {
		return fmt.Errorf("%q is not a rate: write frames per second, such as 2, 0.5 or 30000/1001", text)
	}
	r.Num, r.Den = q.Num().Int64(), q.Denom().Int64()
	return nil
}

// Syntax returns what messages ask for.
func (Rate) Syntax() string { return "frames per second" }

// MarshalText writes the rate as a whole number or a fraction.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// String returns the rate as a whole number or a fraction.
func (r Rate) String() string {
	if r.Den == 1 {
		return strconv.FormatInt(r.Num, 10)
	}
	return fmt.Sprintf("%d/%d", r.Num, r.Den)
}

// Output is what the planner must know of one output.
type Output struct {
	// Sink is the name of the sink that the output is for; gaps name it.
	Sink string
	// Sample is which frames it wants.
	Sample Sample
	// Fast reports whether it takes pictures that are decoded without the loop filter.
	Fast bool
}

// SkipFrame selects the frames that the decoder may leave out.
type SkipFrame string

// The values of skip_frame. Auto leaves out the most that still gives every
// sampled frame.
const (
	SkipAuto   SkipFrame = "auto"
	SkipNone   SkipFrame = "none"
	SkipNonRef SkipFrame = "nonref"
	SkipNonKey SkipFrame = "nonkey"
)

// Values returns the values of skip_frame.
func (SkipFrame) Values() []string {
	return setting.Texts(SkipAuto, SkipNone, SkipNonRef, SkipNonKey)
}
