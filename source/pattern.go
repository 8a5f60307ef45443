package source

import "strings"

// Pattern is a stream name with wildcards: `*` matches any characters, `?` one. Every pattern has a wildcard.
type Pattern string

// IsPattern reports whether an entry of `streams` is a pattern and not a name or ARN.
func IsPattern(entry string) bool { return strings.ContainsAny(entry, "*?") }

// Prefix returns the common beginning of all matching names.
func (p Pattern) Prefix() string {
	if i := strings.IndexAny(string(p), "*?"); i >= 0 {
		return string(p[:i])
	}
	return string(p)
}

// Match reports whether a stream's name matches. It takes time proportional to at most the product of both lengths.
func (p Pattern) Match(name string) bool {
	// star is the position of the last *, and mark the end of the part of name that it matches: on a mismatch the *
	// matches one more character.
	at, star, mark := 0, -1, 0
	for i := 0; i < len(name); {
		switch {
		case at < len(p) && p[at] == '*':
			star, mark = at, i
			at++
		case at < len(p) && (p[at] == '?' || p[at] == name[i]):
			at++
			i++
		case star >= 0:
			mark++
			at, i = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(string(p[at:]), "*") == ""
}
