package source

import (
	"fmt"
	"strconv"
	"time"

	"github.com/kvsframes/kvsframes/setting"
)

// Track is the number of the wanted video track; 0 is the first one that can be decoded.
type Track uint64

// UnmarshalText reads a track number, or auto.
func (t *Track) UnmarshalText(text []byte) error {
	if string(text) == "auto" {
		*t = 0
		return nil
	}
	n, err := strconv.ParseUint(string(text), 10, 56)
	if err != nil || n == 0 {
		return fmt.Errorf("%q is not a track: write auto or a track number from 1 up", text)
	}
	*t = Track(n)
	return nil
}

// Syntax describes a valid track, for error messages.
func (Track) Syntax() string { return "auto or a track number" }

// Pattern returns a regular expression for the texts that UnmarshalText reads, for the JSON Schema.
func (Track) Pattern() string { return "^(auto|0*[1-9][0-9]*)$" }

// MarshalText returns text that UnmarshalText reads.
func (t Track) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// String returns auto, or the number.
func (t Track) String() string {
	if t == 0 {
		return "auto"
	}
	return strconv.FormatUint(uint64(t), 10)
}

// StartTime is the instant of timestamp zero of plain MKV files. The zero value, auto, is the time in the file
// (DateUTC), or else the Unix epoch.
type StartTime struct{ time.Time }

// UnmarshalText reads a time in RFC 3339, or auto.
func (t *StartTime) UnmarshalText(text []byte) error {
	if string(text) == "auto" {
		*t = StartTime{}
		return nil
	}
	if err := t.Time.UnmarshalText(text); err != nil {
		return fmt.Errorf("%q is not a time: write auto or a time such as 2026-11-01T00:00:00Z", text)
	}
	t.Time = t.UTC()
	return nil
}

// Syntax describes a valid time, for error messages.
func (StartTime) Syntax() string { return "auto or a time such as 2026-11-01T00:00:00Z" }

// Pattern returns a regular expression for the texts that UnmarshalText reads, for the JSON Schema.
func (StartTime) Pattern() string { return "^(auto|" + setting.TimePattern + ")$" }

// MarshalText returns text that UnmarshalText reads.
func (t StartTime) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// String returns auto, or the time.
func (t StartTime) String() string {
	if t.IsZero() {
		return "auto"
	}
	return t.Format(time.RFC3339Nano)
}
