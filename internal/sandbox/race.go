//go:build race

package sandbox

// unlimited reports whether the memory of children has no limit: the race detector reserves more than any.
const unlimited = true
