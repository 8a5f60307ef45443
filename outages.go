package kvsframes

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/kvsframes/kvsframes/source"
)

// outages holds the streams that are being read, to find those out of reach. Several goroutines use it.
type outages struct {
	mu      sync.Mutex
	sources map[string]source.Source
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
