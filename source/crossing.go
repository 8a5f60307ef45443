package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"time"

	"github.com/kvsframes/kvsframes/internal/logging"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// Place is the position of a fragment in its stream.
type Place struct {
	// Number is the fragment's number; "" is before the first one.
	Number string
	// ProducerTime and ServerTime are its clocks, zero where they are not known.
	ProducerTime, ServerTime time.Time
}

// CodeNoRetention is the code of a refusal to read the archive of a stream that has
// none.
const CodeNoRetention = "NoDataRetentionException"

// CrossingConfig are the settings of a Crossing.
type CrossingConfig struct {
	// Stream is the stream's name, for logs and errors.
	Stream string
	// Start is where reading starts. It lies in the past.
	Start StartSelector
	// Archive returns the archive after a fragment; from Start on when the place has no
	// number. It ends where the archive was complete when it was first read. Its fragments
	// come in the order of their numbers.
	Archive func(after Place) (Source, error)
	// Live returns the live stream from start on.
	Live func(start StartSelector) Source
	// Log receives what happens; nil discards it.
	Log *slog.Logger
}

// The bounds of crossing over.
const (
	// longPass is how long a pass over the archive may take. After a longer one, what has
	// come in the meantime is read from the archive too, and not from the live stream.
	longPass = time.Minute
	// maxHeld is how many fragments in a row may be missing at the archive's end and
	// still be expected to arrive.
	maxHeld = 100
)

// Crossing is a Source that reads the archive of a stream up to its newest fragment and
// continues live. No fragment is lost or doubled: the live stream begins after the last
// fragment that was returned, by number.
//
// What arrives while the archive is being read is read from the archive too, pass by pass,
// until a pass takes less than a minute; GetMedia gives the rest. Gaps at the archive's
// very end are held back, as those fragments may still arrive. The live stream then either
// gives them or reports them missing.
//
// A stream that has no archive, or an empty one from Start on, is read live from Start.
type Crossing struct {
	cfg     CrossingConfig
	log     *slog.Logger
	sources *relay

	// The rest is used only by the goroutine that calls Next.
	live  bool
	ready []result
	over  error
	last  Place
	// held are the gaps at the archive's end, as far as it was read.
	held []*media.GapError
	// opened is when this pass began; brought reports whether it brought something.
	opened  time.Time
	brought bool
}

var _ Source = (*Crossing)(nil)

// NewCrossing returns a source that reads the archive and continues live. It opens the
// archive in its first Next.
func NewCrossing(cfg CrossingConfig) *Crossing {
	return &Crossing{cfg: cfg, log: logging.OrSilent(cfg.Log).With("stream", cfg.Stream), sources: newRelay()}
}

// Next implements Source.
func (c *Crossing) Next(ctx context.Context) (*media.Fragment, error) {
	for {
		switch {
		case c.sources.closed():
			return nil, fmt.Errorf("read stream %s: %w", c.cfg.Stream, fs.ErrClosed)
		case len(c.ready) > 0:
			r := c.ready[0]
			c.ready[0] = result{}
			c.ready = c.ready[1:]
			return r.fragment, r.err
		case c.over != nil:
			return nil, c.over
		}
		src := c.sources.source()
		if src == nil {
			c.open()
			continue
		}
		f, err := src.Next(ctx)
		switch {
		case c.live:
			return f, err
		case err != nil && ctx.Err() != nil:
			return nil, err
		default:
			c.handle(f, err)
		}
	}
}

// open opens the source to read next.
func (c *Crossing) open() {
	if c.live {
		c.sources.use(c.cfg.Live(c.liveStart()))
		return
	}
	c.opened, c.brought = time.Now(), false
	src, err := c.cfg.Archive(c.last)
	if err != nil {
		c.archiveOver(err)
		return
	}
	c.sources.use(src)
}

// liveStart is where the live stream begins.
func (c *Crossing) liveStart() StartSelector {
	if c.last.Number == "" {
		return c.cfg.Start
	}
	return StartSelector{Type: StartFragmentNumber, AfterFragmentNumber: c.last.Number}
}

// handle decides what to do with what the archive has brought.
func (c *Crossing) handle(f *media.Fragment, err error) {
	var gap *media.GapError
	switch {
	case err == nil:
		c.release(0)
		c.ready = append(c.ready, result{fragment: f})
		c.advance(Place{f.Number, f.ProducerTime, f.ServerTime})
	case errors.As(err, &gap):
		c.held = append(c.held, gap)
		c.release(maxHeld)
	default:
		c.archiveOver(err)
	}
}

// release queues the gaps that are held, except for the last few.
func (c *Crossing) release(keep int) {
	for len(c.held) > keep {
		gap := c.held[0]
		c.held = c.held[1:]
		c.ready = append(c.ready, result{err: gap})
		if gap.Gap.FragmentNumber != "" {
			// The clocks of the fragment before it tell where to continue.
			c.advance(Place{gap.Gap.FragmentNumber, c.last.ProducerTime, c.last.ServerTime})
		}
	}
}

// advance moves the last place ahead to p, never back.
func (c *Crossing) advance(p Place) {
	c.brought = true
	if c.last.Number == "" || payload.CompareNumbers(p.Number, c.last.Number) > 0 {
		c.last = p
	}
}

// archiveOver decides what follows after the archive has ended with err.
func (c *Crossing) archiveOver(err error) {
	var coded interface{ ErrorCode() string }
	c.sources.leave()
	switch {
	case errors.Is(err, io.EOF) && c.brought && time.Since(c.opened) >= longPass:
		c.held = nil
		c.log.Debug("reading the archive once more, for what has come in the meantime", "after", c.last.Number)
	case errors.Is(err, io.EOF):
		c.goLive("archive read up to its newest fragment, reading continues live")
	case errors.As(err, &coded) && coded.ErrorCode() == CodeNoRetention:
		c.goLive("stream has no archive, reading continues live")
	default:
		c.release(0)
		c.over = err
	}
}

// goLive continues with the live stream.
func (c *Crossing) goLive(why string) {
	c.live = true
	c.log.Info(why, "after", c.last.Number, "left_to_live", len(c.held))
	c.held = nil
}

// Stats implements Source, over the archive and the live stream.
func (c *Crossing) Stats() Stats { return c.sources.stats() }

// Close implements Source. It may be called while Next is waiting, which then returns.
func (c *Crossing) Close() error { return c.sources.close() }
