package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// Place is where a fragment lies in its stream.
type Place struct {
	// Number is the fragment's number; "" is before the first one.
	Number string
	// ProducerTime and ServerTime are its clocks, zero where they are not known.
	ProducerTime, ServerTime time.Time
}

// CodeNoRetention is the code of a refusal to read the archive of a stream that has
// none.
const CodeNoRetention = "NoDataRetentionException"

// CrossConfig says what a Crossing reads.
type CrossConfig struct {
	// Stream is the stream's name, for logs and errors.
	Stream string
	// Start is where reading starts. It lies in the past.
	Start StartSelector
	// Archive returns the archive after a fragment, up to what is settled there when
	// it is first read; from the start on when the place has no number. Its fragments
	// come in the order of their numbers.
	Archive func(after Place) (Source, error)
	// Live returns the live stream from start on.
	Live func(start StartSelector) Source
}

// The bounds of crossing over.
const (
	// longPass is how long reading the archive may take before it is read once more,
	// for what has come in the meantime, rather than leaving that to the live stream.
	longPass = time.Minute
	// maxHeld is how many fragments in a row the archive may not have before they
	// are not taken for ones that are about to arrive there.
	maxHeld = 100
)

// Crossing is a Source that reads the archive of a stream up to its head and goes on
// live, with no fragment lost or doubled: the live stream begins after the last fragment
// that was handed on, by its number.
//
// What comes while the archive is read is read from the archive too, pass by pass, until
// a pass takes less than a minute; GetMedia gives the rest. Gaps at the archive's very
// end are kept back, for those fragments may just not have arrived there: the live
// stream gives them, or tells that they are missing.
//
// A stream that has no archive, or nothing in it from the start on, is read live from
// the start.
type Crossing struct {
	cfg CrossConfig
	log *slog.Logger

	life    context.Context // a signal to end, not the context of a call
	end     context.CancelFunc
	mu      sync.Mutex
	current Source // nil between two sources
	before  int64  // bytes of the sources that are over

	// All that follows is of the goroutine that calls Next.
	live  bool
	ready []result
	over  error
	last  Place
	// held are gaps that nothing has followed yet.
	held []*media.GapError
	// opened is when this pass began, brought reports whether it brought something.
	opened  time.Time
	brought bool
}

var _ Source = (*Crossing)(nil)

// Cross returns a source that reads the archive and goes on live. It opens the archive
// in its first Next.
func Cross(cfg CrossConfig, log *slog.Logger) *Crossing {
	c := &Crossing{cfg: cfg, log: log.With("stream", cfg.Stream)}
	c.life, c.end = context.WithCancel(context.Background())
	return c
}

// Next implements Source.
func (c *Crossing) Next(ctx context.Context) (*media.Fragment, error) {
	for {
		switch {
		case c.life.Err() != nil:
			return nil, fmt.Errorf("read stream %s: %w", c.cfg.Stream, fs.ErrClosed)
		case len(c.ready) > 0:
			r := c.ready[0]
			c.ready[0] = result{}
			c.ready = c.ready[1:]
			return r.fragment, r.err
		case c.over != nil:
			return nil, c.over
		}
		src, err := c.open()
		if err != nil {
			c.archiveOver(err)
			continue
		}
		f, err := src.Next(ctx)
		switch {
		case c.live:
			return f, err
		case err != nil && ctx.Err() != nil:
			return nil, err
		default:
			c.take(f, err)
		}
	}
}

// open returns the source that is to be read now.
func (c *Crossing) open() (Source, error) {
	if src := c.source(); src != nil {
		return src, nil
	}
	if c.live {
		return c.use(c.cfg.Live(c.liveStart())), nil
	}
	c.opened, c.brought = time.Now(), false
	src, err := c.cfg.Archive(c.last)
	if err != nil {
		return nil, err
	}
	return c.use(src), nil
}

