package sink

import (
	"context"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// border is what ends groups and parts of the manifest of a stream, beside what their settings say.
type border struct {
	// ends is the fragment with which what was open in an earlier run ended, and keep has a later run know of another one (see Continuation).
	ends string
	keep func(ctx context.Context, number string) error
	// group and part are how long of the server's time a group and a part may take, at most; 0 is no limit.
	group, part time.Duration
}

// Within states for how long the stream keeps its fragments; 0 if that is not known. What is open of groups and of the manifest has them read again by
// the next run, and so it takes half of that time, at most, on the clock of the server. A group or a part of it ends then, wherever the producer's clock is.
// It is called before any other method.
func (w *Writer) Within(kept time.Duration) {
	c := w.sink.config
	open := c.MostOpen()
	if open == 0 {
		return
	}
	// As the settings have at most half together, each has no less than it has there.
	share := func(every time.Duration) time.Duration {
		return time.Duration(float64(kept) / 2 * float64(every) / float64(open))
	}
	if c.Groups != nil {
		w.border.group = share(c.Groups.Every)
	}
	w.border.part = share(w.parts.every)
}

// end has a later run know that what is open ends with a fragment, where nothing in the stream says so: a run that is killed before that is in its
// place is continued by one that makes the same.
func (b *border) end(ctx context.Context, number string) error {
	if b.keep == nil {
		return nil
	}
	return b.keep(ctx, number)
}

// passes reports, once, that a fragment is behind the one with which what was open in an earlier run ended.
func (b *border) passes(number string) bool {
	if b.ends == "" || media.CompareNumbers(number, b.ends) <= 0 {
		return false
	}
	b.ends = ""
	return true
}

// tooLate reports whether what began at one time of the server may not go on at another. most is how long it may take.
func tooLate(began, at time.Time, most time.Duration) bool {
	return most > 0 && !began.IsZero() && !at.IsZero() && at.Sub(began) >= most
}

// silence is how long no image comes before what is open ends, which has every as its grid, began to come at one time, and got its latest image at
// another. It may take most; but what comes after a short pause still belongs to it.
func silence(every, most time.Duration, began, latest time.Time) time.Duration {
	d := max(every, minSilence)
	if most > 0 {
		d = min(d, max(minSilence, most-latest.Sub(began)))
	}
	return d
}
