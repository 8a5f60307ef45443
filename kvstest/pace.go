package kvstest

import (
	"math/rand/v2"
	"sort"
	"time"
)

// piece is a part of a chunk that is sent at once: what precedes the first block, or one block with what precedes it.
type piece struct {
	// end is the offset at which it ends; it begins where the piece before it ends.
	end int64
	// after is when it is sent, from the start of the chunk: the time of the block, and after schedule no earlier than the piece before it.
	after time.Duration
}

// pieces returns the pieces of a document. The bytes after the last block belong to none: they are sent when the chunk is whole.
func (d *document) pieces() []piece {
	if len(d.places) == 0 {
		return []piece{{end: int64(d.size)}}
	}
	pieces := make([]piece, 1, 1+len(d.places))
	pieces[0].end = int64(d.places[0].begin)
	for i, place := range d.places {
		pieces = append(pieces, piece{int64(place.end), d.blocks[i].Time})
	}
	return pieces
}

// due returns the offset up to which the chunk can be sent at the time now, and when it can be sent further; next is zero if that is all of
// it.
func (c *chunk) due(now time.Time) (end int64, next time.Time) {
	if !c.whole.After(now) {
		return c.data.len(), time.Time{}
	}
	next = c.whole
	n := sort.Search(len(c.pieces), func(i int) bool { return c.at.Add(c.pieces[i].after).After(now) })
	if n < len(c.pieces) {
		next = c.at.Add(c.pieces[n].after)
	}
	if n == 0 {
		return 0, next
	}
	return c.pieces[n-1].end, next
}

// maxPause is the longest pause between two chunks that PaceRealtime keeps: the longest fragment that KVS
// accepts (Developer Guide, Quotas). After a longer one, or a clock that goes back, the producer is assumed to
// have restarted; there is no wait.
const maxPause = 20 * time.Second

// schedule sets when each chunk begins, when each of its pieces is sent, and when it is whole. The first chunk begins at start, the others
// later by the distance of their producer times. A block is sent at its time, in the order of decoding: so a picture that others refer to,
// and that is shown after them, delays them. Each block is late by up to jitter, and none overtakes another.
func schedule(chunks []*chunk, start time.Time, jitter time.Duration, random *rand.Rand) {
	begin, latest := start, start
	for i, c := range chunks {
		step := c.length
		if i+1 < len(chunks) {
			step = c.step(chunks[i+1])
		}
		if latest.Before(begin) {
			latest = begin
		}
		c.at = latest
		for j := range c.pieces {
			p := &c.pieces[j]
			at := begin.Add(p.after)
			if j > 0 && jitter > 0 {
				at = at.Add(time.Duration(random.Int64N(int64(jitter) + 1)))
			}
			if at.After(latest) {
				latest = at
			}
			p.after = latest.Sub(c.at)
		}
		// AWS does not say when a fragment ends that no other follows at once: here, with its last frame.
		end := begin.Add(step)
		if c.length > time.Millisecond { // otherwise it has one frame, of unknown duration
			end = begin.Add(min(step, c.length))
		}
		if end.After(latest) {
			latest = end
		}
		c.whole = latest
		begin = begin.Add(step)
	}
}

// step returns the time from the start of a chunk to that of the next one.
func (c *chunk) step(next *chunk) time.Duration {
	step := next.producer.Sub(c.producer)
	if c.producer.IsZero() || next.producer.IsZero() || step <= 0 || step > c.length+maxPause {
		return c.length
	}
	return step
}
