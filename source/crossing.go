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
)

// Place is the position of a fragment in its stream.
type Place = media.Place

// CodeNoRetention is the error code for reading the archive of a stream that has none.
const CodeNoRetention = "NoDataRetentionException"

// CrossingConfig holds the settings of a Crossing.
type CrossingConfig struct {
	// Stream is the stream's name, for logs and errors.
	Stream string
	// Start is where reading starts. It is in the past.
	Start StartSelector
	// After is the fragment after which reading starts in place of Start, if it has a number.
	After Place
	// Archive returns the archive after a fragment, or from Start on when the place has no number. The archive ends
	// where it was complete when it was first read, and returns fragments in the order of their numbers.
	Archive func(after Place) (Source, error)
	// Live returns the live stream from start on.
	Live func(start StartSelector) Source
	// Log receives what happens; nil discards it.
	Log *slog.Logger
}

// Limits of the change from the archive to the live stream.
const (
	// longPass is the longest pass over the archive after which reading continues live. After a longer one, the
	// fragments that arrived during it are read from the archive too.
	longPass = time.Minute
	// maxHeld is the number of consecutive fragments missing at the archive's end that may still arrive.
	maxHeld = 100
)

// Crossing is a Source that reads the archive of a stream up to its newest fragment and continues live. It loses
// and repeats no fragment: the live stream begins after the number of the last fragment that was returned.
//
// Fragments that arrive while the archive is being read are read from the archive too, pass by pass, until a pass
// takes less than a minute; GetMedia returns the rest. Gaps at the very end of the archive are held back, as those
// fragments may still arrive. The live stream then returns them or reports them missing.
//
// A stream that has no archive, or an empty one from Start on, is read live from Start.
type Crossing struct {
	cfg     CrossingConfig
	log     *slog.Logger
	sources *relay

	// Only the goroutine that calls Next uses the following fields.
	live  bool
	ready []result
	over  error
	last  Place
	// held are the gaps at the end of the archive read so far.
	held []*media.GapError
	// opened is when this pass began; brought reports whether it returned anything.
	opened  time.Time
	brought bool
}

var _ Source = (*Crossing)(nil)

// NewCrossing returns a source that reads the archive and continues live. It opens the
// archive in its first Next.
func NewCrossing(cfg CrossingConfig) *Crossing {
	return &Crossing{cfg: cfg, log: logging.OrSilent(cfg.Log).With("stream", cfg.Stream), sources: newRelay(), last: cfg.After}
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

// liveStart returns where the live stream begins.
func (c *Crossing) liveStart() StartSelector {
	if c.last.Number == "" {
		return c.cfg.Start
	}
	return StartSelector{Type: StartFragmentNumber, AfterFragmentNumber: c.last.Number}
}

// handle processes a result of the archive.
func (c *Crossing) handle(f *media.Fragment, err error) {
	var gap *media.GapError
	switch {
	case err == nil:
		c.release(0)
		c.ready = append(c.ready, result{fragment: f})
		c.advance(f.Place())
	case errors.As(err, &gap):
		c.held = append(c.held, gap)
		c.release(maxHeld)
	default:
		c.archiveOver(err)
	}
}

// release queues the held gaps, except the last keep ones.
func (c *Crossing) release(keep int) {
	for len(c.held) > keep {
		gap := c.held[0]
		c.held = c.held[1:]
		c.ready = append(c.ready, result{err: gap})
		if gap.Gap.FragmentNumber != "" {
			// The clocks of the previous fragment determine where to continue.
			c.advance(Place{Number: gap.Gap.FragmentNumber, ProducerTime: c.last.ProducerTime, ServerTime: c.last.ServerTime})
		}
	}
}

// advance moves the last place forward to p, never back.
func (c *Crossing) advance(p Place) {
	c.brought = true
	if c.last.Number == "" || media.CompareNumbers(p.Number, c.last.Number) > 0 {
		c.last = p
	}
}

// archiveOver decides how to continue after the archive ended with err.
func (c *Crossing) archiveOver(err error) {
	var coded interface{ ErrorCode() string }
	c.sources.leave()
	switch {
	case errors.Is(err, io.EOF) && c.brought && time.Since(c.opened) >= longPass:
		c.held = nil
		c.log.Debug("reading the archive again, for fragments that arrived meanwhile", "after", c.last.Number)
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

// Close implements Source. It may be called while Next is waiting; Next then returns.
func (c *Crossing) Close() error { return c.sources.close() }
