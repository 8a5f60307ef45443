package decode

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/setting"
)

// Limits of what a configuration may ask for.
const (
	// MaxSide is the largest side of an image in pixels (the limit of JPEG).
	MaxSide = 65535
	// MaxRate is the largest sampling rate in frames per second.
	MaxRate = 1000
)

// Validate returns all problems of c, joined; each is a *setting.Error whose path
// starts below `decode`.
func (c Config) Validate() error {
	var p setting.Problems
	p.Check("", c, DefaultConfig())
	return p.Err()
}

// Validate returns all problems of o, joined; each is a *setting.Error whose path starts
// below a sink.
func (o Output) Validate() error {
	var p setting.Problems
	p.AddBelow("sample", o.Sample.Validate())
	p.Check("resize", o.Resize, DefaultResize())
	if o.Format == FormatNone {
		p.AddBelow("", RawForm{Format: o.Format, PixelFormat: o.PixelFormat}.Validate())
	} else {
		p.AddBelow("", ImageForm{Format: o.Format, Quality: o.Quality}.Validate())
	}
	return p.Err()
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

// UnmarshalText reads #rrggbb.
func (c *RGB) UnmarshalText(text []byte) error {
	v, err := strconv.ParseUint(strings.TrimPrefix(string(text), "#"), 16, 32)
	if err != nil || len(text) != 7 || text[0] != '#' {
		return fmt.Errorf("%q is not a colour: write #rrggbb", text)
	}
	c[0], c[1], c[2] = uint8(v>>16), uint8(v>>8), uint8(v)
	return nil
}

// Syntax returns what messages ask for.
func (RGB) Syntax() string { return "a colour such as \"#000000\"" }

// MarshalText writes #rrggbb.
func (c RGB) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// String returns #rrggbb.
func (c RGB) String() string { return fmt.Sprintf("#%02x%02x%02x", c[0], c[1], c[2]) }
