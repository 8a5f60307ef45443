package setting

import (
	"fmt"
	"strconv"
)

// Level is a number of 0 or more, such as a threshold, that may not be set. The zero value is not set.
type Level struct {
	v   float64
	set bool
}

// mostLevel is above every level that has a meaning.
const mostLevel = 1e9

// NewLevel returns a level that is set.
func NewLevel(v float64) Level { return Level{v, true} }

// Get returns the number, and whether it is set.
func (l Level) Get() (v float64, set bool) { return l.v, l.set }

// UnmarshalText reads a decimal number.
func (l *Level) UnmarshalText(text []byte) error {
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !(v >= 0 && v <= mostLevel) {
		return fmt.Errorf("%q is not a number of 0 or more, such as 7.5", Short(string(text)))
	}
	*l = NewLevel(v)
	return nil
}

// Syntax describes the values, for error messages.
func (Level) Syntax() string { return "a number such as 7.5" }

// Pattern returns a regular expression for the texts that UnmarshalText reads, for the JSON Schema.
func (Level) Pattern() string { return `^\+?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$` }

// MarshalText writes what UnmarshalText reads.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// String returns the shortest decimal that reads as the same number; "" if it is not set.
func (l Level) String() string {
	if !l.set {
		return ""
	}
	return strconv.FormatFloat(l.v, 'f', -1, 64)
}
