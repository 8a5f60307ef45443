package kvs

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/kvsframes/kvsframes/internal/wait"
	"github.com/kvsframes/kvsframes/source"
	"github.com/kvsframes/kvsframes/source/payload"
)

// maxReady is the number of batches that may wait to be returned.
const maxReady = 64

// maxUnreached is how often in a row the first call may fail because the service cannot be reached: until a
// call succeeds, the settings may be wrong.
const maxUnreached = 5

// hints hold advice for the user about a refusal, where source.Hint has none.
var hints = map[string]string{
	source.CodeNoRetention:   "the stream keeps no data; set a data retention period, and read data ingested after that",
	"NotAuthorizedException": "the archive needs kinesisvideo:ListFragments and kinesisvideo:GetMediaForFragmentList",
	"AccessDeniedException":  "the archive needs kinesisvideo:ListFragments and kinesisvideo:GetMediaForFragmentList",
	codeInvalid:              "fragment numbers must be of this stream",
}

// schedule lists the range and starts to fetch its batches, one after the other, as room becomes free.
func (a *archive) schedule(ctx context.Context) {
	defer close(a.order)
	windows := make(chan listing)
	listing, enough := context.WithCancel(ctx)
	defer enough()
	a.workers.Go(func() { a.listAll(listing, windows) })
	for w := range windows {
		if w.err != nil {
			failed := a.newBatch(nil, "")
			failed.out <- answer{err: w.err, fatal: true}
			close(failed.out)
			a.push(ctx, failed)
			return
		}
		for len(w.fragments) > 0 {
			most, err := a.quota.room(ctx, w.fragments[:min(len(w.fragments), a.cfg.BatchSize)])
			if err != nil || most == 0 {
				return
			}
			n, bytes := a.cutBatch(w.fragments[:most])
			if a.room.acquire(ctx, bytes) != nil {
				return
			}
			a.quota.ask(w.fragments[:n])
			b := a.newBatch(w.fragments[:n], w.first)
			b.counted = true
			w.fragments = w.fragments[n:]
			if !a.push(ctx, b) {
				return
			}
			a.workers.Go(func() { a.work(ctx, b) })
		}
	}
}

// push queues a batch for Next.
func (a *archive) push(ctx context.Context, b *batch) bool {
	select {
	case a.order <- b:
		return true
	case <-ctx.Done():
		return false
	}
}

// cutBatch returns the number of fragments in the next batch, and their cost: a share of MaxInFlight for each
// connection, up to BatchSize fragments.
func (a *archive) cutBatch(fragments []ArchivedFragment) (n int, bytes int64) {
	share := int64(a.cfg.MaxInFlight) / int64(a.cfg.Connections+1)
	for _, f := range fragments {
		if n == a.cfg.BatchSize || n > 0 && bytes+cost(f) > share {
			break
		}
		n++
		bytes += cost(f)
	}
	return n, bytes
}

// listAll lists all windows. It is one window ahead of the one being fetched.
func (a *archive) listAll(ctx context.Context, out chan<- listing) {
	defer close(out)
	var last listing
	for window := range a.listings(ctx) {
		select {
		case out <- window:
			last = window
		case <-ctx.Done():
			return
		}
	}
	if n := len(last.fragments); n > 0 && last.err == nil {
		a.extent.listed(last.fragments[n-1].at(a.within.Clock))
	}
}

// serviceNow returns the time by the service's clock.
func (a *archive) serviceNow(ctx context.Context) (time.Time, error) {
	var tries tries
	for {
		endpoint, err := a.api.endpoint(ctx, &a.api.list)
		if err == nil {
			return a.api.now(), nil
		}
		if err := a.again(ctx, &tries, failure{err, &a.api.list, endpoint, a.lists}); err != nil {
			return time.Time{}, err
		}
	}
}

// lookUp fetches a fragment and returns its clocks; they are zero if the archive no longer has it.
func (a *archive) lookUp(ctx context.Context, number string) (source.Place, error) {
	b := a.newBatch([]ArchivedFragment{{Number: number}}, "")
	b.items[0].cost = 0
	a.work(ctx, b)
	r, ok := <-b.out
	var refused *Error
	a.room.release(r.cost)
	switch {
	case !ok:
		return source.Place{}, ctx.Err()
	case r.fatal:
		return source.Place{}, r.err
	case errors.As(r.err, &refused) && refused.Code == codeInvalid:
		return source.Place{}, a.fatal(refused, source.Verdict{})
	case r.err != nil:
		a.log.Warn("the fragment to start after no longer exists, reading starts at the oldest one", "fragment", number, "error", r.err)
		return source.Place{Number: number}, nil
	}
	return source.Place{Number: number, ProducerTime: r.fragment.ProducerTime, ServerTime: r.fragment.ServerTime}, nil
}

// answered records that the service works.
func (a *archive) answered() {
	a.reached.Store(true)
	a.hear(time.Now())
	a.reach.Back(a.log)
}

// tries counts consecutive calls that failed in the same way.
type tries struct {
	kind  string
	times int
	// answered is the number of successful calls of the operation at the time of the last failure.
	answered int
}

// failure describes a failed call: its operation, its endpoint, and where its calls are counted.
type failure struct {
	err      error
	plane    *plane
	endpoint *url.URL
	points   *points
}

// again waits until a failed call may be repeated. It returns an error if it must not be.
func (a *archive) again(ctx context.Context, t *tries, r failure) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	v, kind := source.VerdictOf(r.err), "connection lost"
	var coded interface{ ErrorCode() string }
	if errors.As(r.err, &coded) {
		kind = coded.ErrorCode()
	}
	if kind == source.CodeNoRetention {
		v = source.Verdict{Class: source.ClassFatal}
	}
	if v.Refresh {
		a.api.stale(ctx, r.plane, r.endpoint, r.err)
	}
	if answered := r.points.count(); t.kind != kind || t.answered != answered {
		*t = tries{kind: kind, answered: answered}
	}
	t.times++
	limit := v.Tries
	if limit == 0 && coded == nil && !a.reached.Load() {
		limit = maxUnreached
	}
	if v.Class != source.ClassRetry || limit > 0 && t.times > limit {
		return a.fatal(r.err, v)
	}
	a.reach.Lost(r.err)
	a.log.Warn("retrying after error", "times", t.times, "error", r.err)
	if kind == throttled {
		r.points.throttled(a.pace)
		return nil
	}
	return wait.Sleep(ctx, a.pace.backoff(a.pace.retry, t.times-1))
}

// fatal returns the error that ends reading.
func (a *archive) fatal(err error, v source.Verdict) error {
	err = fmt.Errorf("read archive of stream %s: %w", a.id.name, err)
	var tag *payload.ErrorTag
	var coded interface{ ErrorCode() string }
	switch {
	case errors.As(err, &tag) && v.Hint != "":
		return fmt.Errorf("%w: %s", err, v.Hint)
	case errors.As(err, &coded) && hints[coded.ErrorCode()] != "":
		return fmt.Errorf("%w: %s", err, hints[coded.ErrorCode()])
	}
	return err
}
