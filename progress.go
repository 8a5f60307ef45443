package kvsframes

import (
	"maps"
	"slices"
	"time"

	"github.com/kvsframes/kvsframes/pipeline"
	"github.com/kvsframes/kvsframes/source"
)

// StreamProgress is how far a run is in one stream.
type StreamProgress struct {
	Stream string
	pipeline.Progress
	// Share is the part of the stream that was read, 0 to 1, where its end is known; otherwise it is 0.
	Share float64
	// Lag is the distance of the last fragment from the newest one of a live stream; 0 for others.
	Lag time.Duration
	// Reach states whether the service of the stream answers.
	Reach source.Reach
}

// SinkProgress is how far a run is with one sink.
type SinkProgress struct {
	Sink string
	// Written is the number of images that are durable.
	Written int64
	// Failed reports whether the sink has failed in a stream.
	Failed bool
	// Reach states whether the destination works.
	Reach source.Reach
}

// Progress returns how far the run is: the streams by name, and the sinks in the order of the settings.
func (r *Run) Progress() (streams []StreamProgress, sinks []SinkProgress) {
	accounts, failed := r.journal.accounts()
	sources, destinations := map[string]source.Stats{}, map[string]source.Reach{}
	r.outages.sources.each(func(name string, src source.Source) { sources[name] = src.Stats() })
	r.outages.eachSink(func(name string, reach source.Reach) { destinations[name] = reach })
	for _, name := range slices.Sorted(maps.Keys(accounts)) {
		stats := sources[name]
		streams = append(streams, StreamProgress{
			Stream: name, Progress: accounts[name].Progress(), Share: stats.Share, Lag: stats.Lag, Reach: stats.Reach,
		})
	}
	for _, name := range r.journal.names {
		sinks = append(sinks, SinkProgress{Sink: name, Written: r.meter.FramesWritten(name), Failed: failed[name], Reach: destinations[name]})
	}
	return streams, sinks
}
