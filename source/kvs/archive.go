package kvs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/setting"
	"github.com/kvsframes/kvsframes/source"
	"github.com/kvsframes/kvsframes/source/payload"
)

// extent is a part of an archive.
type extent struct {
	// Start and End bound the extent, End exclusive. Zero is the oldest fragment, or the newest one at the time of
	// the first call. A fragment that contains Start is read, with Start as its From; all fragments have End as
	// their Until.
	Start, End time.Time
	// Clock is the clock of Start and End.
	Clock media.Clock
	// After is the fragment after which reading starts, if it has a number. Its clocks are looked up if they
	// are zero.
	After source.Place
	// Fragments ends reading after this number of fragments, Length before the first one that begins this long
	// or longer after the first. Lost fragments do not count; 0 is no limit. With Onward, one fragment beyond
	// the length is read.
	Fragments int
	Length    time.Duration
	// Onward reads what GetMedia would read from the first fragment of the range on: all fragments with greater
	// numbers, whatever their producer times. It ends shortly before the newest fragment, where the listing is
	// certainly complete. End is not used.
	Onward bool
}

// rangeOf returns the range in the settings. Mode auto reads onward.
func rangeOf(c Config) extent {
	// A listing has no tags, and no fragments that another reader has read.
	if len(c.Tags) > 0 || c.From.Wanted > 0 {
		c.End.Fragments, c.End.Duration = 0, 0
	}
	return extent{
		Start:  c.Start.Timestamp,
		End:    c.End.Timestamp,
		Clock:  c.Start.Clock(),
		After:  source.Place{Number: c.Start.AfterFragmentNumber},
		Onward: c.Mode == source.ModeAuto,

		Fragments: c.End.Fragments,
		Length:    c.End.Duration,
	}
}

// validate returns all problems of the range, each a *setting.Error.
func (r extent) validate() error {
	var p setting.Problems
	check := func(ok bool, path, problem string) {
		if !ok {
			p.Add(path, "%s", problem)
		}
	}
	check(r.Clock == media.ClockProducer || r.Clock == media.ClockServer, "range.clock", "must be producer or server")
	check(r.End.IsZero() || r.Start.Before(r.End), "range.end", "must be after range.start")
	check(r.After.Number == "" || payload.IsFragmentNumber(r.After.Number), "range.after", "must be a fragment number")
	return p.Err()
}

// archive reads stored fragments. It lists a range window by window, and requests the media in batches, several at a
// time. It is a source of the fragments of the range, each once and in order.
//
// Fragments are ordered hour by hour, by the range's clock, and within each hour by their numbers, which is the
// order in which they reached KVS. So any two runs have the same order. It is the order of the numbers
// throughout unless the producer's clock jumps by hours. An onward range uses the server's clock and always has
// the order of the numbers.
//
// A fragment that an answer lacks is requested again: at once if a broken connection cut it off, after a
// growing delay if the archive does not have it (yet). A fragment that is still missing after 5 tries in about
// 10 s becomes a gap in its place. A throttled call delays all others. source.VerdictOf decides which errors
// are retried, and which end reading.
//
// Stats and Close may be called while Next is waiting, which Close ends.
type archive struct {
	id     streamID
	cfg    Config
	within extent
	log    *slog.Logger
	api    *archiveAPI
	pace   tempo
	// media and lists limit the rate of calls, room bounds the media requested ahead.
	media, lists *points
	room         *budget
	quota        *quota
	slots        chan struct{}
	bytes        atomic.Int64
	extent       known
	// reached reports whether the service has ever answered.
	reached atomic.Bool
	reach   source.Reaching
	// refused counts the consecutive fragments that were refused one by one.
	refused atomic.Int64
	// waiting reports whether Next is waiting. heard is the latest of three times, in nanoseconds since 1970:
	// when Next began to wait, when the service last sent something, and when a pause of this reader ends.
	waiting atomic.Bool
	heard   atomic.Int64

	life    context.Context // a signal to end, not the context of a call
	end     context.CancelFunc
	mu      sync.Mutex
	started bool
	workers sync.WaitGroup
	order   chan *batch

	// Only the goroutine that calls Next uses the following fields.
	current *batch
	over    error
}

var _ source.Source = (*archive)(nil)

