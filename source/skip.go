package source

import (
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// errLeftOut is the cause of the gap where a stream was too far behind.
var errLeftOut = &payload.Cause{Reason: media.GapLeftOut, Text: "left out to catch up: reading continued at the newest fragment"}

// noteLag records how far a fragment is behind the newest one. A payload that lacks the distance has the times at which the
// fragments reached the service: then the distance is that to the service's present time.
func (l *Live) noteLag(f *media.Fragment) {
	if f.MillisBehindNow < 0 && !f.ServerTime.IsZero() {
		f.MillisBehindNow = max(0, time.Since(f.ServerTime)+l.clockOffset).Milliseconds()
	}
	behind := time.Duration(max(0, f.MillisBehindNow)) * time.Millisecond
	l.lag.Store(int64(behind))
	if f.MillisBehindNow >= 0 && l.late.Exceeded(behind) {
		l.skips = true
	}
}

// skipToNow ends the session, so that the next one starts at the newest fragment.
func (l *Live) skipToNow() {
	l.log.Warn("too far behind, reading continues at the newest fragment", "after", l.last, "behind", time.Duration(l.lag.Load()).String())
	l.skips, l.held = false, nil
	l.hangUp()
	l.begin("", result{})
	l.trouble, l.delay = trouble{}, 0
	l.late.Reset()
	l.position.skipToNow()
}

// endSkip queues the gap between the last fragment and the first one after a skip. end is where the last one ended, if that is known.
func (l *Live) endSkip(until media.Place, end time.Time) {
	gap := payload.NewGap(l.cfg.Stream, l.last, errLeftOut, 0)
	gap.Gap.ProducerTime, gap.Gap.Until = end, until
	l.ready = append(l.ready, result{err: gap})
}
