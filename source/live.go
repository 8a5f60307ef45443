package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/kvsframes/kvsframes/internal/lag"
	"github.com/kvsframes/kvsframes/internal/logging"
	"github.com/kvsframes/kvsframes/internal/wait"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// Dialer opens sessions of one stream. A session ends with io.EOF when the service ends it; the stream may continue.
type Dialer interface {
	// Dial opens a session that starts at start. It makes one call, without retries. With refresh it first gets fresh
	// credentials and a fresh data endpoint. ctx bounds only the opening. The caller closes the session. It may do so
	// while Next is waiting; Next then returns. A Next whose context ends may return the part of a fragment that arrived in an
	// *UnfinishedError.
	Dial(ctx context.Context, start StartSelector, refresh bool) (Source, error)
}

// LiveConfig holds the settings of a Live.
type LiveConfig struct {
	// Stream is the stream's name, for logs, errors and gaps.
	Stream string
	// Start is where the first session starts.
	Start StartSelector
	// MaxLag is how far fragments may be behind the newest one of the stream before reading continues there; 0 is no limit.
	MaxLag time.Duration
	// LagPatience is for how long they may be further behind; 0 is a minute.
	LagPatience time.Duration
	// Log receives messages about sessions; nil discards them.
	Log *slog.Logger
}

// Live is a Source that reads one stream over many sessions. KVS ends every GetMedia session: after 3 s without
// media, and always after about 45 min. Live itself ends only when the stream cannot be read any more.
//
// Next returns every fragment once and in order. A new session starts after the number of the last fragment that was
// returned. Fragments whose numbers are not greater are dropped; if their media differs from before, they are gaps. A
// fragment is read again when it ended early, was malformed, or was replaced by a temporary error. When that happens
// three times at the same place, Next returns the part of the fragment that arrived (Cut), or a gap, and reading
// continues after it. So it does if the fragment does not come again before a later one, or before the stream ends with an error.
//
// NOW is requested only once, as requesting it again would skip media. Until a fragment has arrived, later sessions
// start at the time of the first one (SERVER_TIMESTAMP, on the service's clock).
//
// After a session that returned something, the next one is opened at once. After any other, and after an error
// tag, it is opened after a delay that grows from 1 s to 30 s. There are at most 4 calls a second. VerdictOf
// decides which errors are retried, how often, and which end the stream.
//
// When the producer's clock jumps ahead between two fragments, there are two cases. If the service could be
// reached all the time, nothing was lost: the producer paused, which is logged and counted in Stats. If a
// session broke or could not be opened in between, media may have expired unread: that is a gap between the two
// fragments. A jump back is not a loss: the producer was restarted or repeats fragments.
//
// When fragments are further than MaxLag behind the newest one for LagPatience, the next session starts at NOW. The gap that
// this leaves is returned before the first fragment of that session.
//
// Fragments have a MillisBehindNow even if the payload lacks it: it is then measured on the service's clock.
//
// Stats and Close may be called while Next is waiting, which Close ends.
type Live struct {
	dialer Dialer
	cfg    LiveConfig
	log    *slog.Logger
	calls  limiter

	reconnects, pauses, lag atomic.Int64
	reach                   Reaching
	sessions                *relay

	// Only the goroutine that calls Next uses the following fields.
	ready []result
	// over is what Next returns from now on.
	over error

	position
	trouble trouble
	clock   continuity
	recent  recent
	// held is a fragment that may be incomplete. It is returned as soon as more follows it in the same session.
	held *media.Fragment
	// begun is what there is of the fragment that is read again: the part that arrived, or a gap. It is returned if the fragment does not
	// come again.
	begun struct {
		number string
		result
	}
	// lost is the number of the last gap.
	lost string
	// flowed reports whether the session returned something, idle whether the last ones did not, unsure whether the
	// service was out of reach since the last fragment.
	flowed, idle, unsure bool
	// refresh and delay are for the next call.
	refresh bool
	delay   time.Duration
	// taken is the number of bytes in the session's fragments; -1 if it also returned something else.
	taken int64
	// refused reports whether the last call was refused.
	refused bool
	// fruitless is the number of consecutive sessions and calls that returned nothing.
	fruitless int
	// late observes the lag. skips reports whether the session has to be replaced by one at NOW.
	late  lag.Watch
	skips bool
	// clockOffset is how far the service's clock is ahead of this machine's.
	clockOffset time.Duration
	// failing holds the kind of the last error, and how often it occurred in a row.
	failing struct {
		what  string
		times int
	}
}

var _ Source = (*Live)(nil)

// NewLive returns a source that reads a stream over all sessions that d opens. Its first Next opens the first one.
func NewLive(d Dialer, cfg LiveConfig) *Live {
	return &Live{
		dialer: d, cfg: cfg, log: logging.OrSilent(cfg.Log).With("stream", cfg.Stream),
		position: begin(cfg.Start), sessions: newRelay(), late: lag.Watch{Max: cfg.MaxLag, Patience: cfg.LagPatience},
	}
}

