package source

import (
	"context"
	"errors"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// Continued returns a Source of a stream that is read again from before a fragment that was read last. It drops the gaps up
// to that fragment, which were reported then. If the stream does not have the fragment any more, Next returns a gap before
// the first later one: what was between the two may have left the stream before it was read.
func Continued(s Source, stream string, last media.Place) Source {
	if last.Number == "" {
		return s
	}
	return &continued{Source: s, stream: stream, last: last}
}

// continued is a Source whose last fragment is known.
type continued struct {
	Source
	stream string
	last   media.Place
	// passed reports whether the fragment was seen, or must have been. held is the first one after it, whose gap was
	// returned in its place.
	passed bool
	held   *media.Fragment
}

// errExpired is the cause of a gap where a stream continues.
var errExpired = &payload.Cause{Reason: media.GapMissing, Text: "fragments after this one may have left the stream before they were read"}

// Next implements Source.
func (c *continued) Next(ctx context.Context) (*media.Fragment, error) {
	if f := c.held; f != nil {
		c.held = nil
		return f, nil
	}
	for {
		f, err := c.Source.Next(ctx)
		var gap *media.GapError
		switch {
		case c.passed:
			return f, err
		case errors.As(err, &gap) && gap.Gap.FragmentNumber != "" && media.CompareNumbers(gap.Gap.FragmentNumber, c.last.Number) <= 0:
		case err != nil:
			return nil, err
		case media.CompareNumbers(f.Number, c.last.Number) == 0:
			c.passed = true
			return f, nil
		case media.CompareNumbers(f.Number, c.last.Number) > 0:
			c.passed, c.held = true, f
			return nil, payload.NewGap(c.stream, c.last.Number, errExpired, 0)
		default:
			return f, nil
		}
	}
}
