package payload

import (
	"errors"
	"fmt"

	"github.com/kvsframes/kvsframes/media"
)

// ErrTooLarge marks an error about something that the input declares or holds
// and that is above its cap. The message tells the size and the cap, in bytes
// or in pieces.
var ErrTooLarge = errors.New("is too big")

// tooLarge reports something above its cap.
func tooLarge(what string, size, maximum int64) error {
	return fmt.Errorf("%s (%d) %w, maximum is %d", what, size, ErrTooLarge, maximum)
}

// SyntaxError reports a payload that is not what Matroska or KVS write.
type SyntaxError struct {
	// Offset is where in the payload the element begins that is at fault, bytes.
	Offset int64
	// Reason says what is wrong there.
	Reason string
}

// Error implements error.
func (e *SyntaxError) Error() string { return fmt.Sprintf("at byte %d: %s", e.Offset, e.Reason) }

// SplitError says where a payload could not be split any further. Its cause is a
// *SyntaxError or is ErrTooLarge.
type SplitError struct {
	// Where names the stream, the chunk and the fragment, for people.
	Where string
	// FragmentNumber is the fragment that was being read, "" if it is not known.
	FragmentNumber string
	// Err is the cause.
	Err error
}

// Error implements error.
func (e *SplitError) Error() string { return "split " + e.Where + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *SplitError) Unwrap() error { return e.Err }

// ErrorTag is an error that KVS reports inside the payload of a response that
// began with status 200 (Kinesis Video Streams API Reference, GetMedia and
// GetMediaForFragmentList).
type ErrorTag struct {
	// ID is the number of the error, 0 when the payload does not tell it.
	ID int
	// Code and Message are texts and may be empty.
	Code, Message string
	// FragmentNumber is the fragment that could not be read, if it is told.
	FragmentNumber string
}

// Ids of error tags that say that a fragment is not there: for a moment (3000 has been
// seen and is described nowhere), or not at all.
const (
	tagAbsent   = 3000
	tagNotFound = 4000
)

// GapReason returns the kind of gap that the error leaves.
func (e *ErrorTag) GapReason() media.GapReason {
	if e.ID == tagAbsent || e.ID == tagNotFound {
		return media.GapMissing
	}
	return media.GapSource
}

// Error implements error.
func (e *ErrorTag) Error() string {
	text := fmt.Sprintf("stream reports error %d", e.ID)
	for _, part := range []string{e.Code, e.Message} {
		if part != "" {
			text += fmt.Sprintf(" %.500s", part)
		}
	}
	if e.FragmentNumber != "" {
		text += " for fragment " + e.FragmentNumber
	}
	return text
}
