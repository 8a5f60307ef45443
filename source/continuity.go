package source

import (
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// minJump is the smallest distance between the end of a fragment and the start of
// the next one that is a jump. Encoders drop frames without anything being lost.
const minJump = time.Second

// continuity compares the producer's clock of each fragment with the end of the one
// before it. The numbers do not show how many fragments lie between two, so that only
// time shows whether one is missing.
type continuity struct {
	// end is when the last fragment ended on the producer's clock, zero before
	// the first one.
	end time.Time
	// frame is how long its last frame lasts; 0 when that is unknown.
	frame time.Duration
	// start is when the last fragment began.
	start time.Time
}

// jump is the direction in which the clock jumped between two fragments.
type jump int

const (
	noJump jump = iota
	jumpAhead
	jumpBack
)

// follow records the next fragment and returns how it follows the last one. It has
// jumped ahead when it begins later than the last one's end by more than a second
// and more than two frames, and back when it begins earlier by as much: a producer
// that has been restarted, or sends again what it had buffered.
func (c *continuity) follow(f *media.Fragment) (from time.Time, how jump) {
	from, tolerance := c.end, max(minJump, 2*c.frame)
	distance := f.ProducerTime.Sub(from)
	known := !from.IsZero() && !f.ProducerTime.IsZero()
	c.note(f)
	switch {
	case !known:
		return from, noJump
	case distance > tolerance:
		return from, jumpAhead
	case distance < -tolerance:
		return from, jumpBack
	}
	return from, noJump
}

// note records the times of a fragment. Its length is the time of its last frame and
// that frame's own duration: the mean distance of its frames, or the track's default
// if that is longer. The length of a single frame is not known; the distance from the
// fragment before it stands in for it.
func (c *continuity) note(f *media.Fragment) {
	first, last, count := f.Extent()
	track, _ := f.VideoTrack()
	measured := time.Duration(0)
	switch {
	case count > 1:
		measured = (last - first) / time.Duration(count-1)
	case !c.start.IsZero() && f.ProducerTime.After(c.start):
		measured = f.ProducerTime.Sub(c.start)
	}
	c.frame = max(measured, track.DefaultDuration)
	c.start = f.ProducerTime
	c.end = f.ProducerTime.Add(last + c.frame)
	if c.frame == 0 {
		c.end = time.Time{} // it is unknown when the next one should begin
	}
}