// newArchive returns a reader that has made no call yet. Refusals of KVS are *Error.
func newArchive(cfg Config, within extent) (*archive, error) {
	const doing = "open archive of stream"
	setDefault(&within.Clock, media.ClockProducer)
	cfg, id, err := cfg.complete(doing)
	if err != nil {
		return nil, err
	}
	if err := within.validate(); err != nil {
		return nil, fmt.Errorf("%s %s: %w", doing, id.name, err)
	}
	a := &archive{
		id: id, cfg: cfg, within: within, log: cfg.Log.With("stream", id.name),
		api:   newArchiveAPI(id, cfg),
		pace:  usualTempo,
		media: newPoints(mediaRate, mediaBurst),
		lists: newPoints(listRate, listBurst),
		room:  newBudget(int64(cfg.MaxInFlight)),
		quota: &quota{},
		slots: make(chan struct{}, cfg.Connections),
		order: make(chan *batch, maxReady),
	}
	if len(cfg.Fragments) == 0 {
		a.quota = newQuota(within)
	}
	a.life, a.end = context.WithCancel(context.Background())
	return a, nil
}

// begin starts reading ahead. Only the first call has an effect.
func (a *archive) begin() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.started || a.life.Err() != nil {
		return
	}
	a.started = true
	a.workers.Go(func() { a.schedule(a.life) })
}

// Next implements source.Source. After ctx was cancelled, it may be called again with another context.
func (a *archive) Next(ctx context.Context) (*media.Fragment, error) {
	a.begin()
	a.hear(time.Now())
	a.waiting.Store(true)
	defer a.waiting.Store(false)
	for {
		switch {
		case a.over != nil:
			return nil, a.over
		case a.life.Err() != nil:
			return nil, fmt.Errorf("read archive of stream %s: %w", a.id.name, fs.ErrClosed)
		case ctx.Err() != nil:
			return nil, fmt.Errorf("read archive of stream %s: %w", a.id.name, ctx.Err())
		}
		order, coming := a.order, (chan answer)(nil)
		if a.current != nil { // its answers come first
			order, coming = nil, a.current.out
		}
		select {
		case <-ctx.Done():
		case <-a.life.Done():
		case b, ok := <-order:
			if a.current = b; !ok && a.life.Err() == nil {
				a.finish(io.EOF)
			}
		case r, ok := <-coming:
			switch {
			case !ok:
				a.current = nil
			case r.fatal:
				a.finish(r.err)
			default:
				a.room.release(r.cost)
				if r.fragment != nil {
					a.extent.read(r.fragment.At(a.within.Clock))
				}
				return a.trim(r), r.err
			}
		}
	}
}

// trim returns the fragment of an answer with From and Until set to the bounds of the range.
func (a *archive) trim(r answer) *media.Fragment {
	f, in := r.fragment, a.within
	if f == nil || len(a.cfg.Fragments) > 0 {
		return f
	}
	if r.straddles && f.At(in.Clock).Before(in.Start) {
		f.From, f.Clock = in.Start, in.Clock
	}
	if !in.Onward && !in.End.IsZero() {
		f.Until, f.Clock = in.End, in.Clock
	}
	return f
}

// finish ends the reading with err, which every later Next returns.
func (a *archive) finish(err error) {
	a.over = err
	a.end()
}

// errSilent is the error of a service that neither answers nor refuses.
var errSilent = errors.New("no answer")

// Stats implements source.Source. Until the whole range has arrived, the service should answer: silence
// counts as an error.
func (a *archive) Stats() source.Stats {
	stats := source.Stats{BytesRead: a.bytes.Load(), Reach: a.reach.Reach(), Share: a.extent.share()}
	if stats.Reach.Err == nil && a.waiting.Load() {
		stats.Reach = source.Reach{Since: time.Unix(0, a.heard.Load()), Err: errSilent}
	}
	return stats
}

// hear records that no answer was expected from the service before the given time.
func (a *archive) hear(until time.Time) {
	at := until.UnixNano()
	for old := a.heard.Load(); old < at && !a.heard.CompareAndSwap(old, at); {
		old = a.heard.Load()
	}
}

// Close implements source.Source. When it returns, all connections are closed.
func (a *archive) Close() error {
	a.mu.Lock()
	a.end()
	a.mu.Unlock()
	a.workers.Wait()
	a.api.close()
	return nil
}
