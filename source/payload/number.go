package payload

import (
	"strings"

	"github.com/kvsframes/kvsframes/media"
)

// MaxNumber is the length of the longest fragment number of the API, in digits.
const MaxNumber = 128

// IsFragmentNumber reports whether the API accepts text as a fragment number (API Reference, GetMedia and
// GetMediaForFragmentList).
func IsFragmentNumber(text string) bool { return isDigits(text) && len(text) <= MaxNumber }

// CompareNumbers compares two fragment numbers by their value, as cmp.Compare does. They
// grow in the order in which the fragments reached KVS.
func CompareNumbers(a, b string) int { return media.CompareNumbers(a, b) }

// PlainNumber returns a fragment number without leading zeros, so that equal numbers are equal strings.
func PlainNumber(number string) string { return strings.TrimLeft(number, "0") }

// isDigits reports whether text consists of one or more decimal digits.
func isDigits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}