// Next implements Source. It waits as long as the stream has no media. After ctx was cancelled, Next may be
// called again with another context.
func (l *Live) Next(ctx context.Context) (*media.Fragment, error) {
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.sessions.life, cancel)()
	for {
		switch {
		case l.sessions.closed():
			return nil, fmt.Errorf("read stream %s: %w", l.cfg.Stream, fs.ErrClosed)
		case len(l.ready) > 0:
			r := l.ready[0]
			l.ready[0] = result{} // the array must not keep the fragment alive
			l.ready = l.ready[1:]
			return r.fragment, r.err
		case l.over != nil:
			return nil, l.over
		case ctx.Err() != nil:
			return nil, l.interrupted(ctx.Err())
		case l.skips:
			l.skipToNow()
		}
		session := l.sessions.source()
		if session == nil {
			l.connect(waiting)
			continue
		}
		f, err := session.Next(telling(waiting, l.arriving))
		if err == nil || waiting.Err() == nil {
			l.handle(f, err)
			continue
		}
		if part := (*UnfinishedError)(nil); l.held == nil && errors.As(err, &part) {
			l.held = part.Fragment // hanging up makes it the one that is read again
		}
	}
}

// arriving returns a fragment that is told of, or nil. Nothing is told of a fragment that was returned or given up, while reading skips to the
// newest fragment, as this one may then be skipped, and before the fragment in front of this one was returned.
func (l *Live) arriving(f *media.Fragment) *media.Fragment {
	if l.seen(f.Number) || l.toNow || l.held != nil || l.begun.number != "" && l.begun.number != f.Number {
		return nil
	}
	return f
}

// begin records what there is of a fragment that is read again.
func (l *Live) begin(number string, r result) {
	l.begun.number, l.begun.result = number, r
}

// giveUp queues what there is of the fragment that was to be read again: it does not come any more, as a later one has come, or none comes
// if number is empty.
func (l *Live) giveUp(number string) {
	b := l.begun
	if b.number == "" || l.seen(b.number) || number != "" && media.CompareNumbers(b.number, number) >= 0 {
		return
	}
	l.begin("", result{})
	if b.fragment != nil {
		l.accept(b.fragment)
		return
	}
	l.lose(b.number, b.err)
}

// interrupted closes the session and returns the error of a cancelled Next.
func (l *Live) interrupted(cause error) error {
	inside := false
	if s := l.sessions.source(); s != nil {
		inside = l.taken >= 0 && s.Stats().BytesRead > l.taken
	}
	l.hangUp()
	err := fmt.Errorf("read stream %s: %w", l.cfg.Stream, cause)
	switch {
	case l.toNow:
		return &UnfinishedError{Gap: payload.NewGap(l.cfg.Stream, "", errLeftOut, 0), Err: err}
	case l.begun.fragment != nil:
		return &UnfinishedError{Fragment: l.begun.fragment, Err: err}
	case inside:
		return &UnfinishedError{Gap: payload.NewGap(l.cfg.Stream, "", errSilent, 0), Err: err}
	}
	return err
}

// connect opens the next session when it is due.
func (l *Live) connect(ctx context.Context) {
	if wait.Sleep(ctx, l.delay) != nil || l.calls.wait(ctx) != nil {
		return
	}
	start := l.selector()
	session, err := l.dialer.Dial(ctx, start, l.refresh)
	switch {
	case ctx.Err() != nil:
		if err == nil {
			_ = session.Close() // it is not used
		}
	case err != nil:
		l.log.Debug("session refused", "start", start.Type, "error", err)
		l.failed(err)
		l.refused = true
		l.scheduleRedial()
	default:
		l.adopt(session, start)
	}
}

// adopt makes a session the current one.
func (l *Live) adopt(session Source, start StartSelector) {
	if !l.sessions.use(session) {
		return
	}
	l.refresh, l.flowed, l.delay = false, false, 0
	l.taken = 0
	l.noteStart(session)
	if l.refused { // a failure inside a session counts until a session returns something
		l.refused = false
		l.reach.Back(l.log)
	}
	if l.opened {
		l.reconnects.Add(1)
		l.log.Debug("stream opened again", "start", start.Type, "after", l.last)
		return
	}
	l.log.Info("stream opened", "start", start.Type)
	l.opened = true
}

// noteStart records when a session began.
func (l *Live) noteStart(session Source) {
	now := time.Now()
	at := now
	if s, ok := session.(interface{ OpenedAt() time.Time }); ok && !s.OpenedAt().IsZero() {
		at = s.OpenedAt()
		l.clockOffset = at.Sub(now)
	}
	l.position.noteStart(at)
}

// hangUp closes the session.
func (l *Live) hangUp() {
	if l.held != nil && !l.seen(l.held.Number) {
		l.begin(l.held.Number, result{fragment: l.held})
	}
	l.held = nil
	l.sessions.leave()
}

