// Package config reads pipeline.yaml into the Config structs of the packages that
// it sets up. It is strict, and it reports every problem at once with the place
// where it was written; it starts nothing.
//
//	c, err := config.Load(config.Options{Path: "pipeline.yaml", Environ: os.Environ()})
//
// What belongs to a type of source, sampler, sink or destination is in a struct of its own
// behind an interface: c.Source.Origin may be a source.KVSConfig. BuiltIn lists all types.
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
//     reserved ones (KVSFRAMES_CACHE, KVSFRAMES_LIBAV and KVSFRAMES_VERSITYGW, of the build and the tests).
//   - A flag is KEY=VALUE: source.region=eu-west-1. A sink is addressed by index or
//     by name: sinks.0.quality, sinks.thumbs.quality; where a name is a number, the
//     index wins. Of two flags for one key the last wins.
//   - In the environment and in flags a list is written a,b or [a, b], and a whole
//     mapping {type: stride, n: 5}. A mapping replaces what the lower layers have for
//     it; a single key leaves its neighbours as they are.
package config

import (
	"path/filepath"
	"time"

	"github.com/kvsframes/kvsframes/decode"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/setting"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/source"
)

// Version is the version of the file format that this package reads.
const Version = 1

// Config is pipeline.yaml.
type Config struct {
	Version    int           `key:"version"`
	Source     source.Config `key:"source"`
	Decode     decode.Config `key:"decode"`
	Sinks      []Sink        // merged one by one, see load.go
	Checkpoint Checkpoint    `key:"checkpoint"`
	_          struct{}      `later:"lag.max lag.action"`
	Service    Service       `key:"service"`
	_          struct{}      `later:"fleet"`

	// schema is that of the variants that it was loaded with, nil for BuiltIn.
	schema *schema
	// shown are values that came from references, as the file has them, by full path;
	// secrets are the values that messages must not repeat.
	shown   map[string]string
	secrets secrets
}

// keys returns all keys of the file.
func (c *Config) keys() *schema {
	if c.schema == nil {
		return builtIn()
	}
	return c.schema
}

// Sink is one entry of `sinks`: what it asks of the decode stage, and where the
// images go.
type Sink struct {
	Name   string        `key:"name,optional"`
	_      struct{}      `key:"type"`
	Sample plan.Sample   `key:"sample"`
	_      struct{}      `later:"filters.black filters.blur filters.duplicate"`
	Resize decode.Resize `key:"resize"`
	// Form is what belongs to the type of the sink.
	Form        decode.Form      `block:"type"`
	_           struct{}         `later:"layout normalize group.every group.count group.size columns"`
	Path        string           `key:"path"`
	Destination sink.Destination `key:"destination"`
	Manifest    sink.Manifest    `key:"manifest"`
	_           struct{}         `later:"ledger.path"`

	// TimesFolder is the folder that a relative file of times is below: that of the settings
	// file when it stands there, else "", the working directory.
	TimesFolder string
	// OverwriteExplicit reports whether if_exists: overwrite was written out and is not
	// just the default (see sink.Config).
	OverwriteExplicit bool
}

// TimesFile returns the path of the sampler's file of times, "" when there is none.
func (s Sink) TimesFile() string {
	rule, _ := s.Sample.Rule.(plan.Timestamps)
	if rule.File == "" || filepath.IsAbs(rule.File) {
		return rule.File
	}
	return filepath.Join(s.TimesFolder, rule.File)
}

// Output returns what the sink asks of the decode stage.
func (s Sink) Output() decode.Output {
	out := decode.Output{Sink: s.Name, Sample: s.Sample, Resize: s.Resize}
	s.Form.Ask(&out)
	return out
}

// SinkConfig returns how the sink names, writes and records its images.
func (s Sink) SinkConfig() sink.Config {
	return sink.Config{
		Name: s.Name, Path: s.Path, Destination: s.Destination, Manifest: s.Manifest,
		OverwriteExplicit: s.OverwriteExplicit, Ext: s.Form.Ext(),
	}
}

// CheckpointType is where the position of a stream is kept.
type CheckpointType string

// The types of checkpoint that this version knows. It keeps no checkpoint, so
// auto means none: a run starts at source.start_selector.
const (
	CheckpointAuto CheckpointType = "auto"
	CheckpointNone CheckpointType = "none"
)

// Values returns the types of checkpoint.
func (CheckpointType) Values() []string { return setting.Texts(CheckpointAuto, CheckpointNone) }

// Later returns the types that are reserved for a later version.
func (CheckpointType) Later() []string { return []string{"file", "s3"} }

// Checkpoint is the `checkpoint` part of pipeline.yaml.
type Checkpoint struct {
	Type CheckpointType `key:"type"`
	Path string         `key:"path"`
	_    struct{}       `later:"every bucket prefix region endpoint_url force_path_style"`
	_    struct{}       `later:"profile role_arn" instead:"name the profile, with its role if it has one, in AWS_PROFILE"`
}

// Choice is a setting that can be left to the program.
type Choice string

// The values of service.progress; Auto means on a terminal only.
const (
	Auto Choice = "auto"
	On   Choice = "on"
	Off  Choice = "off"
)

// Values returns the values of progress.
func (Choice) Values() []string { return setting.Texts(Auto, On, Off) }

// LogFormat is the form of log lines.
type LogFormat string

// The forms of log lines. LogAuto is text on a terminal, else JSON.
const (
	LogAuto LogFormat = "auto"
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

// Values returns the forms of log lines.
func (LogFormat) Values() []string { return setting.Texts(LogAuto, LogText, LogJSON) }

// LogLevel is the least severe level of log lines, as log/slog's Level reads it.
type LogLevel string

// Values returns the levels.
func (LogLevel) Values() []string { return []string{"debug", "info", "warn", "error"} }

// Log is the `service.log` part of pipeline.yaml.
type Log struct {
	Level  LogLevel  `key:"level"`
	Format LogFormat `key:"format"`
}

// Service is the `service` part of pipeline.yaml.
type Service struct {
	_        struct{} `later:"http"`
	Log      Log      `key:"log"`
	Progress Choice   `key:"progress"`
	// ShutdownTimeout is how long a drain may take after the first signal.
	ShutdownTimeout time.Duration `key:"shutdown_timeout"`
}

// Default returns the settings of an empty file. It has no sinks, and
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

// defaultSink returns the settings of a sink of which only the name is set.
func defaultSink() Sink {
	c := sink.DefaultConfig()
	return Sink{
		Sample: plan.DefaultSample(), Resize: decode.DefaultResize(), Form: decode.DefaultImageForm(),
		Path: c.Path, Destination: c.Destination, Manifest: c.Manifest,
	}
}
