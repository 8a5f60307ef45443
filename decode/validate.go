package decode

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/kvsframes/kvsframes/media"
)

// Limits of what a configuration may ask for.
const (
	// MaxWorkers is the largest number of decoders.
	MaxWorkers = 1024
	// MaxSide is the largest side of an image in pixels (the limit of JPEG).
	MaxSide = 65535
	// MaxRate is the largest sampling rate in frames per second.
	MaxRate = 1000
)

// problems collects what is wrong under one key path.
type problems []error

func (p *problems) add(path, format string, args ...any) {
	*p = append(*p, &media.FieldError{Path: path, Problem: fmt.Sprintf(format, args...)})
}

// oneOf notes a value that is none of the allowed ones.
func oneOf[T ~string](p *problems, path string, value T, allowed ...T) {
	names := make([]string, len(allowed))
	for i, a := range allowed {
		if value == a {
			return
		}
		names[i] = string(a)
	}
	p.add(path, "%q is not one of %s", string(value), strings.Join(names, ", "))
}

// Validate returns all problems of c, joined; each is a *media.FieldError whose
// path starts below `decode`.
func (c Config) Validate() error {
	var p problems
	if c.Workers < 0 || c.Workers > MaxWorkers {
		p.add("workers", "%d is not within 0..%d", c.Workers, MaxWorkers)
	}
	oneOf(&p, "skip_frame", c.SkipFrame, SkipAuto, SkipNone, SkipNonRef, SkipNonKey)
	oneOf(&p, "on_error", c.OnError, OnErrorSkip, OnErrorFail)
	if c.MaxPixels < 1 || c.MaxPixels > math.MaxInt32 {
		p.add("max_pixels", "%d is not within 1..%d", c.MaxPixels, math.MaxInt32)
	}
	if c.MaxMemory < 1 {
		p.add("max_memory", "%s is not above 0", c.MaxMemory)
	}
	oneOf(&p, "concealed", c.Concealed, ConcealedKeep, ConcealedDrop)
	oneOf(&p, "deinterlace", c.Deinterlace, DeinterlaceAuto, DeinterlaceOff)
	oneOf(&p, "color.untagged_matrix", c.Color.UntaggedMatrix, MatrixAuto, MatrixBT601, MatrixBT709, MatrixBT2020)
	oneOf(&p, "color.untagged_range", c.Color.UntaggedRange, RangeLimited, RangeFull)
	return errors.Join(p...)
}

// Validate returns all problems of o, joined; each is a *media.FieldError whose
// path starts below a sink.
func (o Output) Validate() error {
	var p problems
	o.Sample.check(&p)
	o.Resize.check(&p)
	switch o.Format {
	case FormatJPEG:
		if o.Quality < 1 || o.Quality > 100 {
			p.add("quality", "%d is not within 1..100", o.Quality)
		}
	case FormatPNG:
	case FormatNone:
		oneOf(&p, "pixel_format", o.PixelFormat, PixelRGB24, PixelBGR24, PixelGray, PixelNV12, PixelYUV420P)
	default:
		oneOf(&p, "format", o.Format, FormatJPEG, FormatPNG, FormatNone)
	}
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

func (r Resize) check(p *problems) {
	if r.Width < 0 || r.Width > MaxSide {
		p.add("resize.width", "%d is not within 0..%d pixels", r.Width, MaxSide)
	}
	if r.Height < 0 || r.Height > MaxSide {
		p.add("resize.height", "%d is not within 0..%d pixels", r.Height, MaxSide)
	}
	oneOf(p, "resize.fit", r.Fit, FitContain, FitCover, FitPad, FitStretch)
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

// UnmarshalText reads #rrggbb.
func (c *RGB) UnmarshalText(text []byte) error {
	v, err := strconv.ParseUint(strings.TrimPrefix(string(text), "#"), 16, 32)
	if err != nil || len(text) != 7 || text[0] != '#' {
		return fmt.Errorf("%q is not a colour: write #rrggbb", text)
	}
	c[0], c[1], c[2] = uint8(v>>16), uint8(v>>8), uint8(v)
	return nil
}

// MarshalText writes #rrggbb.
func (c RGB) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// String returns #rrggbb.
func (c RGB) String() string { return fmt.Sprintf("#%02x%02x%02x", c[0], c[1], c[2]) }
