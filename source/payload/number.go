package payload

import "strings"

// MaxNumber is the length of the longest fragment number of the API, in digits.
const MaxNumber = 128

// IsFragmentNumber reports whether the API accepts text as a fragment number (API Reference, GetMedia and
// GetMediaForFragmentList).
func IsFragmentNumber(text string) bool { return isDigits(text) && len(text) <= MaxNumber }

// PlainNumber returns a fragment number without leading zeros, so that equal numbers are equal strings.
func PlainNumber(number string) string { return strings.TrimLeft(number, "0") }

// isDigits reports whether text consists of one or more decimal digits.
func isDigits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}
