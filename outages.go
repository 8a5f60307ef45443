package kvsframes

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/source"
)

// outages holds the streams and the sinks in use, to find those out of reach. Several goroutines use it.
type outages struct {
	sources registry[source.Source]
	sinks   atomic.Pointer[[]*sink.Sink]
}

// watchSinks sets the sinks.
func (o *outages) watchSinks(sinks []*sink.Sink) { o.sinks.Store(&sinks) }

// watch adds a stream until done is called.
func (o *outages) watch(stream string, src source.Source) (done func()) {
	return o.sources.add(stream, src)
}

// eachSink calls f with the reach of each sink's destination.
func (o *outages) eachSink(f func(name string, r source.Reach)) {
	if sinks := o.sinks.Load(); sinks != nil {
		for _, s := range *sinks {
			f(s.Name(), s.Reach())
		}
	}
}

// eachStream calls f with the reach of each stream's service.
func (o *outages) eachStream(f func(name string, r source.Reach)) {
	o.sources.each(func(stream string, src source.Source) { f(stream, src.Stats().Reach) })
}

// text describes the present outages in a few words, or returns "" when there are none.
func (o *outages) text(now time.Time) string {
	var parts []string
	o.eachSink(func(name string, r source.Reach) {
		if trouble := source.Trouble(r, now); trouble != "" {
			parts = append(parts, "sink "+name+" "+trouble)
		}
	})
	if trouble := o.streams(now); trouble != "" {
		parts = append(parts, trouble)
	}
	return strings.Join(parts, ", ")
}

// streams describes the outages of streams.
func (o *outages) streams(now time.Time) string {
	name, first, count, all := "", "", 0, 0
	o.eachStream(func(stream string, r source.Reach) {
		all++
		trouble := source.Trouble(r, now)
		if trouble == "" {
			return
		}
		if count++; count == 1 {
			name, first = stream, trouble
		}
	})
	if count > 0 && all > 1 {
		first = name + " " + first
	}
	if count > 1 {
		return fmt.Sprintf("%d streams out of reach, %s", count, first)
	}
	return first
}
