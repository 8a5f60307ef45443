package payload

import (
	"errors"

	"github.com/kvsframes/kvsframes/media"
)

// Cause is an error that states the kind of gap that it causes.
type Cause struct {
	// Reason is the kind of gap.
	Reason media.GapReason
	// Text describes what happened.
	Text string
}

// Error implements error.
func (c *Cause) Error() string { return c.Text }

// GapReason returns the kind of gap that the error causes.
func (c *Cause) GapReason() media.GapReason { return c.Reason }

// The causes of gaps that callers distinguish.
var (
	// ErrUnsupported is about intact media that cannot be read or decoded.
	ErrUnsupported error = &Cause{media.GapUnsupported, "is not supported"}
	// ErrCutHeader is the cause of a gap without a number: the payload ended before the number of its next fragment.
	ErrCutHeader error = &Cause{media.GapDamaged, "the payload ended inside the header of a chunk, before its first fragment was known"}
)

// NewGap returns the error for a fragment that is lost because of err, with the number of video frames that it
// is known to have had. number is empty when unknown.
func NewGap(stream, number string, err error, lost int) *media.GapError {
	return &media.GapError{
		Gap: media.Gap{
			Stream:         stream,
			FragmentNumber: number,
			FrameIndex:     media.WholeFragment,
			Reason:         gapReason(err),
			Detail:         err.Error(),
			FramesLost:     lost,
		},
		Err: err,
	}
}

// gapReason returns the kind of gap that an error causes: damage, unless the error states another kind.
func gapReason(err error) media.GapReason {
	var known interface{ GapReason() media.GapReason }
	if errors.As(err, &known) {
		return known.GapReason()
	}
	return media.GapDamaged
}
