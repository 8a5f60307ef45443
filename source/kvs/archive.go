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

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source"
	"github.com/kvsframes/kvsframes/source/payload"
)

// ArchiveConfig says what is read of a stream's archive.
type ArchiveConfig struct {
	// Stream is the name or the ARN of the stream. The region of an ARN goes
	// before the region of the AWS configuration.
	Stream string
	// As is the name that the stream goes by; "" is its own.
	As string
	// EndpointURL is the control plane's endpoint; "" is the region's own.
	EndpointURL string
	// Range says which fragments are read.
	Range Range
	// Fragments are the numbers of the fragments to read, and no others; Range is
	// not used with them.
	Fragments []string
	// MaxFragmentSize is the largest fragment that is taken into memory, in bytes.
	MaxFragmentSize source.Size
	// Connections is how many answers are read at once. KVS serves 5 for a stream,
	// of all consumers together (Developer Guide, Quotas).
	Connections int
	// BatchSize is how many fragments one call asks for at most.
	BatchSize int
	// MaxInFlight is how many bytes are asked for ahead of what was handed on, as
	// the listing tells their sizes.
	MaxInFlight source.Size
	// HeaderTimeout is how long the first byte of an answer may take.
	HeaderTimeout time.Duration
	// StallTimeout is how long an answer may stay without a byte while it is read.
	StallTimeout time.Duration
}

// Range is a part of an archive.
type Range struct {
	// Start and End bound it, End exclusive. Zero is the oldest fragment, and the
	// newest one at the time of the first call. A fragment that Start lies in is
	// read and bears it as its From; all bear End as their Until.
	Start, End time.Time
	// Clock is the clock of Start and End; "" is the producer's.
	Clock media.Clock
	// After is the fragment after which reading starts, if it has a number. Where its
	// clocks are not known they are looked up.
	After source.Place
	// Fragments and Length end the reading after so many fragments, and before the first
	// one that begins so long or longer after the first; lost ones do not count. 0 is no
	// such end. Onward, one fragment beyond the length is read.
	Fragments int
	Length    time.Duration
	// Onward reads what GetMedia would, from the first fragment of the range on: all
	// that came after it, by number, whatever the producer's clock says. It ends
	// shortly before the newest fragment, where the listing is sure to be complete.
	// End is not used.
	Onward bool
}

// The bounds of ArchiveConfig. Batches are no larger than what the budget of KVS gives in a
// fifth of a second.
const (
	maxConnections = 16
	maxBatch       = 100
)

// DefaultArchiveConfig returns the settings of a reader that says only its stream: all
// that is there.
func DefaultArchiveConfig() ArchiveConfig {
	session := DefaultConfig()
	return ArchiveConfig{
		Range:           Range{Clock: media.ClockProducer},
		MaxFragmentSize: session.MaxFragmentSize,
		Connections:     5,
		BatchSize:       50,
		MaxInFlight:     128 << 20,
		HeaderTimeout:   session.HeaderTimeout,
		StallTimeout:    session.StallTimeout,
	}
}

// RangeOf returns the range that the settings of a source name. mode auto reads onward.
func RangeOf(c source.Config) Range {
	if len(c.FragmentTags) > 0 { // the listing does not tell tags
		c.End.Fragments, c.End.Duration = 0, 0
	}
	return Range{
		Start:  c.StartSelector.Timestamp,
		End:    c.End.Timestamp,
		Clock:  c.EndClock(),
		After:  source.Place{Number: c.StartSelector.AfterFragmentNumber},
		Onward: c.Mode == source.ModeAuto,

		Fragments: c.End.Fragments,
		Length:    c.End.Duration,
	}
}

// Validate returns all that is wrong with the settings, each as a *media.FieldError.
func (c ArchiveConfig) Validate() error {
	var problems []error
	check := func(ok bool, path, problem string) {
		if !ok {
			problems = append(problems, &media.FieldError{Path: path, Problem: problem})
		}
	}
	checkTarget(check, c.Stream, c.EndpointURL)
	r := c.Range
	check(r.Clock == media.ClockProducer || r.Clock == media.ClockServer, "range.clock", "must be producer or server")
	check(r.End.IsZero() || r.Start.Before(r.End), "range.end", "must be after range.start")
	check(r.After.Number == "" || payload.IsFragmentNumber(r.After.Number), "range.after", "must be a fragment number")
	for i, n := range c.Fragments {
		check(payload.IsFragmentNumber(n), fmt.Sprintf("fragments[%d]", i), "must be a fragment number, 1 to 128 digits")
	}
	check(c.MaxFragmentSize > 0, "max_fragment_size", "must be above 0")
	check(c.Connections > 0 && c.Connections <= maxConnections, "connections", fmt.Sprintf("must be 1 to %d", maxConnections))
	check(c.BatchSize > 0 && c.BatchSize <= maxBatch, "batch_size", fmt.Sprintf("must be 1 to %d", maxBatch))
	check(c.MaxInFlight > 0, "max_in_flight", "must be above 0")
	check(c.HeaderTimeout > 0, "header_timeout", "must be above 0")
	check(c.StallTimeout > 0, "stall_timeout", "must be above 0")
	return errors.Join(problems...)
}

