package checkpoint

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/kvsframes/kvsframes/internal/logging"
	"github.com/kvsframes/kvsframes/internal/wait"
)

// DefaultTerm is how long an owner of a Lease may be silent, unless NewLease is told another time.
const DefaultTerm = 30 * time.Second

const (
	// renewals is how often an owner writes in one term.
	renewals = 3
	// looks is how often a process that wants to become the owner reads in one term.
	looks = 15
)

// Lease is a Store in a Register. There is nothing that could lock it, so the owner writes at least three times in each
// term. A process that starts takes the checkpoint over if its owner has released it, or if nothing was written for
// a term, by the clock of the process that starts: clocks of different machines are not compared.
type Lease struct {
	register Register
	term     time.Duration
	log      *slog.Logger
}

var _ Store = (*Lease)(nil)

// NewLease returns the checkpoint in a register. A term of 0 means DefaultTerm; a nil log is silent.
func NewLease(r Register, term time.Duration, log *slog.Logger) *Lease {
	if term <= 0 {
		term = DefaultTerm
	}
	return &Lease{register: r, term: term, log: logging.OrSilent(log)}
}

// Acquire implements Store. It waits for a term if the last owner has not released the checkpoint.
func (l *Lease) Acquire(ctx context.Context, forget bool) (Checkpoint, error) {
	var first string // the first tag
	var seen time.Time
	for {
		asked := time.Now()
		old, tag, err := l.read(ctx)
		if err != nil && (tag == "" || !forget) {
			return nil, err
		}
		if seen.IsZero() {
			first, seen = tag, time.Now()
		}
		silent := tag == first && asked.Sub(seen) >= l.term
		switch free := tag == "" || err != nil || old.Released || silent; {
		case free:
			if owned, err := l.take(ctx, old.next(forget), tag); owned != nil || err != nil {
				return owned, err
			}
			continue // somebody else has written in between
		case tag != first:
			return nil, &OwnedError{Place: l.register.Name(), Owner: old.by()}
		case asked.Before(seen):
			l.log.InfoContext(ctx, "the last owner of the checkpoint has not released it: waiting whether it is still there", "checkpoint", l.register.Name(), "owner", old.by(), "term", l.term.String())
		}
		if err := wait.Sleep(ctx, l.term/looks); err != nil {
			return nil, err
		}
	}
}

// read returns the stored checkpoint, its zero value for none, with its tag. An error with a tag is one of the content.
func (l *Lease) read(ctx context.Context) (record, string, error) {
	data, tag, err := l.register.Read(ctx, MaxSize)
	if err != nil || tag == "" {
		return record{}, tag, err
	}
	r, err := decode(l.register.Name(), data)
	return r, tag, err
}

// take makes this process the owner, if the tag is still the given one. Otherwise it returns nil.
func (l *Lease) take(ctx context.Context, r record, tag string) (Checkpoint, error) {
	o := &ownedLease{lease: l, turn: make(chan struct{}, 1), ownership: newOwnership(l.register.Name()), renewed: make(chan struct{}), record: r, tag: tag}
	switch err := o.swap(ctx, r); {
	case o.failure != nil:
		return nil, nil
	case err != nil:
		return nil, err
	}
	renewing, stop := context.WithCancel(context.WithoutCancel(ctx))
	o.stop = stop
	o.renewer.Go(func() { o.renew(renewing) })
	return o, nil
}

// ownedLease is a Lease that the process owns.
type ownedLease struct {
	lease *Lease
	stop  context.CancelFunc
	// renewer is the goroutine that writes while there is nothing to save.
	renewer sync.WaitGroup
	// turn has one place, for the goroutine that writes. It guards record, of which the serial number counts what failed, too,
	// and the tag of the object.
	turn   chan struct{}
	record record
	tag    string

	ownership // whose lock guards what follows
	// confirmed is when the last write that succeeded began. Until a term later nobody else takes over. renewed is closed
	// at the next one.
	confirmed time.Time
	renewed   chan struct{}
}

// State implements Checkpoint.
func (o *ownedLease) State() []byte { return o.record.state() }

// Save implements Checkpoint.
func (o *ownedLease) Save(ctx context.Context, state []byte) error {
	return o.write(ctx, func(r *record) { r.State = state })
}

// write writes a changed record, when no other write is in progress.
func (o *ownedLease) write(ctx context.Context, change func(*record)) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case o.turn <- struct{}{}:
	}
	defer func() { <-o.turn }()
	if err := o.known(); err != nil {
		return err
	}
	next := o.record
	change(&next)
	return o.swap(ctx, next)
}

// swap makes next the record. A write that is refused is looked at: if it is this owner's, its answer was lost.
func (o *ownedLease) swap(ctx context.Context, next record) error {
	const tries = 5 // each finds an earlier write of our own, of which there are few
	for range tries {
		o.record.Serial++
		next.Serial = o.record.Serial
		data, err := next.encode()
		if err != nil {
			return fmt.Errorf("write checkpoint %s: %w", o.place, err)
		}
		begun := time.Now()
		tag, swapped, err := o.lease.register.Swap(ctx, data, o.tag)
		if err != nil {
			return fmt.Errorf("write checkpoint: %w", err)
		}
		if !swapped {
			var now record
			if now, tag, err = o.lease.read(ctx); err != nil && tag == "" {
				return fmt.Errorf("write checkpoint: %w", err)
			}
			if !now.isOf(next) {
				return o.lose(now)
			}
			swapped = now.Serial == next.Serial
		}
		if o.tag = tag; swapped {
			o.record = next
			o.confirm(begun)
			return nil
		}
	}
	return fmt.Errorf("write checkpoint %s: it changes again and again", o.place)
}

// confirm records that the process was the owner at a time.
func (o *ownedLease) confirm(at time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.confirmed = at
	close(o.renewed)
	o.renewed = make(chan struct{})
}

// Confirm implements Checkpoint. After a term in which nothing could be written, it waits for the next write.
func (o *ownedLease) Confirm(ctx context.Context) error {
	for {
		o.mu.Lock()
		failure, fresh, renewed := o.failure, time.Since(o.confirmed) < o.lease.term, o.renewed
		o.mu.Unlock()
		if failure != nil || fresh {
			return failure
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-o.lost:
		case <-renewed:
		}
	}
}

// renew writes the record again and again, until ctx ends or the checkpoint is lost.
func (o *ownedLease) renew(ctx context.Context) {
	each := o.lease.term / renewals
	ticker := time.NewTicker(each)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.lost:
			return
		case <-ticker.C:
		}
		if o.age() < each/2 { // it was just saved
			continue
		}
		limited, cancel := context.WithTimeout(ctx, o.lease.term)
		err := o.write(limited, func(*record) {})
		cancel()
		if err != nil && ctx.Err() == nil && o.known() == nil {
			o.lease.log.WarnContext(ctx, "the checkpoint could not be renewed, which is tried again", "error", err)
		}
	}
}

// age returns how long ago the last write began.
func (o *ownedLease) age() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	return time.Since(o.confirmed)
}

// Release implements Checkpoint.
func (o *ownedLease) Release(ctx context.Context) error {
	o.stop()
	o.renewer.Wait()
	if o.known() != nil {
		return nil
	}
	err := o.write(ctx, func(r *record) { r.Released = true })
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failure == nil {
		o.failure = errReleased
	}
	return err
}
