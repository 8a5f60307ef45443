package kvsframes

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/kvsframes/kvsframes/source"
)

// listEvery is how often patterns are looked up again for streams that are new.
const listEvery = time.Minute

// fleet runs streams side by side. Streams that match a pattern join it while it
// runs. It is used by one goroutine.
type fleet struct {
	// run carries one stream to its end.
	run func(source.Input) result
	// missing notes a stream that cannot be run.
	missing func(stream string, err error) result
	// list looks the patterns up; nil without patterns.
	list func(context.Context) listing
	// finite reports whether every stream has an end, so that a pattern that matches nothing
	// is an error; otherwise such streams are waited for.
	finite bool
	// every is the time between two listings.
	every time.Duration
	log   *slog.Logger

	known   map[string]bool
	running int
	ended   chan result
	results []result
}

// listing is what one look-up of the patterns came to.
type listing struct {
	// inputs are the streams that match, unmatched the patterns that no stream matches.
	inputs    []source.Input
	unmatched []source.Pattern
	err       error
}

// errNoMatch is why a pattern is a failure.
var errNoMatch = errors.New("no stream matches the pattern")

// sail runs the given streams and all that join, and returns how each one ended. It
// returns when none is running: with patterns, not before one has run or draining
// is over.
func (f *fleet) sail(draining context.Context, inputs []source.Input) []result {
	f.known, f.ended = map[string]bool{}, make(chan result)
	f.launch(inputs)
	listing, cancel := context.WithCancel(draining)
	var lookups sync.WaitGroup
	defer lookups.Wait()
	defer cancel()
	found := f.lookUp(listing, &lookups)
	first := true
	for f.running > 0 || found != nil && len(f.results) == 0 && draining.Err() == nil {
		select {
		case r := <-f.ended:
			f.running--
			f.results = append(f.results, r)
		case l := <-found:
			if listing.Err() == nil {
				f.note(l, first)
			}
			first = false
			f.launch(l.inputs)
		case <-draining.Done():
			draining = context.WithoutCancel(draining) // once is enough
			found = nil
		}
	}
	return f.results
}

// note logs what a look-up has not found. Where all streams have an end, what is not there
// at first will not be.
func (f *fleet) note(l listing, first bool) {
	failed := f.finite && first
	if l.err != nil {
		f.log.Warn("streams could not be listed", "error", l.err)
	}
	for _, p := range l.unmatched {
		if failed {
			f.log.Error("stream failed", "stream", p, "error", errNoMatch)
			f.results = append(f.results, f.missing(string(p), errNoMatch))
		} else {
			f.log.Warn("no stream matches the pattern", "pattern", p)
		}
	}
}

// launch starts the streams that are not known yet.
func (f *fleet) launch(inputs []source.Input) {
	for _, in := range inputs {
		if f.known[in.Stream] {
			continue
		}
		f.known[in.Stream] = true
		f.running++
		go func() { f.ended <- f.run(in) }()
	}
}

// lookUp lists the patterns now and again until ctx is done. It returns nil without
// patterns.
func (f *fleet) lookUp(ctx context.Context, lookups *sync.WaitGroup) <-chan listing {
	if f.list == nil {
		return nil
	}
	found := make(chan listing)
	lookups.Go(func() {
		ticker := time.NewTicker(f.every)
		defer ticker.Stop()
		for {
			l := f.list(ctx)
			select {
			case <-ctx.Done():
				return
			case found <- l:
			}
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	})
	return found
}
