package media

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes, written with a unit: 64MiB.
type Size int64

var units = []struct {
	suffix string
	factor int64
}{
	{"KiB", 1 << 10},
	{"MiB", 1 << 20},
	{"GiB", 1 << 30},
	{"kB", 1e3},
	{"MB", 1e6},
	{"GB", 1e9},
	{"B", 1},
}

// UnmarshalText reads a whole number with a unit (B, kB, MB, GB, KiB, MiB, GiB).
func (s *Size) UnmarshalText(text []byte) error {
	for _, u := range units {
		digits, ok := strings.CutSuffix(string(text), u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/u.factor {
			break
		}
		*s = Size(n * u.factor)
		return nil
	}
	if strings.Trim(string(text), "0123456789") == "" && len(text) > 0 {
		return fmt.Errorf("%s has no unit: write a size such as 64MiB", text)
	}
	return fmt.Errorf("%q is not a size: write a whole number with a unit, such as 64MiB", text)
}

// Syntax describes a valid size, for error messages.
func (Size) Syntax() string { return "a size such as 64MiB" }

// Pattern returns a regular expression for the texts that UnmarshalText reads, for the JSON Schema.
func (Size) Pattern() string { return `^[0-9]+ *([kMG]|[KMG]i)?B$` }

// MarshalText writes the size in the largest binary unit that represents it exactly.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String returns the size in the largest binary unit that represents it exactly.
func (s Size) String() string {
	for _, u := range []int{2, 1, 0} {
		if f := units[u].factor; s != 0 && int64(s)%f == 0 {
			return strconv.FormatInt(int64(s)/f, 10) + units[u].suffix
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}
