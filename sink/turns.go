package sink

import (
	"cmp"
	"context"
	"log/slog"
	"time"
)

// turns has calls of one stream follow each other. Of a live stream, a timer makes calls too: what has come to an end in silence.
type turns struct {
	// turn has room for one call.
	turn chan struct{}
	// live ends with cancel, and with the context of the calls: it is that of the timer. Both are nil before the timer is set.
	live   context.Context
	cancel context.CancelFunc
	timer  *time.Timer
	failed error // of the timer
	log    *slog.Logger
}

func newTurns(log *slog.Logger) turns { return turns{turn: make(chan struct{}, 1), log: log} }

// enter waits for the end of another call, and returns the timer's error. The caller must then call leave.
func (t *turns) enter(ctx context.Context) error {
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := cmp.Or(t.failed, ctx.Err()); err != nil {
		t.leave()
		return err
	}
	return nil
}

func (t *turns) leave() { <-t.turn }

// after sets the timer, which then calls do; always the same. All later calls return its error.
func (t *turns) after(ctx context.Context, d time.Duration, do func(context.Context) error) {
	if t.timer != nil {
		t.timer.Reset(d)
		return
	}
	t.live, t.cancel = context.WithCancel(ctx)
	t.timer = time.AfterFunc(d, func() {
		if t.enter(t.live) != nil {
			return
		}
		defer t.leave()
		if t.failed = do(t.live); t.failed != nil && t.live.Err() == nil {
			t.log.ErrorContext(t.live, "what a silent stream has left could not be written", "error", t.failed)
		}
	})
}

// stop has the timer do no more.
func (t *turns) stop() {
	if t.cancel != nil {
		t.cancel()
		t.timer.Stop()
	}
}

// end stops the timer, and returns when no call is in progress. No other may follow.
func (t *turns) end() {
	t.stop() // a call of the timer may wait
	t.turn <- struct{}{}
	t.leave()
}
