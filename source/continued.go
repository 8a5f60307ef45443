package source

import (
	"context"
	"errors"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// Continued returns a Source of a stream that is read again from before a fragment that was read last. It drops the gaps up
// to that fragment, which were reported then. If the stream does not have the fragment any more, Next returns a gap before
// the first later one: what was between the two has left the stream before it was read.
func Continued(s Source, stream string, last media.Place) Source {
	if last.Number == "" {
		return s
	}
	return &continued{Source: s, stream: stream, last: last, why: errExpired, reported: true}
}

// From returns a Source of a stream that should begin with a fragment, which was read but not delivered. If the stream
// does not have it any more, Next returns a gap before the first later one.
func From(s Source, stream string, first media.Place) Source {
	return &continued{Source: s, stream: stream, last: first, why: errAllExpired}
}

// Anew returns a Source of a stream that begins anywhere, although the fragments up to last were delivered. If the first
// fragment is a later one, Next returns a gap before it: what is between the two is left out.
func Anew(s Source, stream string, last media.Place) Source {
	return &continued{Source: s, stream: stream, last: last, why: errBegunAnew, once: true}
}

// continued is a Source whose last fragment is known.
type continued struct {
	Source
	stream string
	last   media.Place
	// why is the cause of the gap if the fragment is not there. reported reports whether the gaps before it were reported, and
	// once whether it is looked for at the first fragment alone.
	why            error
	reported, once bool
	// passed reports whether the fragment was seen, or must have been. held is the first one after it, whose gap was
	// returned in its place.
	passed bool
	held   *media.Fragment
}

// The causes of gaps where a stream continues.
var (
	errExpired    = &payload.Cause{Reason: media.GapMissing, Text: "the fragments after this one expired before they were read"}
	errAllExpired = &payload.Cause{Reason: media.GapMissing, Text: "this fragment and those after it expired before they were delivered"}
	errBegunAnew  = &payload.Cause{Reason: media.GapLeftOut, Text: "left out: --restart began at a later fragment"}
)

// Next implements Source.
func (c *continued) Next(ctx context.Context) (*media.Fragment, error) {
	if f := c.held; f != nil {
		c.held = nil
		return f, nil
	}
	for {
		f, err := c.Source.Next(telling(ctx, c.arriving))
		var gap *media.GapError
		switch {
		case c.passed:
			return f, err
		case c.reported && errors.As(err, &gap) && gap.Gap.FragmentNumber != "" && media.CompareNumbers(gap.Gap.FragmentNumber, c.last.Number) <= 0:
			continue
		case err != nil:
			return nil, err
		}
		after := media.CompareNumbers(f.Number, c.last.Number)
		if c.passed = c.once || after >= 0; after <= 0 {
			return f, nil
		}
		c.held = f
		hole := payload.NewGap(c.stream, c.last.Number, c.why, 0)
		hole.Gap.ProducerTime, hole.Gap.Until = c.last.ProducerTime, f.Place()
		return nil, hole
	}
}

// arriving returns a fragment that is told of, nil if a gap in its place would be dropped, which was reported before. In front of the first one
// after the last fragment a hole may still be returned.
func (c *continued) arriving(f *media.Fragment) *media.Fragment {
	if c.reported && !c.passed && media.CompareNumbers(f.Number, c.last.Number) <= 0 {
		return nil
	}
	return f
}
