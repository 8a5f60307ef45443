package source

import (
	"errors"
	"fmt"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// How often something is read again before it is given up.
const (
	// maxSame is how often a fragment may end at the same byte of a session, or be malformed, before it is given up.
	maxSame = 3
	// maxInternal is how often a fragment may fail because of an internal error of the service: the delays in between
	// add up to a few minutes.
	maxInternal = 10
	// maxAgain is how often one fragment may end early, at any byte.
	maxAgain = 30
	// maxUnopened is how often in a row the first session may fail because the service cannot be reached: until a
	// session is open, the settings may be wrong.
	maxUnopened = 5
	// maxBlind is how often in a row reading may fail before the first fragment.
	maxBlind = 10
	// maxSkip is the largest step over an unreadable part.
	maxSkip = time.Hour
)

// reportUnnumberedGap queues a gap without a number, once for each position in the stream.
func (l *Live) reportUnnumberedGap(gap error) {
	if !l.trouble.reported {
		l.trouble.reported = true
		l.ready = append(l.ready, result{err: gap})
	}
}

// handleGap decides how to handle a fragment that the session could not return.
func (l *Live) handleGap(gap *media.GapError) {
	number := gap.Gap.FragmentNumber
	var tag *payload.ErrorTag
	switch absent := errors.As(gap, &tag); {
	case absent && !l.flowed && (number == "" || l.seen(number)):
		// The fragment after which the session was to start no longer exists.
		l.unsure = true
		l.reach.Lost(gap)
		l.restartByTime(gap)
		l.hangUp()
		l.scheduleRedial()
	case number != "" && l.seen(number):
	case !absent && !errors.Is(gap, payload.ErrTooLarge) && l.trouble.again(number, anywhere):
		l.log.Warn("fragment is malformed, reading it again", "fragment", number, "error", gap.Err)
		l.reach.Lost(gap)
		l.hangUp()
		if number != "" {
			l.begin(number, result{err: gap})
		}
		l.scheduleRedial()
	case number != "":
		l.lose(number, gap)
	default:
		// The next fragment of this session is the one after it.
		l.reportUnnumberedGap(gap)
	}
}

// lose gives up a fragment, which is a gap.
func (l *Live) lose(number string, gap error) {
	l.giveUp(number)
	if l.toNow {
		l.endSkip(media.Place{Number: number}, l.clock.end)
		l.clock = continuity{} // what was before the next fragment is in that gap
	}
	l.lost = number
	l.ready = append(l.ready, result{err: gap})
	l.advance(number)
}

// failed decides whether reading continues after a session or a call failed.
func (l *Live) failed(err error) {
	l.unsure = true
	l.reach.Lost(err)
	v := VerdictOf(err)
	l.refresh = l.refresh || v.Refresh
	if l.refusesPosition(err) {
		l.restartByTime(err)
		return
	}
	if l.unreadable(err, v) {
		return
	}
	what := kind(err)
	if what != l.failing.what {
		l.failing.what, l.failing.times = what, 0
	}
	l.failing.times++
	tries := v.Tries
	if tries == 0 && !l.opened && what == kindLost {
		tries = maxUnopened
	}
	if v.Class != ClassRetry || tries > 0 && l.failing.times > tries {
		l.fail(err, v)
		return
	}
	l.log.Warn("retrying after error", "after", l.last, "times", l.failing.times, "error", err)
}

// fail ends the stream with an error.
func (l *Live) fail(err error, v Verdict) {
	l.over = err
	if l.failing.times > 1 {
		l.over = fmt.Errorf("%w (%d times in a row)", err, l.failing.times)
	}
	var tag *payload.ErrorTag
	if v.Hint != "" && errors.As(err, &tag) {
		l.over = fmt.Errorf("%w: %s", l.over, v.Hint)
	}
	l.giveUp("") // no session will return the rest
}

// unreadable handles an error about an unreadable part of the payload that blocks the rest, and reports whether
// err is such an error.
func (l *Live) unreadable(err error, v Verdict) bool {
	var split *payload.SplitError
	var tag *payload.ErrorTag
	number, again, limit := fragmentOf(err), true, maxSame
	switch {
	case errors.As(err, &split):
	case errors.As(err, &tag) && v.Class == ClassRetry && v.Tries == 0 && number != "":
	default:
		return false
	}
	if number != "" && l.seen(number) {
		return false
	}
	if v.Class == ClassGap { // its size does not change
		again = number == ""
	}
	if v.Internal {
		limit = maxInternal
	}
	switch {
	case again && l.trouble.within(limit, number, anywhere):
		l.log.Warn("fragment cannot be read, trying again", "fragment", number, "after", l.last, "error", err)
	case number != "":
		l.lose(number, payload.NewGap(l.cfg.Stream, number, err, 0))
	default:
		l.skipAhead(err)
	}
	return true
}

// skipAhead steps over an unreadable part without a fragment number. Reading can then continue only by time;
// each step is twice as long as the previous one. Before the first fragment there is no time to step from, so
// NOW is requested again.
func (l *Live) skipAhead(err error) {
	switch {
	case l.skip >= maxSkip, l.lastServer.IsZero() && l.trouble.total > maxBlind:
		l.fail(err, Verdict{})
	case l.lastServer.IsZero():
		l.anchor = time.Time{}
		l.log.Warn("no fragment can be read yet", "times", l.trouble.total, "error", err)
	default:
		l.reportUnnumberedGap(payload.NewGap(l.cfg.Stream, "", fmt.Errorf("what follows fragment %s cannot be read and is skipped: %w", l.last, err), 0))
		l.byTime, l.skip = true, max(time.Second, 2*l.skip)
	}
}

// restartByTime makes the next session start by time, or else at the earliest fragment, because the service no longer
// finds the last fragment. Fragments that were read before are recognized by their numbers and dropped.
func (l *Live) restartByTime(err error) {
	switch {
	case l.byEarliest:
		// There is nothing else to try; the next session may return more.
	case l.toNow:
		l.anchor = time.Time{}
		l.log.Warn("the service does not accept the time of the newest fragment, reading continues at the one that is newest now", "error", err)
	case !l.byTime && !l.lastServer.IsZero():
		l.byTime = true
		l.log.Warn("the service does not find the last fragment, reading continues by time", "after", l.last, "error", err)
	case l.last != "":
		l.byTime, l.byEarliest = false, true
		l.reportGap(l.last, fmt.Errorf("%w: %w", errMissing, err))
	default:
		l.log.Warn("the service does not accept the time at which reading began, reading continues at the newest fragment", "error", err)
	}
}

// fragmentOf returns the number of the fragment that an error concerns, or "" if the error does not name one.
func fragmentOf(err error) string {
	var split *payload.SplitError
	var tag *payload.ErrorTag
	switch {
	case errors.As(err, &split):
		return split.FragmentNumber
	case errors.As(err, &tag):
		return tag.FragmentNumber
	}
	return ""
}

// kindLost is the kind of all errors that are not answers of the service.
const kindLost = "connection lost"

// kind returns the kind of an error; errors of different kinds are counted separately.
func kind(err error) string {
	var tag *payload.ErrorTag
	var coded interface{ ErrorCode() string }
	switch {
	case errors.As(err, &tag):
		return fmt.Sprint("tag ", tag.ID)
	case errors.As(err, &coded):
		return coded.ErrorCode()
	}
	return kindLost
}
