package source

import (
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// minJump is the smallest distance between two fragments that counts as a jump. Encoders may drop frames without
// a loss in transit.
const minJump = time.Second

// continuity compares the producer's clock of each fragment with the end of the previous one. Fragment numbers do
// not show whether one is missing between two; only time does.
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

// follow records the next fragment and returns how it follows the last one. The clock has jumped ahead when the
// fragment begins later than the end of the last one by more than a second and more than two frames, and back when it
// begins earlier by as much: the producer was restarted, or repeats buffered fragments.
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

// note records the times of a fragment. Its length is the time of its last frame plus that frame's duration: the mean
// distance of its frames, or the track's default if that is longer. For a single frame, the duration is the distance
// from the previous fragment.
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
		c.end = time.Time{} // the next fragment may begin at any time
	}
}
