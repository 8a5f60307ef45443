package payload

import (
	"cmp"
	"strings"
)

// MaxNumber is the length of the longest fragment number of the API, in digits.
const MaxNumber = 128

// IsFragmentNumber reports whether the API takes text as a fragment number (API Reference, GetMedia and
// GetMediaForFragmentList).
func IsFragmentNumber(text string) bool { return isDigits(text) && len(text) <= MaxNumber }

// CompareNumbers compares two fragment numbers by their value, as cmp.Compare does. They
// grow in the order in which KVS took the fragments in.
func CompareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// isDigits reports whether text consists of decimal digits, at least one.
func isDigits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}
