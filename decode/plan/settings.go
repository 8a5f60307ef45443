package plan

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/media"
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

// Pick says which frame answers a request for an instant.
type Pick string

// The values of pick: the frame nearest to the instant, or the one that is on screen then, which
// is the last one at or before it.
const (
	PickNearest Pick = "nearest"
	PickShown   Pick = "shown"
)

// Sample says which frames a sink asks for.
type Sample struct {
	Type SampleType `mapstructure:"type"`
	// N is the step of a stride: every Nth frame.
	N int `mapstructure:"n"`
	// Interval is the distance of two grid points; Rate is the same as frames
	// per second. One of the two is set for type interval.
	Interval time.Duration `mapstructure:"interval"`
	Rate     Rate          `mapstructure:"fps"`
	// At are the instants of type timestamps (see ParseTime), in any order, or the frames of type
	// indices, counted from 0. File is a file of instants (see ReadTimes), for whoever puts
	// the stages together to read into Asked.
	At    []string  `mapstructure:"at"`
	File  string    `mapstructure:"file"`
	Asked []Request `mapstructure:"-"`
	// Tolerance is the largest distance of an instant and the frame that answers it. Pick says
	// which does; empty is PickNearest.
	Tolerance time.Duration `mapstructure:"tolerance"`
	Pick      Pick          `mapstructure:"pick"`
	Clock     media.Clock   `mapstructure:"clock"`
}

// MaxRate is the largest sampling rate in frames per second.
const MaxRate = 1000

// Rate is an exact number of frames per second, Num/Den. The zero value is unset.
type Rate struct {
	Num, Den int64
}

// Validate returns all problems of s, joined; each is a *media.FieldError whose path starts below a sink.
func (s Sample) Validate() error {
	var p problems
	s.check(&p)
	return errors.Join(p...)
}

func (s Sample) check(p *problems) {
	oneOf(p, "sample.type", s.Type, SampleAll, SampleKeyframes, SampleStride, SampleInterval, SampleTimestamps, SampleIndices)
	if s.Type == SampleStride && (s.N < 1 || s.N > math.MaxInt32) {
		p.add("sample.n", "a stride needs n, 1 or more")
	}
	if s.Type != SampleStride && s.N != 0 {
		p.add("sample.n", "belongs to type stride, not %s", s.Type)
	}
	s.checkGrid(p)
	s.checkTimes(p)
	oneOf(p, "sample.clock", s.Clock, media.ClockProducer, media.ClockServer)
}

func (s Sample) checkGrid(p *problems) {
	rate := s.Rate != (Rate{})
	switch {
	case s.Type != SampleInterval && s.Interval != 0:
		p.add("sample.interval", "belongs to type interval, not %s", s.Type)
	case s.Type != SampleInterval && rate:
		p.add("sample.fps", "belongs to type interval, not %s", s.Type)
	case s.Type != SampleInterval:
	case rate && s.Interval != 0:
		p.add("sample.fps", "and sample.interval exclude each other")
	case rate && (s.Rate.Num < 1 || s.Rate.Den < 1 || s.Rate.Num > MaxRate*s.Rate.Den):
		p.add("sample.fps", "%s is not above 0 and at most %d", s.Rate, MaxRate)
	case !rate && s.Interval <= 0:
		p.add("sample.interval", "an interval needs interval (such as 10s) or fps, above 0")
	case !rate && s.Interval.Milliseconds() < 1:
		p.add("sample.interval", "%s is below 1ms, the precision of the clocks", s.Interval)
	}
}

func (s Sample) checkTimes(p *problems) {
	entry := func(i int) string { return fmt.Sprintf("sample.at[%d]", i) }
	if s.Type != SampleTimestamps && (s.File != "" || len(s.Asked) > 0) {
		p.add("sample.file", "belongs to type timestamps, not %s", s.Type)
	}
	switch s.Type {
	case SampleTimestamps:
		for i, text := range s.At {
			if _, err := ParseTime(text); err != nil {
				p.add(entry(i), "%v", err)
			}
		}
		switch {
		case len(s.At) > 0 && s.File != "":
			p.add("sample.file", "and sample.at exclude each other")
		case len(s.At)+len(s.Asked) == 0 && s.File == "":
			p.add("sample.at", "type timestamps needs at (a list of times) or file")
		case s.Tolerance < 0:
			p.add("sample.tolerance", "%s is below 0", s.Tolerance)
		}
		if s.Pick != "" {
			oneOf(p, "sample.pick", s.Pick, PickNearest, PickShown)
		}
	case SampleIndices:
		for i, text := range s.At {
			if _, err := parseIndex(text); err != nil {
				p.add(entry(i), "%v", err)
			}
		}
		if len(s.At) == 0 {
			p.add("sample.at", "type indices needs at (a list of frames, the first is 0)")
		}
	default:
		if len(s.At) > 0 {
			p.add("sample.at", "belongs to type timestamps or indices, not %s", s.Type)
		}
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
	q, ok := new(big.Rat).SetString(string(text))
	if !ok || strings.ContainsAny(string(text), "eExXpP") || q.Sign() <= 0 || !q.Num().IsInt64() || !q.Denom().IsInt64() ||
		q.Num().Int64() > math.MaxInt32 || q.Denom().Int64() > math.MaxInt32 {
		return fmt.Errorf("%q is not a rate: write frames per second, such as 2, 0.5 or 30000/1001", text)
	}
	r.Num, r.Den = q.Num().Int64(), q.Denom().Int64()
	return nil
}

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
