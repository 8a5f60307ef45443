package sink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"syscall"
	"time"

	"github.com/kvsframes/kvsframes/internal/wait"
	"github.com/kvsframes/kvsframes/media"
)

// autoRetry is what retry_for: auto stands for where streams have an end. Live streams lose what is not read in time, so for
// them trouble is waited for without end.
const autoRetry = 15 * time.Minute

// waitsFor reports whether trouble that has lasted for d is still waited for.
func (s *Sink) waitsFor(d time.Duration) bool {
	limit, set := s.config.Destination.RetryFor.Get()
	switch {
	case set:
		return d < limit
	case s.endless:
		return true
	}
	return d < autoRetry
}

// Passing reports whether the failure behind an error of a Store is temporary: the same call may succeed later,
// without a change of settings, permissions or programs. An error may state this by a method Passing() bool. Of
// the operating system's errors, a lack of space, files or memory is temporary.
func Passing(err error) bool {
	var knows interface{ Passing() bool }
	if errors.As(err, &knows) {
		return knows.Passing()
	}
	for _, passing := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ETIMEDOUT} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}

// Pauses between two tries of a call.
const (
	firstPause  = 250 * time.Millisecond
	longestWait = 20 * time.Second
	pauseShare  = 2 // a random part, up to half, of a pause is left out
)

// trouble is the state of a store that fails. All writers of a sink share it.
type trouble struct {
	log *slog.Logger

	mu     sync.Mutex
	reach  media.Reach // the last failure, and when the first one was; Err is nil while the store works
	logged time.Time
	over   chan struct{} // closed when a call succeeds
}

// failed records a failure and returns a channel that is closed when another call has succeeded.
func (t *trouble) failed(ctx context.Context, err error) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	switch {
	case t.reach.Err == nil:
		t.reach.Since, t.logged, t.over = now, now, make(chan struct{})
		t.log.WarnContext(ctx, "the destination has a temporary failure: waiting for it", "error", err)
	case now.Sub(t.logged) >= time.Minute:
		t.logged = now
		t.log.WarnContext(ctx, "still waiting for the destination", "for", now.Sub(t.reach.Since).Truncate(time.Second).String(), "error", err)
	}
	t.reach.Err = err
	return t.over
}

// passed records that a call has succeeded.
func (t *trouble) passed(ctx context.Context) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.reach.Err == nil {
		return
	}
	close(t.over)
	t.log.InfoContext(ctx, "the destination works again", "after", time.Since(t.reach.Since).Truncate(time.Millisecond).String())
	t.reach = media.Reach{Since: time.Now()}
}

// Reach states whether the store works. If not, Err is the temporary failure that the sink is waiting for.
func (s *Sink) Reach() media.Reach {
	s.trouble.mu.Lock()
	defer s.trouble.mu.Unlock()
	return s.trouble.reach
}

// persist makes a call of the store until it succeeds, fails permanently, or has failed temporarily for as long
// as the settings allow. The pauses between the tries grow. When another call succeeds, the next try follows at
// once. again reports whether an earlier try failed, and may have done its work all the same.
func (s *Sink) persist(ctx context.Context, call func(again bool) error) error {
	var first time.Time
	for try := 0; ; try++ {
		err := call(try > 0)
		switch {
		case err == nil:
			s.trouble.passed(ctx)
			return nil
		case ctx.Err() != nil || !Passing(err):
			return err
		case try == 0:
			first = time.Now()
		}
		waited := time.Since(first)
		if !s.waitsFor(waited) {
			if try > 0 {
				err = fmt.Errorf("%w (waited %v for it to pass, as destination.retry_for allows)", err, waited.Truncate(time.Millisecond))
			}
			return err
		}
		pause := time.NewTimer(wait.Backoff(firstPause, longestWait, try, pauseShare))
		select {
		case <-pause.C:
		case <-s.trouble.failed(ctx, err):
		case <-ctx.Done():
		}
		pause.Stop()
		if ctx.Err() != nil {
			return fmt.Errorf("%w (while waiting for: %w)", ctx.Err(), err)
		}
	}
}