// handle processes a result of a session.
func (l *Live) handle(f *media.Fragment, err error) {
	var gap *media.GapError
	if err != nil {
		l.taken = -1
	} else {
		l.notePassed(f)
		if l.taken >= 0 {
			l.taken += int64(len(f.MKV))
		}
	}
	switch {
	case err == nil && f.Damage != "" && !l.seen(f.Number) && l.trouble.again(f.Number, anywhere):
		// The damage may have happened in transit, and the fragment be whole when it is read again.
		l.release()
		l.log.Warn("fragment is damaged, reading it again", "fragment", f.Number, "error", f.Damage)
		l.remember(f)
		l.hangUp()
		l.begin(f.Number, result{fragment: f})
		l.scheduleRedial()
	case err == nil:
		l.release()
		if f.Damage == "" && (f.Cut || f.ContinuationToken == "") {
			l.held = f
			return
		}
		l.accept(f)
	case errors.Is(err, payload.ErrCutHeader):
		// The end of the session comes next, and the next session reads the fragment again.
	case errors.As(err, &gap):
		l.release()
		l.handleGap(gap)
	default:
		l.sessionOver(err)
	}
}

// release accepts the held fragment: it is whole, as more follows it.
func (l *Live) release() {
	if f := l.held; f != nil {
		l.held = nil
		l.accept(f)
	}
}

// accept queues a fragment for Next, unless Next already returned it.
func (l *Live) accept(f *media.Fragment) {
	if l.seen(f.Number) {
		if _, other := l.recent.compare(f); other {
			l.reportGap(f.Number, errConflict)
			return
		}
		l.log.Debug("fragment dropped, it was already read", "fragment", f.Number, "after", l.last)
		return
	}
	l.giveUp(f.Number)
	if l.idle {
		l.log.Info("stream active again", "fragment", f.Number, "producer_time", f.ProducerTime)
	}
	from, how := l.clock.follow(f)
	switch {
	case l.toNow && how == noJump && !from.IsZero(): // nothing was between the two
	case l.toNow:
		l.endSkip(f.Place(), from)
	case how == jumpAhead && l.unsure:
		l.reportGap("", fmt.Errorf("no media from %s to %s, before fragment %s: %w", stamp(from), stamp(f.ProducerTime), f.Number, errOutage))
	case how == jumpAhead:
		l.pauses.Add(1)
		l.log.Info("producer has paused", "from", stamp(from), "to", stamp(f.ProducerTime), "fragment", f.Number)
	case how == jumpBack:
		l.log.Debug("the producer's clock went back", "from", stamp(from), "to", stamp(f.ProducerTime), "fragment", f.Number)
	}
	l.recent.note(f)
	l.noteLag(f)
	l.ready = append(l.ready, result{fragment: f})
	l.advance(f.Number)
	l.lastServer = f.ServerTime
	l.unsure, l.idle = false, false
	l.reach.Back(l.log)
}

// stamp formats a time for log messages, to the millisecond.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// advance makes a fragment the last one that was returned or given up.
func (l *Live) advance(number string) {
	l.position.advance(number)
	l.begin("", result{})
	l.trouble, l.flowed, l.fruitless = trouble{}, true, 0
}

// reportGap queues a gap, one for each number.
func (l *Live) reportGap(number string, cause error) {
	if number != "" && number == l.lost {
		return
	}
	l.lost = number
	l.ready = append(l.ready, result{err: payload.NewGap(l.cfg.Stream, number, cause, 0)})
}

// sessionOver is called when the session has ended with err.
func (l *Live) sessionOver(err error) {
	held, place := l.held, l.sessions.source().Stats().BytesRead
	l.hangUp()
	// An error about the fragment itself is counted by that fragment's failures.
	if held != nil && !l.seen(held.Number) && held.Number != fragmentOf(err) {
		if l.trouble.again(held.Number, place) {
			l.log.Debug("session ended inside a fragment, reading it again", "fragment", held.Number)
			l.remember(held)
		} else {
			l.accept(held)
		}
	}
	var tag *payload.ErrorTag
	if errors.Is(err, io.EOF) {
		l.failing.what = ""
		l.reach.Back(l.log)
		l.ended()
	} else {
		l.failed(err)
	}
	if errors.As(err, &tag) {
		l.flowed = false // after an error of the service there is always a delay
	}
	l.scheduleRedial()
}

// ended logs that the service ended a session.
func (l *Live) ended() {
	if l.flowed || l.idle {
		l.log.Debug("session ended, opening the next one", "after", l.last)
		return
	}
	l.idle = true
	l.log.Info("stream is idle, waiting for media", "after", l.last)
}

// scheduleRedial sets the delay before the next call.
func (l *Live) scheduleRedial() {
	if l.flowed {
		l.delay, l.flowed = 0, false
		return
	}
	l.delay = backoff(l.fruitless)
	l.fruitless++
}

// Stats implements Source, over all sessions. An error of the service counts until a session is open again, or for an
// error inside a session, until a session returns something.
func (l *Live) Stats() Stats {
	return Stats{
		BytesRead:  l.sessions.stats().BytesRead,
		Reconnects: int(l.reconnects.Load()),
		Pauses:     int(l.pauses.Load()),
		Lag:        time.Duration(l.lag.Load()),
		Reach:      l.reach.Reach(),
	}
}

// Close implements Source.
func (l *Live) Close() error { return l.sessions.close() }
