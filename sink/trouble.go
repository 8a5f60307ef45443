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
)

// RetryFor is how long a sink retries after temporary failures of its store. The zero value, auto, is no limit
// for live streams, which lose what is not read in time, and 15 minutes for others, which lose nothing when
// they fail.
type RetryFor struct {
	limit time.Duration
	set   bool
}

// NewRetryFor returns a RetryFor of the given duration. With 0 there are no retries.
func NewRetryFor(limit time.Duration) RetryFor { return RetryFor{limit: max(0, limit), set: true} }

// autoLimit is the duration of auto for streams that have an end.
const autoLimit = 15 * time.Minute

// within reports whether calls are still retried after failures that have lasted for d.
func (r RetryFor) within(d time.Duration, endless bool) bool {
	switch {
	case r.set:
		return d < r.limit
	case endless:
		return true
	}
	return d < autoLimit
}

// UnmarshalText reads a duration, or auto.
func (r *RetryFor) UnmarshalText(text []byte) error {
	if string(text) == "auto" {
		*r = RetryFor{}
		return nil
	}
	d, err := time.ParseDuration(string(text))
	if err != nil || d < 0 {
		return fmt.Errorf("%q is not a time to wait: write auto or a duration such as 10m", text)
	}
	*r = NewRetryFor(d)
	return nil
}

// Syntax describes a valid value, for error messages.
func (RetryFor) Syntax() string { return "auto or a duration such as 10m" }

// MarshalText returns text that UnmarshalText reads.
func (r RetryFor) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// String returns auto, or the duration.
func (r RetryFor) String() string {
	if !r.set {
		return "auto"
	}
	return r.limit.String()
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
	err    error     // the last failure; nil while the store works
	since  time.Time // of the first failure
	logged time.Time
	over   chan struct{} // closed when a call succeeds
}

// failed records a failure and returns a channel that is closed when another call has succeeded.
func (t *trouble) failed(ctx context.Context, err error) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	switch {
	case t.err == nil:
		t.since, t.logged, t.over = now, now, make(chan struct{})
		t.log.WarnContext(ctx, "the destination has a temporary failure: waiting for it", "error", err)
	case now.Sub(t.logged) >= time.Minute:
		t.logged = now
		t.log.WarnContext(ctx, "still waiting for the destination", "for", now.Sub(t.since).Truncate(time.Second).String(), "error", err)
	}
	t.err = err
	return t.over
}

// passed records that a call has succeeded.
func (t *trouble) passed(ctx context.Context) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		return
	}
	t.err = nil
	close(t.over)
	t.log.InfoContext(ctx, "the destination works again", "after", time.Since(t.since).Truncate(time.Millisecond).String())
}

// Trouble returns the temporary failure that the sink is waiting for, and since when; nil when there is none.
func (s *Sink) Trouble() (since time.Time, err error) {
	t := &s.trouble
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.since, t.err
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
		if !s.config.Destination.RetryFor.within(waited, s.endless) {
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
