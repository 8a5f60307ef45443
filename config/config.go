// Package config reads pipeline.yaml into the Config structs of the packages that it configures. It is strict, and
// reports all problems at once, each with its place in the file. It starts nothing.
//
//	c, err := config.Load(config.Options{Path: "pipeline.yaml", Environ: os.Environ()})
//
// The keys that depend on the type of a source, sampler, sink or destination are in a separate struct behind an
// interface: c.Source.Origin may be a source.KVSConfig. BuiltIn lists all types.
//
// Settings come from four layers; later ones override earlier ones: the defaults in code, the file, the
// environment, the --set flags.
//
//   - In the file, ${VAR}, ${VAR:-default} and ${VAR:?message} are replaced inside scalar values, after YAML
//     parsing, so that a value can never become structure. "$${" is a literal "${". Values of the other layers
//     are literal.
//   - Every key has an environment variable: KVSFRAMES_, then the key in capitals with dots as underscores
//     (KVSFRAMES_SOURCE_ENDPOINT_URL). A sink is addressed by its index in the file, from 0:
//     KVSFRAMES_SINKS_0_QUALITY. A variable that starts with KVSFRAMES_ and belongs to no key is a problem, except
//     those of the build and the tests (KVSFRAMES_CACHE, KVSFRAMES_LIBAV and KVSFRAMES_VERSITYGW).
//   - A flag is KEY=VALUE: source.region=eu-west-1. A sink is addressed by index or by name: sinks.0.quality,
//     sinks.thumbs.quality; where a name is a number, the index wins. Of two flags for one key the last one applies.
//   - In the environment and in flags a list is written a,b or [a, b], and a whole mapping {type: stride, n: 5}. A
//     mapping replaces the mapping of the lower layers; a single key leaves the other keys unchanged.
package config

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/decode"
	"github.com/kvsframes/kvsframes/decode/pick"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/setting"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/sink/s3"
	"github.com/kvsframes/kvsframes/source"
)

// Version is the version of the file format that this package reads.
const Version = 1

// Config holds the settings of pipeline.yaml.
type Config struct {
	Version    int           `key:"version" doc:"The version of the form of this file."`
	Source     source.Config `key:"source"`
	Decode     decode.Config `key:"decode"`
	Sinks      []Sink        // merged one by one, see load.go
	Checkpoint Checkpoint    `key:"checkpoint"`
	Lag        Lag           `key:"lag"`
	Service    Service       `key:"service"`
	_          struct{}      `later:"fleet"`

	// schema is the schema with which the settings were loaded; nil is that of BuiltIn.
	schema *schema
	// shown holds the references of values, as in the file, by full path; secrets are the values that messages must
	// not repeat.
	shown   map[string]string
	secrets secrets
	// origins are where values come from, by full path; what has none is a default.
	origins map[string]string
	// relative holds the times that were relative, as in the settings, by path.
	relative map[string]string
}

// keys returns all keys of the file.
func (c *Config) keys() *schema {
	if c.schema == nil {
		return builtIn()
	}
	return c.schema
}

// Sink is one entry of `sinks`: what the decode stage makes for it, and where the images are written.
type Sink struct {
	Name    string        `key:"name,optional" doc:"The name of the sink, which must be written, in names of objects, records, metrics and messages: letters, digits, _ and -, and dots inside." example:"thumbs"`
	_       struct{}      `key:"type" doc:"What the sink makes: image and raw an object for each sample, webdataset, parquet, batch and sprite one for each group of samples."`
	Sample  plan.Sample   `key:"sample"`
	Filters pick.Filters  `key:"filters"`
	Resize  decode.Resize `key:"resize"`
	// Form holds the keys that depend on the type of the sink.
	Form        decode.Form      `block:"type"`
	Path        string           `key:"path" doc:"The name of each object, with path tokens; the name of a group has those of its first sample." example:"dt={producer_date}/{stream}/{fragment_number}_{frame_index}.{ext}"`
	Destination sink.Destination `key:"destination"`
	Manifest    sink.Manifest    `key:"manifest"`
	Ledger      sink.Ledger      `key:"ledger"`

	// TimesFolder is the folder for a relative file of times: that of the settings file when the path comes from
	// that file, else "", the working directory.
	TimesFolder string
	// OverwriteExplicit reports whether the settings contain if_exists: overwrite (see sink.Config).
	OverwriteExplicit bool
}

// TimesFile returns the path of the sampler's file of times, or "" when there is none.
func (s Sink) TimesFile() string {
	rule, _ := s.Sample.Rule.(plan.Timestamps)
	if rule.File == "" || filepath.IsAbs(rule.File) {
		return rule.File
	}
	return filepath.Join(s.TimesFolder, rule.File)
}

