package plan

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/setting"
)

// maxRate is the largest sampling rate in frames per second.
const maxRate = 1000

// Rate is an exact number of frames per second, Num/Den. The zero value is unset.
type Rate struct {
	Num, Den int64
}

// UnmarshalText reads a rate as a decimal (29.97), a whole number or a fraction
// (30000/1001), exactly.
func (r *Rate) UnmarshalText(text []byte) error {
	if len(text) > 32 {
		return fmt.Errorf("%.32q... is not a rate", text)
	}
	if _, err := time.ParseDuration(string(text)); err == nil && strings.ContainsAny(string(text), "smh") {
		return fmt.Errorf("%s is a duration: write interval: %[1]s, or frames per second here", text)
	}
	q, ok := new(big.Rat).SetString(string(text))
	if !ok || strings.ContainsAny(string(text), "eExXpP") || q.Sign() <= 0 || !q.Num().IsInt64() || !q.Denom().IsInt64() ||
		q.Num().Int64() > math.MaxInt32 || q.Denom().Int64() > math.MaxInt32 {
		return fmt.Errorf("%q is not a rate: write frames per second, such as 2, 0.5 or 30000/1001", text)
	}
	r.Num, r.Den = q.Num().Int64(), q.Denom().Int64()
	return nil
}

// Syntax describes the values, for error messages.
func (Rate) Syntax() string { return "frames per second" }

// Pattern returns a regular expression for the texts that UnmarshalText reads, for the JSON Schema.
func (Rate) Pattern() string {
	return `^\+?([0-9]*[1-9][0-9]*\.?[0-9]*|[0-9]*\.[0-9]*[1-9][0-9]*)(/0*[1-9][0-9]*)?$`
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

// Output is what the planner must know about one output.
type Output struct {
	// Sink is the name of the sink that the output is for; gaps name it.
	Sink string
	// Sample selects the frames that it wants.
	Sample Sample
	// Fast reports whether it accepts pictures that are decoded without the loop filter.
	Fast bool
}

// SkipFrame selects the frames that the decoder may leave out.
type SkipFrame string

// The values of skip_frame. Auto leaves out all frames that no sampled one needs.
const (
	SkipAuto   SkipFrame = "auto"
	SkipNone   SkipFrame = "none"
	SkipNonRef SkipFrame = "nonref"
	SkipNonKey SkipFrame = "nonkey"
)

// Values returns the values of skip_frame.
func (SkipFrame) Values() []string {
	return setting.Texts(SkipAuto, SkipNone, SkipNonRef, SkipNonKey)
}
