// Package config reads pipeline.yaml into the Config structs of the packages that
// it sets up. It is strict, and it reports every problem at once with the place
// where it was written; it starts nothing.
//
// Settings come from four layers, the later ones winning: the defaults in code,
// the file, the environment, the --set flags.
//
//   - In the file, ${VAR}, ${VAR:-default} and ${VAR:?message} are replaced inside
//     scalar values, after YAML parsing, so that a value can never become
//     structure. "$${" stands for "${". Values of the other layers are literal.
//   - Every key has an environment variable: KVSFRAMES_, then the key in capitals
//     with dots as underscores (KVSFRAMES_SOURCE_ENDPOINT_URL). A sink is addressed
//     by its index in the file, from 0: KVSFRAMES_SINKS_0_QUALITY. A variable that
//     starts with KVSFRAMES_ and belongs to no key is a problem, save for the
//     reserved ones (see Reserved).
//   - A flag is KEY=VALUE: source.region=eu-west-1. A sink is addressed by index or
//     by name: sinks.0.quality, sinks.thumbs.quality; where a name is a number, the
//     index wins. Of two flags for one key the last wins.
//   - In the environment and in flags a list is written a,b or [a, b], and a whole
//     mapping {type: stride, n: 5}. A mapping replaces what the lower layers say of
//     it; a single key leaves its neighbours as they are.
package config

import (
	"path/filepath"
	"time"

	"github.com/kvsframes/kvsframes/decode"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/source"
)

// Version is the version of the file format that this package reads.
const Version = 1

// Config is pipeline.yaml.
type Config struct {
	Version    int           `mapstructure:"version"`
	Source     source.Config `mapstructure:"source"`
	Decode     decode.Config `mapstructure:"decode"`
	Sinks      []Sink        `mapstructure:"-"` // merged one by one, see load.go
	Checkpoint Checkpoint    `mapstructure:"checkpoint"`
	Service    Service       `mapstructure:"service"`

	// shown are values that came from references, as the file has them, by full path;
	// secrets is what messages must not say.
	shown   map[string]string `mapstructure:"-"`
	secrets secrets           `mapstructure:"-"`
}

// SinkType is the kind of a sink.
type SinkType string

// The kinds of sink.
const (
	SinkImage SinkType = "image"
	SinkRaw   SinkType = "raw"
)

// Sink is one entry of `sinks`: what it asks of the decode stage, and where the
// images go.
type Sink struct {
	Name        string             `mapstructure:"name"`
	Type        SinkType           `mapstructure:"type"`
	Sample      plan.Sample        `mapstructure:"sample"`
	Resize      decode.Resize      `mapstructure:"resize"`
	Format      decode.Format      `mapstructure:"format"`
	Quality     int                `mapstructure:"quality"`
	PixelFormat decode.PixelFormat `mapstructure:"pixel_format"`
	EXIF        bool               `mapstructure:"exif"`
	Fast        bool               `mapstructure:"fast"`
	Path        string             `mapstructure:"path"`
	Destination sink.Destination   `mapstructure:"destination"`
	Manifest    sink.Manifest      `mapstructure:"manifest"`

	// TimesFolder is the folder that a relative Sample.File is below: that of the settings
	// file when it stands there, else "", the working directory.
	TimesFolder string `mapstructure:"-"`
	// OverwriteExplicit reports whether if_exists: overwrite was written out and is not
	// just the default (see sink.Config).
	OverwriteExplicit bool `mapstructure:"-"`
}

// TimesFile returns the path of Sample.File, "" when there is none.
func (s Sink) TimesFile() string {
	if s.Sample.File == "" || filepath.IsAbs(s.Sample.File) {
		return s.Sample.File
	}
	return filepath.Join(s.TimesFolder, s.Sample.File)
}

// Output returns what the sink asks of the decode stage.
func (s Sink) Output() decode.Output {
	out := decode.Output{Sink: s.Name, Sample: s.Sample, Resize: s.Resize, Format: s.Format}
	switch s.Type {
	case SinkImage:
		out.EXIF, out.Fast = s.EXIF, s.Fast
		if s.Format == decode.FormatJPEG {
			out.Quality = s.Quality
		}
	case SinkRaw:
		out.PixelFormat = s.PixelFormat
	}
	return out
}

// SinkConfig returns how the sink names, writes and records its images.
func (s Sink) SinkConfig() sink.Config {
	ext := "jpg"
	switch {
	case s.Type == SinkRaw:
		ext = string(s.PixelFormat)
	case s.Format == decode.FormatPNG:
		ext = "png"
	}
	return sink.Config{
		Name: s.Name, Path: s.Path, Destination: s.Destination, Manifest: s.Manifest,
		OverwriteExplicit: s.OverwriteExplicit, Ext: ext,
	}
}

// CheckpointType says where the position of a stream is kept.
type CheckpointType string

// The types of checkpoint that this version knows. It keeps no checkpoint, so
// auto means none: a run starts at source.start_selector.
const (
	CheckpointAuto CheckpointType = "auto"
	CheckpointNone CheckpointType = "none"
)

// Checkpoint is the `checkpoint` part of pipeline.yaml.
type Checkpoint struct {
	Type CheckpointType `mapstructure:"type"`
	Path string         `mapstructure:"path"`
}

// Choice is a setting that can be left to the program.
type Choice string

// The values of service.progress; Auto means on a terminal only.
const (
	Auto Choice = "auto"
	On   Choice = "on"
	Off  Choice = "off"
)

// LogFormat is the form of log lines.
type LogFormat string

// The forms of log lines. LogAuto is text on a terminal, else JSON.
const (
	LogAuto LogFormat = "auto"
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

// Log is the `service.log` part of pipeline.yaml.
type Log struct {
	// Level is debug, info, warn or error; log/slog's Level reads all four.
	Level  string    `mapstructure:"level"`
	Format LogFormat `mapstructure:"format"`
}

// Service is the `service` part of pipeline.yaml.
type Service struct {
	Log      Log    `mapstructure:"log"`
	Progress Choice `mapstructure:"progress"`
	// ShutdownTimeout is how long a drain may take after the first signal.
	ShutdownTimeout time.Duration `mapstructure:"shutdown_timeout"`
}

// Default returns the settings of a file that says nothing. It has no sinks, and
// is therefore not valid.
func Default() Config {
	return Config{
		Version:    Version,
		Source:     source.DefaultConfig(),
		Decode:     decode.DefaultConfig(),
		Checkpoint: Checkpoint{Type: CheckpointAuto, Path: ".kvsframes/{stream}.json"},
		Service: Service{
			Log:             Log{Level: "info", Format: LogAuto},
			Progress:        Auto,
			ShutdownTimeout: 20 * time.Second,
		},
	}
}

// DefaultSink returns the settings of a sink of type t that says only its name.
func DefaultSink(t SinkType) Sink {
	c := sink.DefaultConfig()
	s := Sink{
		Type:        t,
		Sample:      plan.Sample{Type: plan.SampleInterval, Interval: 10 * time.Second, Tolerance: plan.DefaultTolerance, Pick: plan.PickNearest, Clock: media.ClockProducer},
		Resize:      decode.Resize{Fit: decode.FitContain},
		Format:      decode.FormatJPEG,
		Quality:     80,
		EXIF:        true,
		Path:        c.Path,
		Destination: c.Destination,
		Manifest:    c.Manifest,
	}
	if t == SinkRaw {
		s.Format, s.PixelFormat = decode.FormatNone, decode.PixelRGB24
	}
	return s
}
