package source

import (
	"errors"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// position is how far a stream has been read, and so where the next session starts.
type position struct {
	start StartSelector
	// opened reports whether a session was open once.
	opened bool
	// last is the number of the last fragment that was handed on or given up,
	// lastServer its time on the server's clock; "" and zero before the first.
	last       string
	lastServer time.Time
	// anchor is the moment that NOW was, first the number of the first fragment
	// that was seen and not handed on.
	anchor time.Time
	first  string
	// byTime and byEarliest say that last is of no use to the service; skip is
	// how far after lastServer to start.
	byTime, byEarliest bool
	skip               time.Duration
}

// begin returns the position before the first session. A number that the selector
// starts after has been read; a continuation token that is a number is the one of
// the fragment that it came with, in all payloads that have been seen.
func begin(start StartSelector) position {
	p := position{start: start}
	switch {
	case start.Type == StartFragmentNumber:
		p.last = start.AfterFragmentNumber
	case start.Type == StartContinuationToken && payload.IsFragmentNumber(start.ContinuationToken):
		p.last = start.ContinuationToken
	}
	return p
}

// noteOpened notes that the first session is open, and when that was.
func (p *position) noteOpened(session Source) {
	p.opened, p.anchor = true, time.Now()
	if s, ok := session.(interface{ OpenedAt() time.Time }); ok && !s.OpenedAt().IsZero() {
		p.anchor = s.OpenedAt()
	}
}

// remember notes a fragment that is the first one and could not be handed on yet: the
// next session is to start with it.
func (p *position) remember(f *media.Fragment) {
	if p.last == "" && p.first == "" && p.start.Type == StartNow && !f.ServerTime.IsZero() {
		p.first, p.anchor = f.Number, f.ServerTime
	}
}

// advance makes a fragment the last one that was handed on or given up.
func (p *position) advance(number string) {
	p.last, p.first = number, ""
	p.byTime, p.byEarliest, p.skip = false, false, 0
}

// seen reports whether a fragment lies before the position.
func (p *position) seen(number string) bool {
	return p.last != "" && payload.CompareNumbers(number, p.last) <= 0 ||
		p.first != "" && payload.CompareNumbers(number, p.first) < 0
}

// selector says where the next session starts.
func (p *position) selector() StartSelector {
	switch {
	case p.byTime:
		return StartSelector{Type: StartServerTimestamp, Timestamp: p.lastServer.Add(p.skip)}
	case p.byEarliest:
		return StartSelector{Type: StartEarliest}
	case !p.opened, p.last == "" && p.start.Type != StartNow, p.last == "" && p.anchor.IsZero():
		return p.start
	case p.last == "":
		return StartSelector{Type: StartServerTimestamp, Timestamp: p.anchor}
	}
	return StartSelector{Type: StartFragmentNumber, AfterFragmentNumber: p.last}
}

// refusesPosition reports whether err refuses where the next session was to start,
// although one was open before, and forgets the moment of NOW if that was it.
func (p *position) refusesPosition(err error) bool {
	var coded interface{ ErrorCode() string }
	if !p.opened || !errors.As(err, &coded) || coded.ErrorCode() != "InvalidArgumentException" {
		return false
	}
	if p.last == "" && !p.anchor.IsZero() && p.start.Type == StartNow {
		p.anchor, p.first = time.Time{}, ""
		return true
	}
	return p.last != "" && !p.byEarliest
}

// anywhere is the place of trouble that has none.
const anywhere = -1

// trouble counts how often what follows the position could not be read.
type trouble struct {
	number      string
	place       int64
	same, total int
	// told reports whether a gap without a number has been handed on for it.
	told bool
}

// again reports whether it is worth reading again, after a fragment ended or made no
// sense at a place: the number of bytes that the session had brought, or anywhere.
func (t *trouble) again(number string, place int64) bool { return t.within(maxSame, number, place) }

// within is again with a limit of its own for the same place.
func (t *trouble) within(limit int, number string, place int64) bool {
	if t.number != number || t.place != place {
		t.number, t.place, t.same = number, place, 0
	}
	t.same++
	t.total++
	return t.same < limit && t.total < maxAgain
}