// Output returns the sink's settings for the decode stage.
func (s Sink) Output() decode.Output {
	out := decode.Output{Sink: s.Name, Sample: s.Sample, Filters: s.Filters, Resize: s.Resize}
	s.Form.Ask(&out)
	return out
}

// SinkConfig returns the settings for naming, writing and recording the sink's images.
func (s Sink) SinkConfig() sink.Config {
	c := sink.Config{
		Name: s.Name, Path: s.Path, Destination: s.Destination, Manifest: s.Manifest, Ledger: s.Ledger,
		OverwriteExplicit: s.OverwriteExplicit, Ext: s.Form.Ext(), Clock: s.Sample.Clock,
	}
	if form, ok := s.Form.(interface{ Groups() sink.Groups }); ok {
		g := form.Groups()
		c.Groups = &g
	}
	return c
}

// CheckpointType states where the position of a stream is kept.
type CheckpointType string

// The types of checkpoint. CheckpointAuto is a file for streams of KVS, and none for files, which are read from their beginning.
const (
	CheckpointAuto CheckpointType = "auto"
	CheckpointNone CheckpointType = "none"
	CheckpointFile CheckpointType = "file"
	CheckpointS3   CheckpointType = "s3"
)

// Values returns the types of checkpoint.
func (CheckpointType) Values() []string {
	return setting.Texts(CheckpointAuto, CheckpointNone, CheckpointFile, CheckpointS3)
}

// Checkpoint is the `checkpoint` part of pipeline.yaml.
type Checkpoint struct {
	Type  CheckpointType       `key:"type" doc:"Where the places of the streams are kept for a later run: auto is a file for streams of KVS, and none for files, for --fragment, and where the only sink is stdout." example:"s3"`
	Path  string               `key:"path" doc:"The path or key of the checkpoint of a stream, with {stream} and with {pipeline}, which stands for the settings file: below the working directory, or below the prefix."`
	Every setting.AutoDuration `key:"every" doc:"How often the checkpoint is written while it moves: auto is 1s, and in S3 10s." example:"5s"`
	// These locate a checkpoint in S3, as they do images (see s3.Config).
	Bucket         string          `key:"bucket,optional" with:"type=s3" doc:"The bucket of the checkpoints, which must be written." example:"my-bucket"`
	Prefix         string          `key:"prefix" with:"type=s3" doc:"What the keys of the checkpoints begin with, followed by a slash." example:"checkpoints"`
	Region         string          `key:"region" with:"type=s3" doc:"The region of the bucket; empty is that of the AWS chain." example:"eu-west-1"`
	Profile        string          `key:"profile" with:"type=s3" doc:"The profile of the AWS chain for the checkpoints; empty is that of the chain itself." example:"video-account"`
	RoleARN        setting.RoleARN `key:"role_arn" with:"type=s3" doc:"The role that the profile, or the chain, assumes for the checkpoints." example:"arn:aws:iam::123456789012:role/frames"`
	EndpointURL    string          `key:"endpoint_url" with:"type=s3" doc:"The URL of the server, where it is not that of Amazon." example:"http://127.0.0.1:9000"`
	ForcePathStyle bool            `key:"force_path_style" with:"type=s3" doc:"Whether the bucket is in the path of URLs, and not in the name of the server." example:"true"`
}

func defaultCheckpoint() Checkpoint {
	return Checkpoint{Type: CheckpointAuto, Path: ".kvsframes/{pipeline}/{stream}.json"}
}

// S3 returns where checkpoints of type s3 are.
func (c Checkpoint) S3() s3.Config {
	at := s3.DefaultConfig()
	at.Bucket, at.Prefix, at.Region, at.EndpointURL, at.ForcePathStyle = c.Bucket, c.Prefix, c.Region, c.EndpointURL, c.ForcePathStyle
	at.Profile, at.RoleARN = c.Profile, c.RoleARN
	at.Timeout = 10 * time.Second // an owner must write three times in 30 s
	return at
}

// Validate returns all problems of c, joined; each is a *setting.Error whose path starts below `checkpoint`.
func (c Checkpoint) Validate() error {
	var p setting.Problems
	p.Check("", c, defaultCheckpoint())
	switch rest := strings.NewReplacer("{stream}", "", "{pipeline}", "").Replace(c.Path); {
	case c.Type == CheckpointNone:
	case !strings.Contains(c.Path, "{stream}"):
		p.Add("path", "needs {stream}: each stream has its own checkpoint")
	case strings.ContainsAny(rest, "{}"):
		p.Add("path", "has a token other than {stream} and {pipeline}")
	}
	if c.Type == CheckpointS3 {
		p.AddBelow("", c.S3().Validate())
		if err := sink.CheckKey(c.Path); err != nil {
			p.Add("path", "is no key of an object: it has an empty segment, or one that is . or ..")
		}
	}
	return p.Err()
}

