package source

import "strings"

// Pattern is a stream name with wildcards: `*` stands for any characters, `?` for
// one. A wildcard distinguishes it from a name.
type Pattern string

// IsPattern reports whether an entry of `streams` is a pattern and not a name or ARN.
func IsPattern(entry string) bool { return strings.ContainsAny(entry, "*?") }

// Prefix returns what all names that match begin with.
func (p Pattern) Prefix() string {
	if i := strings.IndexAny(string(p), "*?"); i >= 0 {
		return string(p[:i])
	}
	return string(p)
}

// Match reports whether a stream's name matches. It takes time proportional to the
// product of both lengths at most.
func (p Pattern) Match(name string) bool {
	// star and mark are where the last * stands, and what of name it has not
	// eaten yet: on a mismatch it eats one more.
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
