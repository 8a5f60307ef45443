package setting

import (
	"fmt"
	"time"
)

// AutoDuration is a duration that may be left to the program. The zero value is auto.
type AutoDuration struct {
	d   time.Duration
	set bool
}

// NewAutoDuration returns a duration that is set. Less than 0 is 0.
func NewAutoDuration(d time.Duration) AutoDuration { return AutoDuration{max(0, d), true} }

// Get returns the duration, and false for auto.
func (a AutoDuration) Get() (d time.Duration, set bool) { return a.d, a.set }

// UnmarshalText reads a duration, or auto.
func (a *AutoDuration) UnmarshalText(text []byte) error {
	if string(text) == "auto" {
		*a = AutoDuration{}
		return nil
	}
	d, err := time.ParseDuration(string(text))
	if err != nil || d < 0 {
		return fmt.Errorf("%q is neither auto nor a duration such as 10m", Short(string(text)))
	}
	*a = NewAutoDuration(d)
	return nil
}

// Syntax returns the values that messages ask for.
func (AutoDuration) Syntax() string { return "auto or a duration such as 10m" }

// Regular expressions without anchors: DurationPattern matches durations of 0 or more, TimePattern times of RFC 3339.
const (
	DurationPattern = `\+?(([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+`
	TimePattern     = `[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.,][0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})`
)

// Pattern returns a regular expression for the texts that UnmarshalText reads, for the JSON Schema.
func (AutoDuration) Pattern() string { return "^(auto|0|" + DurationPattern + ")$" }

// MarshalText writes what UnmarshalText reads.
func (a AutoDuration) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// String returns auto, or the duration.
func (a AutoDuration) String() string {
	if !a.set {
		return "auto"
	}
	return a.d.String()
}
