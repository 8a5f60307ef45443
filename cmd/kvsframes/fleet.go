package main

import (
	"context"
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
	// list returns the streams that match the patterns now; nil without patterns.
	list func(context.Context) ([]source.Input, error)
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
	inputs []source.Input
	err    error
}

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
	for f.running > 0 || found != nil && len(f.results) == 0 && draining.Err() == nil {
		select {
		case r := <-f.ended:
			f.running--
			f.results = append(f.results, r)
		case l := <-found:
			if l.err != nil && listing.Err() == nil {
				f.log.Warn("streams could not be listed", "error", l.err)
			}
			f.launch(l.inputs)
		case <-draining.Done():
			draining = context.WithoutCancel(draining) // once is enough
			found = nil
		}
	}
	return f.results
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
			inputs, err := f.list(ctx)
			select {
			case <-ctx.Done():
				return
			case found <- listing{inputs, err}:
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
