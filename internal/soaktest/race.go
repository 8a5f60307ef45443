//go:build race

package soaktest

// UnderRace reports whether the race detector is on, which makes everything many times slower.
const UnderRace = true
