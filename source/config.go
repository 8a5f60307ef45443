package source

import (
	"fmt"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/setting"
)

// End states when a session ends: at the first limit that is reached. A zero field is no limit.
type End struct {
	Timestamp   time.Time     `key:"timestamp,optional" doc:"The time at which a stream ends, on the clock of start_selector, or on the clock of the producer if that has none." example:"2026-11-01T01:00:00Z"`
	Duration    time.Duration `key:"duration,optional" range:"0s.." doc:"How much media is read of a stream." example:"1h"`
	Fragments   int           `key:"fragments,optional" range:"0.." doc:"How many fragments are read of a stream." example:"100"`
	IdleTimeout time.Duration `key:"idle_timeout,optional" range:"0s.." doc:"How long a stream may answer without a new fragment before it ends; an outage of that length is an error." example:"1m"`
}

// Share returns which part of a stream was read, 0 to 1, when the count-th fragment of one that began at first begins at at: by the
// limit that is nearest. Without one it is 0. Times are on the clock of the limits.
func (e End) Share(first, at time.Time, count int) (share float64) {
	if e.Fragments > 0 {
		share = float64(count) / float64(e.Fragments)
	}
	if first.IsZero() || at.IsZero() {
		return min(share, 1)
	}
	read := at.Sub(first)
	if e.Duration > 0 {
		share = max(share, float64(read)/float64(e.Duration))
	}
	if e.Timestamp.After(first) {
		share = max(share, float64(read)/float64(e.Timestamp.Sub(first)))
	}
	return max(0, min(share, 1))
}

// Size is a number of bytes, written with a unit: 64MiB.
type Size = media.Size

// Origin is the part of a Config that depends on the type of the source: where the fragments come from. An
// implementation is a struct whose fields are the keys of the type (see package setting), such as KVSConfig and
// FileConfig.
type Origin interface {
	// Validate returns all problems of the keys, joined. Each is a *setting.Error whose path starts below `source`.
	Validate() error
	// Many reports whether more than one stream may be read.
	Many() bool
	// Endless reports whether a stream continues until it is stopped.
	Endless() bool
}

// Config is the `source` part of pipeline.yaml.
type Config struct {
	_     struct{} `key:"type" doc:"Where fragments come from: kvs is Kinesis Video Streams, file is recordings." example:"file"`
	Track Track    `key:"track" doc:"The video track: auto is the first one that can be decoded." example:"1"`
	// FragmentTags are the tags that a wanted fragment has, as NAME=VALUE.
	FragmentTags []string `key:"fragment_tags,optional,pairs" doc:"Tags and values that a fragment must have to be read; not with deliver: frame." example:"{site: lobby}"`
	// Origin holds the keys that depend on the type of the source.
	Origin          Origin `block:"type"`
	End             End    `key:"end"`
	MaxFragmentSize Size   `key:"max_fragment_size" range:"1KiB..2GiB" doc:"The largest fragment that is read into memory."`
}

// DefaultConfig returns the settings of a source for which only the streams are set.
func DefaultConfig() Config {
	return Config{Origin: DefaultKVSConfig(), MaxFragmentSize: 64 << 20}
}

// KVS returns the keys of a source of type kvs, and false for another type.
func (c Config) KVS() (kvs KVSConfig, ok bool) {
	kvs, ok = c.Origin.(KVSConfig)
	return kvs, ok
}

// Files returns the keys of a source of type file, and false for another type.
func (c Config) Files() (files FileConfig, ok bool) {
	files, ok = c.Origin.(FileConfig)
	return files, ok
}

// EndClock returns the clock on which End is measured: that of the start selector, or the producer's if that
// has none.
func (c Config) EndClock() media.Clock {
	kvs, _ := c.KVS()
	return kvs.StartSelector.Clock()
}

// Validate returns all problems of the settings, joined. Each is a *setting.Error whose path starts below source.
func (c Config) Validate() error {
	var p setting.Problems
	p.Check("", c, DefaultConfig())
	kvs, _ := c.KVS()
	if kvs.Deliver == DeliverFrame && len(c.FragmentTags) > 0 {
		p.Add("fragment_tags", "does not go with deliver: frame: the tags of a fragment come behind its frames")
	}
	if start := kvs.StartSelector.Timestamp; !c.End.Timestamp.IsZero() && !start.IsZero() && !c.End.Timestamp.After(start) {
		p.Add("end.timestamp", "is not after start_selector.timestamp")
	}
	for i, pair := range c.FragmentTags {
		if name, _, ok := strings.Cut(pair, "="); !ok || name == "" {
			p.Add(fmt.Sprintf("fragment_tags[%d]", i), "%.140q is not the name of a tag and its value: write {NAME: VALUE}", pair)
		}
	}
	return p.Err()
}