// withDefaults fills in what is zero.
func (c ArchiveConfig) withDefaults() ArchiveConfig {
	d := DefaultArchiveConfig()
	setDefault(&c.Range.Clock, d.Range.Clock)
	setDefault(&c.MaxFragmentSize, d.MaxFragmentSize)
	setDefault(&c.Connections, d.Connections)
	setDefault(&c.BatchSize, d.BatchSize)
	setDefault(&c.MaxInFlight, d.MaxInFlight)
	setDefault(&c.HeaderTimeout, d.HeaderTimeout)
	setDefault(&c.StallTimeout, d.StallTimeout)
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Archive reads stored fragments: it lists a range window by window, and asks for the
// media in batches, several at a time. It is a source of the fragments of the range,
// each once and in order.
//
// The order is the one of the numbers, which is that in which KVS took the fragments in,
// within each hour of the range's clock, hour after hour. It depends on nothing else,
// so that any two runs have the same; where the producer's clock does not jump by hours
// it is the order of the numbers throughout. An onward range goes by the server's clock
// and is in the order of the numbers always.
//
// What an answer does not bring is asked for again: at once what a broken connection
// has cut off, after a growing delay what the archive does not have (yet). A fragment
// that it still does not have after 5 tries in some 10 s becomes a gap, in its place.
// Throttles hold back all calls. Which errors are tried again, and which end the
// reading, is in the table of source.Judge.
//
// BytesRead and Close may be called while Next is waiting, which Close ends.
type Archive struct {
	id   streamID
	cfg  ArchiveConfig
	log  *slog.Logger
	api  *archiveAPI
	pace tempo
	// media and lists hold back the calls, room bounds what is asked for ahead.
	media, lists *points
	room         *budget
	quota        *quota
	slots        chan struct{}
	bytes        atomic.Int64
	// reached reports whether the service has answered once.
	reached atomic.Bool
	reach   source.Reaching
	// refused counts the fragments in a row that were refused one by one.
	refused atomic.Int64
	// waiting reports whether Next is, heard when it began to, the service has last sent
	// something or a pause of this reader ends, in nanoseconds since 1970.
	waiting atomic.Bool
	heard   atomic.Int64

	life    context.Context // a signal to end, not the context of a call
	end     context.CancelFunc
	mu      sync.Mutex
	started bool
	workers sync.WaitGroup
	order   chan *batch

	// The rest is of the goroutine that calls Next.
	current *batch
	over    error
}

var _ source.Source = (*Archive)(nil)

// NewArchive returns a reader, which has made no call yet. Zero fields of cfg are those of
// DefaultArchiveConfig. Refusals of KVS are *Error.
func NewArchive(awsCfg aws.Config, cfg ArchiveConfig, log *slog.Logger) (*Archive, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("open KVS archive: %w", err)
	}
	id, err := parseStream(cfg.Stream)
	if err != nil {
		return nil, err
	}
	id = id.as(cfg.As)
	awsCfg = awsCfg.Copy()
	if awsCfg.Region, err = regionFor(id, awsCfg); err != nil {
		return nil, fmt.Errorf("open archive of stream %s: %w", id.name, err)
	}
	if awsCfg.Credentials == nil {
		return nil, fmt.Errorf("open archive of stream %s: no AWS credentials are set up", id.name)
	}
	a := &Archive{
		id: id, cfg: cfg, log: log.With("stream", id.name),
		api:   newArchiveAPI(awsCfg, id, cfg),
		pace:  usualTempo,
		media: newPoints(mediaRate, mediaBurst),
		lists: newPoints(listRate, listBurst),
		room:  newBudget(int64(cfg.MaxInFlight)),
		quota: &quota{},
		slots: make(chan struct{}, cfg.Connections),
		order: make(chan *batch, maxReady),
	}
	if len(cfg.Fragments) == 0 {
		a.quota = newQuota(cfg.Range)
	}
	a.life, a.end = context.WithCancel(context.Background())
	return a, nil
}

// begin starts what reads ahead, once.
func (a *Archive) begin() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.started || a.life.Err() != nil {
		return
	}
	a.started = true
	a.workers.Go(func() { a.schedule(a.life) })
}

// Next implements source.Source. After the error of a cancelled ctx it may be called again.
func (a *Archive) Next(ctx context.Context) (*media.Fragment, error) {
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
		var coming <-chan answer
		if a.current != nil {
			coming = a.current.out
		}
		order := a.order
		if coming != nil {
			order = nil
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
				return a.trim(r), r.err
			}
		}
	}
}

// trim returns the fragment of an answer with the bounds of the range set in it.
func (a *Archive) trim(r answer) *media.Fragment {
	f, in := r.fragment, a.cfg.Range
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
func (a *Archive) finish(err error) {
	a.over = err
	a.end()
}

// errSilent is why an archive is out of reach that has not refused anything.
var errSilent = errors.New("no answer")

// Reach is how the archive stands with the service, which owes an answer until all of the
// range has come: silence is as bad as an error.
func (a *Archive) Reach() source.Reach {
	r := a.reach.Reach()
	if r.Err == nil && a.waiting.Load() {
		return source.Reach{Since: time.Unix(0, a.heard.Load()), Err: errSilent}
	}
	return r
}

// hear notes that nothing more was to be expected from the service until then.
func (a *Archive) hear(until time.Time) {
	at := until.UnixNano()
	for old := a.heard.Load(); old < at && !a.heard.CompareAndSwap(old, at); {
		old = a.heard.Load()
	}
}

// BytesRead implements source.Source. What was read twice counts twice.
func (a *Archive) BytesRead() int64 { return a.bytes.Load() }

// Close implements source.Source. When it returns, all connections are closed.
func (a *Archive) Close() error {
	a.mu.Lock()
	a.end()
	a.mu.Unlock()
	a.workers.Wait()
	a.api.close()
	return nil
}
