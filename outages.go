package kvsframes

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/source"
)

// outages holds the streams and the sinks in use, to find those out of reach. Several goroutines use it.
type outages struct {
	mu      sync.Mutex
	sources map[string]source.Source
	sinks   []*sink.Sink
}

// watchSinks sets the sinks.
func (o *outages) watchSinks(sinks []*sink.Sink) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sinks = sinks
}

// watch adds a stream until done is called.
func (o *outages) watch(stream string, src source.Source) (done func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sources == nil {
		o.sources = map[string]source.Source{}
	}
	o.sources[stream] = src
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.sources, stream)
	}
}

// text describes the present outages in a few words, or returns "" when there are none.
func (o *outages) text(now time.Time) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var parts []string
	for _, s := range o.sinks {
		since, err := s.Trouble()
		if trouble := source.Trouble(source.Reach{Since: since, Err: err}, now); trouble != "" {
			parts = append(parts, "sink "+s.Name()+" "+trouble)
		}
	}
	if trouble := o.streams(now); trouble != "" {
		parts = append(parts, trouble)
	}
	return strings.Join(parts, ", ")
}

// each calls stream and sink with how long each has been in trouble, 0 for none.
func (o *outages) each(now time.Time, stream, sink func(name string, d time.Duration)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	lasts := func(since time.Time, err error) time.Duration {
		if err == nil {
			return 0
		}
		return max(0, now.Sub(since))
	}
	for _, name := range slices.Sorted(maps.Keys(o.sources)) {
		reach := o.sources[name].Stats().Reach
		stream(name, lasts(reach.Since, reach.Err))
	}
	for _, s := range o.sinks {
		sink(s.Name(), lasts(s.Trouble()))
	}
}

// streams describes the outages of streams. The caller holds the lock.
func (o *outages) streams(now time.Time) string {
	first, count := "", 0
	for _, stream := range slices.Sorted(maps.Keys(o.sources)) {
		trouble := source.Trouble(o.sources[stream].Stats().Reach, now)
		if trouble == "" {
			continue
		}
		if count++; count == 1 {
			first = trouble
			if len(o.sources) > 1 {
				first = stream + " " + trouble
			}
		}
	}
	if count > 1 {
		return fmt.Sprintf("%d streams out of reach, %s", count, first)
	}
	return first
}
