package source

import (
	"errors"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// position records how far a stream has been read, which determines where the next session starts.
type position struct {
	start StartSelector
	// opened reports whether a session was ever open.
	opened bool
	// last is the number of the last fragment that was returned or given up, and
	// lastServer its time on the server's clock; "" and zero before the first.
	last       string
	lastServer time.Time
	// toNow reports whether reading skips from last to the newest fragment. Then lastServer is zero.
	toNow bool
	// anchor is the time of the first session that started at NOW. first is the number of the first fragment that
	// arrived, until it can be returned.
	anchor time.Time
	first  string
	// byTime and byEarliest report whether the next session starts at skip after lastServer, or at the earliest
	// fragment, because the service does not find last.
	byTime, byEarliest bool
	skip               time.Duration
}

// begin returns the position before the first session. If the selector starts after a fragment number, that is
// the last one read. In all payloads seen so far, a continuation token that is a number is the number of its
// fragment.
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

// fromNow reports whether the next fragment is the first one of sessions from NOW on.
func (p *position) fromNow() bool { return p.toNow || p.last == "" && p.start.Type == StartNow }

// noteStart records when a session began. The first one counts.
func (p *position) noteStart(at time.Time) {
	if !p.opened || p.toNow && p.anchor.IsZero() {
		p.anchor = at
	}
}

// skipToNow makes the next session start at the newest fragment.
func (p *position) skipToNow() {
	p.toNow, p.anchor, p.first, p.lastServer = true, time.Time{}, "", time.Time{}
	p.byTime, p.byEarliest, p.skip = false, false, 0
}

// notePassed records that a session has returned a fragment again. If reading skips to the newest fragment, that is not after the last
// one: nothing is skipped.
func (p *position) notePassed(f *media.Fragment) {
	if p.toNow && media.CompareNumbers(f.Number, p.last) <= 0 {
		p.toNow, p.lastServer = false, f.ServerTime
	}
}

// remember records the first fragment when it cannot be returned yet, so that the next session starts with it.
func (p *position) remember(f *media.Fragment) {
	if p.fromNow() && p.first == "" && !f.ServerTime.IsZero() {
		p.first, p.anchor = f.Number, f.ServerTime
	}
}

// advance makes a fragment the last one that was returned or given up.
func (p *position) advance(number string) {
	p.last, p.first, p.toNow = number, "", false
	p.byTime, p.byEarliest, p.skip = false, false, 0
}

// seen reports whether a fragment is not after the position.
func (p *position) seen(number string) bool {
	return p.last != "" && media.CompareNumbers(number, p.last) <= 0 ||
		p.first != "" && media.CompareNumbers(number, p.first) < 0
}

// selector returns where the next session starts.
func (p *position) selector() StartSelector {
	switch {
	case p.byTime:
		return StartSelector{Type: StartServerTimestamp, Timestamp: p.lastServer.Add(p.skip)}
	case p.byEarliest:
		return StartSelector{Type: StartEarliest}
	case p.toNow && p.anchor.IsZero():
		return StartSelector{Type: StartNow}
	case p.toNow:
		return StartSelector{Type: StartServerTimestamp, Timestamp: p.anchor}
	case !p.opened, p.last == "" && p.start.Type != StartNow, p.last == "" && p.anchor.IsZero():
		return p.start
	case p.last == "":
		return StartSelector{Type: StartServerTimestamp, Timestamp: p.anchor}
	}
	return StartSelector{Type: StartFragmentNumber, AfterFragmentNumber: p.last}
}

// refusesPosition reports whether err means that the service rejected the start of the session, although a
// session was open before. If the start was the time of NOW, that time is dropped.
func (p *position) refusesPosition(err error) bool {
	var coded interface{ ErrorCode() string }
	if !p.opened || !errors.As(err, &coded) || coded.ErrorCode() != "InvalidArgumentException" {
		return false
	}
	if p.fromNow() && !p.anchor.IsZero() {
		p.anchor, p.first = time.Time{}, ""
		return true
	}
	return p.last != "" && !p.byEarliest
}

// anywhere is the place of a failure when its place does not matter.
const anywhere = -1

// trouble counts failures to read the next fragment.
type trouble struct {
	number      string
	place       int64
	same, total int
	// reported reports whether a gap without a number was returned for it.
	reported bool
}

// again counts a failure of a fragment and reports whether to read the fragment again. place is the number of
// bytes that the session had returned by then, or anywhere.
func (t *trouble) again(number string, place int64) bool { return t.within(maxSame, number, place) }

// within is like again, with its own limit for failures at the same place.
func (t *trouble) within(limit int, number string, place int64) bool {
	if t.number != number || t.place != place {
		t.number, t.place, t.same = number, place, 0
	}
	t.same++
	t.total++
	return t.same < limit && t.total < maxAgain
}
