//go:build !race

package sandbox

// unlimited reports whether the memory of children has no limit.
const unlimited = false