// liveStart is where the live stream begins.
func (c *Crossing) liveStart() StartSelector {
	if c.last.Number == "" {
		return c.cfg.Start
	}
	return StartSelector{Type: StartFragmentNumber, AfterFragmentNumber: c.last.Number}
}

// source returns the source that is being read, nil between two.
func (c *Crossing) source() Source {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current
}

// use makes src the source that is read, unless Close was faster: then it closes it.
func (c *Crossing) use(src Source) Source {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = src
	if c.life.Err() != nil {
		_ = src.Close() // nothing of it is wanted any more
	}
	return src
}

// leave closes the source that is read and keeps its count of bytes.
func (c *Crossing) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == nil {
		return
	}
	if err := c.current.Close(); err != nil {
		c.log.Debug("archive could not be closed", "error", err)
	}
	c.before += c.current.BytesRead()
	c.current = nil
}

// take sorts what the archive has brought.
func (c *Crossing) take(f *media.Fragment, err error) {
	var gap *media.GapError
	switch {
	case err == nil:
		c.release(0)
		c.ready = append(c.ready, result{fragment: f})
		c.pass(Place{f.Number, f.ProducerTime, f.ServerTime})
	case errors.As(err, &gap):
		c.held = append(c.held, gap)
		c.release(maxHeld)
	default:
		c.archiveOver(err)
	}
}

// release hands on the gaps that are held, but for the last ones.
func (c *Crossing) release(keep int) {
	for len(c.held) > keep {
		gap := c.held[0]
		c.held = c.held[1:]
		c.ready = append(c.ready, result{err: gap})
		if gap.Gap.FragmentNumber != "" {
			// Its clocks are those of the one before: that is where it can be found.
			c.pass(Place{gap.Gap.FragmentNumber, c.last.ProducerTime, c.last.ServerTime})
		}
	}
}

// pass notes that a fragment is behind.
func (c *Crossing) pass(p Place) {
	c.brought = true
	if c.last.Number == "" || payload.CompareNumbers(p.Number, c.last.Number) > 0 {
		c.last = p
	}
}

// archiveOver decides what comes after the archive has ended with err.
func (c *Crossing) archiveOver(err error) {
	var coded interface{ ErrorCode() string }
	c.leave()
	switch {
	case errors.Is(err, io.EOF) && c.brought && time.Since(c.opened) >= longPass:
		c.held = nil
		c.log.Debug("archive is read once more, for what has come in the meantime", "after", c.last.Number)
	case errors.Is(err, io.EOF):
		c.goLive("archive has been read up to its head, reading goes on live")
	case errors.As(err, &coded) && coded.ErrorCode() == CodeNoRetention:
		c.goLive("stream has no archive, reading goes on live")
	default:
		c.release(0)
		c.over = err
	}
}

// goLive goes on with the live stream.
func (c *Crossing) goLive(why string) {
	c.live = true
	c.log.Info(why, "after", c.last.Number, "left_to_live", len(c.held))
	c.held = nil
}

// BytesRead implements Source, over the archive and the live stream.
func (c *Crossing) BytesRead() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == nil {
		return c.before
	}
	return c.before + c.current.BytesRead()
}

// Reach is that of the archive or the live stream, whichever is read.
func (c *Crossing) Reach() Reach { return ReachOf(c.source()) }

// Reconnects is the number of sessions that the live stream has opened after its first.
func (c *Crossing) Reconnects() int { return reconnects(c.source()) }

// Unfinished is the live stream's (see Live.Unfinished).
func (c *Crossing) Unfinished() *media.Fragment { return unfinished(c.source()) }

// Inside is the live stream's (see Live.Inside).
func (c *Crossing) Inside() error { return inside(c.source()) }

// Pauses is the number of times that the producer of the live stream was seen to have
// paused.
func (c *Crossing) Pauses() int { return pauses(c.source()) }

// Close implements Source. It may be called while Next is waiting, which then returns.
func (c *Crossing) Close() error {
	c.end()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == nil {
		return nil
	}
	return c.current.Close()
}
