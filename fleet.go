package kvsframes

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/kvsframes/kvsframes/source"
)

// listEvery is the interval at which patterns are listed again, to find new streams.
const listEvery = time.Minute

// fleet runs streams side by side. New streams that match a pattern join it while it runs. One goroutine uses it.
type fleet struct {
	// run reads one stream to its end.
	run func(source.Input) result
	// missing returns the result of a stream that cannot be run.
	missing func(stream string, err error) result
	// list lists the streams that match the patterns; nil without patterns.
	list func(context.Context) listing
	// finite reports whether every stream has an end. Then a pattern that matches no stream is an error;
	// otherwise the fleet waits for such streams.
	finite bool
	// every is the interval between two listings.
	every time.Duration
	log   *slog.Logger

	known   map[string]bool
	running int
	ended   chan result
	results []result
}

// listing is the outcome of listing the patterns once.
type listing struct {
	// inputs are the streams that match, unmatched the patterns that match no stream.
	inputs    []source.Input
	unmatched []source.Pattern
	err       error
}

// errNoMatch is the error of a pattern that matches no stream.
var errNoMatch = errors.New("no stream matches the pattern")

// runAll runs the given streams and those that join, and returns how each one ended. It returns when none
// is running; with patterns it first waits until one has run or draining is done.
func (f *fleet) runAll(draining context.Context, inputs []source.Input) []result {
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
			draining = context.WithoutCancel(draining) // do not select it again
			found = nil
		}
	}
	return f.results
}

// note logs the patterns that matched no stream. Where all streams have an end, only the first listing
// makes that a failure.
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

// launch starts the streams that are new.
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

// lookUp lists the patterns repeatedly until ctx is done. It returns nil without patterns.
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
