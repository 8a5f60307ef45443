package source

import (
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// Type is where fragments come from.
type Type string

// The types of source.
const (
	TypeKVS  Type = "kvs"
	TypeFile Type = "file"
)

// Mode is how a KVS stream is read.
type Mode string

// The modes of a KVS source.
const (
	// ModeLive reads with GetMedia.
	ModeLive Mode = "live"
	// ModeArchive reads what is stored, with ListFragments and
	// GetMediaForFragmentList, and ends.
	ModeArchive Mode = "archive"
	// ModeAuto reads what is stored and goes on live.
	ModeAuto Mode = "auto"
)

// StartType says where a GetMedia session starts (Kinesis Video Streams API
// Reference, StartSelector).
type StartType string

// The six start selectors of GetMedia, spelled as the API spells them.
const (
	StartNow               StartType = "NOW"
	StartEarliest          StartType = "EARLIEST"
	StartFragmentNumber    StartType = "FRAGMENT_NUMBER"
	StartProducerTimestamp StartType = "PRODUCER_TIMESTAMP"
	StartServerTimestamp   StartType = "SERVER_TIMESTAMP"
	StartContinuationToken StartType = "CONTINUATION_TOKEN"
)

// StartSelector says where a GetMedia session starts.
type StartSelector struct {
	Type StartType `mapstructure:"type"`
	// Timestamp is used by the two TIMESTAMP types.
	Timestamp time.Time `mapstructure:"timestamp"`
	// AfterFragmentNumber is exclusive, as the API is: reading starts at the
	// fragment after it.
	AfterFragmentNumber string `mapstructure:"after_fragment_number"`
	ContinuationToken   string `mapstructure:"continuation_token"`
}

// End says when a session is over; the first limit reached ends it. A zero field
// is no limit.
type End struct {
	Timestamp   time.Time     `mapstructure:"timestamp"`
	Duration    time.Duration `mapstructure:"duration"`
	Fragments   int           `mapstructure:"fragments"`
	IdleTimeout time.Duration `mapstructure:"idle_timeout"`
}

// Size is a number of bytes, written with a unit: 64MiB.
type Size = media.Size

// Config is the `source` part of pipeline.yaml.
type Config struct {
	Type Type `mapstructure:"type"`

	// FragmentTags are what the tags of a fragment must have to be wanted, as NAME=VALUE.
	FragmentTags []string `mapstructure:"fragment_tags"`

	// Streams are names or ARNs of KVS streams, or NAME=STREAM for one that is to have
	// another name.
	Streams       []string      `mapstructure:"streams"`
	Region        string        `mapstructure:"region"`
	EndpointURL   string        `mapstructure:"endpoint_url"`
	Mode          Mode          `mapstructure:"mode"`
	StartSelector StartSelector `mapstructure:"start_selector"`
	End           End           `mapstructure:"end"`
	// MaxFragmentSize is the largest fragment that is taken into memory, bytes.
	MaxFragmentSize Size `mapstructure:"max_fragment_size"`

	// Track is the video track whose frames are wanted.
	Track Track `mapstructure:"track"`

	// Paths are files, globs, or "-" for standard input.
	Paths []string `mapstructure:"paths"`
	// Stream overrides the stream name of a file source.
	Stream string `mapstructure:"stream"`
	// StartTime is the instant of timestamp zero of plain MKV files.
	StartTime StartTime `mapstructure:"start_time"`
}

// DefaultConfig returns the settings of a source that says only its streams.
func DefaultConfig() Config {
	return Config{
		Type:            TypeKVS,
		Mode:            ModeLive,
		StartSelector:   StartSelector{Type: StartNow},
		MaxFragmentSize: 64 << 20,
	}
}
