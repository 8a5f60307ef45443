package payload

import (
	"errors"
	"fmt"

	"github.com/kvsframes/kvsframes/media"
)

// ErrTooLarge marks an error about something in the input, or declared by it, that exceeds its limit. The
// message states the size and the limit, in bytes or as a count.
var ErrTooLarge = errors.New("is too big")

// tooLarge returns an error for a size above its maximum.
func tooLarge(what string, size, maximum int64) error {
	return fmt.Errorf("%s (%d) %w, maximum is %d", what, size, ErrTooLarge, maximum)
}

// SyntaxError reports a payload that does not follow Matroska or KVS.
type SyntaxError struct {
	// Offset is the offset of the faulty element in the payload, in bytes.
	Offset int64
	// Reason describes the fault.
	Reason string
}

// Error implements error.
func (e *SyntaxError) Error() string { return fmt.Sprintf("at byte %d: %s", e.Offset, e.Reason) }

// SplitError reports a payload that cannot be split any further. Its cause is a
// *SyntaxError or ErrTooLarge.
type SplitError struct {
	// Where describes the stream, the chunk and the fragment, for messages.
	Where string
	// FragmentNumber is the fragment that was being read, "" if unknown.
	FragmentNumber string
	// Err is the cause.
	Err error
}

// Error implements error.
func (e *SplitError) Error() string { return "split " + e.Where + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *SplitError) Unwrap() error { return e.Err }

// ErrorTag is an error that KVS reports inside the payload of a response whose
// status is 200 (Kinesis Video Streams API Reference, GetMedia and
// GetMediaForFragmentList).
type ErrorTag struct {
	// ID is the number of the error, 0 if the payload has none.
	ID int
	// Code and Message are texts and may be empty.
	Code, Message string
	// FragmentNumber is the fragment that could not be read, if the payload names it.
	FragmentNumber string
}

// The IDs of error tags for a missing fragment: temporarily (3000 occurs in practice and is not documented),
// or permanently.
const (
	tagAbsent   = 3000
	tagNotFound = 4000
)

// GapReason returns the kind of gap that the error causes.
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
