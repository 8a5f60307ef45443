package source

import (
	"errors"
	"fmt"
)

// ErrTooLarge marks an error about something that the input declares or holds
// and that is above its cap. The message tells the size and the cap, in bytes
// or in pieces.
var ErrTooLarge = errors.New("is too big")

// tooLarge says that something is above its cap.
func tooLarge(what string, size, maximum int64) error {
	return fmt.Errorf("%s (%d) %w, maximum is %d", what, size, ErrTooLarge, maximum)
}

// SyntaxError says that the payload is not what Matroska or KVS write.
type SyntaxError struct {
	// Offset is where in the payload the element begins that is at fault, bytes.
	Offset int64
	// Reason says what is wrong there.
	Reason string
}

// Error implements error.
func (e *SyntaxError) Error() string { return fmt.Sprintf("at byte %d: %s", e.Offset, e.Reason) }

// Class says what a reader should do about an error tag.
type Class string

// The classes of error tags.
const (
	// ClassRetry errors may pass: read the fragment again, a bounded number of times.
	ClassRetry Class = "retry"
	// ClassGap errors concern one fragment: it is lost, the stream goes on.
	ClassGap Class = "gap"
	// ClassFatal errors stay until somebody changes the stream or its key.
	ClassFatal Class = "fatal"
)

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

// Error implements error.
func (e *ErrorTag) Error() string {
	text := fmt.Sprintf("stream reports error %d", e.ID)
	for _, part := range []string{e.Code, e.Message} {
		if part != "" {
			text += " " + part
		}
	}
	if e.FragmentNumber != "" {
		text += " for fragment " + e.FragmentNumber
	}
	return text
}

// Class returns what to do about the error. Ids that AWS does not document are
// sorted by their thousands: 4xxx fatal as the caller's, all others retry.
func (e *ErrorTag) Class() Class {
	switch e.ID {
	case 4000: // the requested fragment was not found
		return ClassGap
	case 4503: // the key is unavailable, which may pass
		return ClassRetry
	}
	if e.ID >= 4000 && e.ID < 5000 {
		return ClassFatal
	}
	return ClassRetry
}