// CheckpointType returns what type of checkpoint the settings ask for, which is not CheckpointAuto.
func (c *Config) CheckpointType() CheckpointType {
	if c.Checkpoint.Type != CheckpointAuto {
		return c.Checkpoint.Type
	}
	if _, isKVS := c.Source.KVS(); isKVS && c.keepsPlace() {
		return CheckpointFile
	}
	return CheckpointNone
}

// keepsPlace reports whether a checkpoint can have the place of any sink. What was written to a pipe is not durable.
func (c *Config) keepsPlace() bool {
	return slices.ContainsFunc(c.Sinks, func(s Sink) bool { return !s.Destination.Appends() })
}

// PathOf returns the path, or in S3 the key, of the checkpoint of a stream. settings is the path of the settings file, of which {pipeline} is the
// start of a hash.
func (c Checkpoint) PathOf(settings, stream string) string {
	if absolute, err := filepath.Abs(settings); err == nil {
		settings = absolute
	}
	return strings.NewReplacer("{stream}", stream, "{pipeline}", digest(settings)).Replace(c.Path)
}

// Period returns how often a checkpoint is written while it moves.
func (c Checkpoint) Period() time.Duration {
	every, set := c.Every.Get()
	switch {
	case set:
		return every
	case c.Type == CheckpointS3:
		return 10 * time.Second
	}
	return time.Second
}

// Choice is a setting that may be on, off, or chosen by the program.
type Choice string

// The values of service.progress. Auto shows progress only on a terminal.
const (
	Auto Choice = "auto"
	On   Choice = "on"
	Off  Choice = "off"
)

// Values returns the values of progress.
func (Choice) Values() []string { return setting.Texts(Auto, On, Off) }

// LogFormat is the format of log lines.
type LogFormat string

// The formats of log lines. LogAuto is text on a terminal, else JSON.
const (
	LogAuto LogFormat = "auto"
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

// Values returns the formats of log lines.
func (LogFormat) Values() []string { return setting.Texts(LogAuto, LogText, LogJSON) }

// LogLevel is the lowest level that is logged, as log/slog's Level reads it.
type LogLevel string

// Values returns the levels.
func (LogLevel) Values() []string { return []string{"debug", "info", "warn", "error"} }

// Log is the `service.log` part of pipeline.yaml.
type Log struct {
	Level  LogLevel  `key:"level" doc:"The lowest level that is logged." example:"debug"`
	Format LogFormat `key:"format" doc:"The form of log lines, and of the summary and errors after them: auto is text on a terminal, else json." example:"json"`
}

// Service is the `service` part of pipeline.yaml.
type Service struct {
	HTTP string `key:"http,optional" doc:"The address on which /metrics, /healthz and /readyz are served; empty serves nothing." example:"127.0.0.1:9090"`
	// Pprof also serves profiles of the process there. They show what it does to everybody who reaches the address.
	Pprof           bool          `key:"pprof" doc:"Whether profiles of the process are served there as well, at /debug/pprof/, to everybody who reaches the address." example:"true"`
	Log             Log           `key:"log"`
	Progress        Choice        `key:"progress" doc:"Whether lines show the progress: auto is on a terminal." example:"off"`
	ShutdownTimeout time.Duration `key:"shutdown_timeout" doc:"How long the work in progress may take after the first interrupt."`
}

// Validate returns all problems of s, joined; each is a *setting.Error whose path starts below `service`.
func (s Service) Validate() error {
	var p setting.Problems
	p.Check("", s, Default().Service)
	if s.HTTP != "" {
		if _, port, err := net.SplitHostPort(s.HTTP); err != nil || port == "" {
			p.Add("http", "%q is not an address: write HOST:PORT, such as 127.0.0.1:9090", setting.Short(s.HTTP))
		}
	}
	return p.Err()
}

// Default returns the settings of an empty file. They have no sinks, and are therefore not valid.
func Default() Config {
	return Config{
		Version:    Version,
		Source:     source.DefaultConfig(),
		Decode:     decode.DefaultConfig(),
		Checkpoint: defaultCheckpoint(),
		Lag:        Lag{Action: LagNone},
		Service: Service{
			Log:             Log{Level: "info", Format: LogAuto},
			Progress:        Auto,
			ShutdownTimeout: 20 * time.Second,
		},
	}
}

// defaultSink returns the settings of a sink for which only the name is set.
func defaultSink() Sink {
	c := sink.DefaultConfig()
	return Sink{
		Sample: plan.DefaultSample(), Resize: decode.DefaultResize(), Form: decode.DefaultImageForm(),
		Path: c.Path, Destination: c.Destination, Manifest: c.Manifest, Ledger: c.Ledger,
	}
}
