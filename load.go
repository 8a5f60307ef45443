package kvsframes

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/kvsframes/kvsframes/config"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/setting"
	"github.com/kvsframes/kvsframes/sink/s3"
	"github.com/kvsframes/kvsframes/source"
	"github.com/kvsframes/kvsframes/source/kvs"
)

// LoadOptions states where the settings of a pipeline come from.
type LoadOptions struct {
	// Path is the settings file.
	Path string
	// Sinks and Sources stand for the settings file, if there are any: see config.Options. A source is a file if there is one of its
	// name, or if it cannot be the name of a stream.
	Sinks, Sources []string
	// Environ is the environment, as os.Environ returns it, for ${VAR} and the KVSFRAMES_ variables; nil is
	// an empty one. The AWS SDK reads the environment of the process.
	Environ []string
	// Set holds settings, KEY=VALUE, that override all others.
	Set []string
	// Fragments are the numbers of the only fragments to read, from the archive of the one stream that the
	// settings name.
	Fragments []string
	// Frames are the only frames to write, by their places in fragments, in place of what the sinks' samplers would choose. Then only these
	// fragments are read, and Fragments is empty.
	Frames []plan.Request
	// Gaps is a folder, or s3://BUCKET/PREFIX, with the ledger of earlier runs of the same settings. The run then reads nothing but the archived
	// fragments that the gaps lack, writes their images, and closes the gaps.
	Gaps string
	// Stdin is read where a file source has the path -.
	Stdin io.Reader
	// NewLog returns the logger for warnings about files. Nil is silent.
	NewLog func(config.Log) *slog.Logger
}

// Pipeline is what a pipeline.yaml describes, with what it refers to: files, the AWS configuration, lists
// of times.
type Pipeline struct {
	// Config holds the settings. It is nil when they could not be read.
	Config *config.Config

	options LoadOptions
	// times are the requests of each sink that has a file of them, by the sink's index.
	times map[int][]plan.Request
	// lagPatience is how long a stream may be too far behind, if tests do not wait for the usual time.
	lagPatience time.Duration
	// descriptions are what is known of KVS streams, each a *describer, by the stream's name.
	descriptions sync.Map
	// spans are the relative times of streams with a checkpoint, each a span, by the stream's name.
	spans sync.Map
	// inputs are the recordings of a file source.
	inputs []source.Input
	// aws is the AWS configuration with which streams are read, if anything needs it.
	aws    *aws.Config
	awsErr error // from loading it
}

// Load reads the settings and checks that what they refer to exists and can be used. It starts nothing.
// The error is a config.Problems, which lists every problem with its place. The Pipeline then cannot run,
// but its Config has what could be read.
func Load(ctx context.Context, o LoadOptions) (*Pipeline, error) {
	for _, r := range o.Frames {
		o.Fragments = append(o.Fragments, r.Fragment)
	}
	p := &Pipeline{options: o, times: map[int][]plan.Request{}}
	from := config.Options{Path: o.Path, Sinks: o.Sinks, Sources: o.Sources, Environ: o.Environ, Set: o.Set}
	from.Files = slices.ContainsFunc(o.Sources, source.IsFile)
	from.Check = func(c *config.Config) []config.PartError {
		p.Config = c
		p.replaceSamplers()
		return slices.Concat(p.findSource(ctx), p.findSinks(ctx), p.findCheckpoint(ctx))
	}
	c, err := config.Load(from)
	if err == nil {
		p.Config = c
	}
	return p, err
}

// Changed returns the keys whose values differ in another pipeline (see config.Config.Changed), and sinks.NAME.sample.file for a list of times that differs.
func (p *Pipeline) Changed(to *Pipeline) []string {
	changed := p.Config.Changed(to.Config)
	for i, s := range p.Config.Sinks {
		j := slices.IndexFunc(to.Config.Sinks, func(other config.Sink) bool { return other.Name == s.Name })
		key := "sinks." + s.Name + ".sample.file"
		if j >= 0 && s.TimesFile() != "" && !reflect.DeepEqual(p.times[i], to.times[j]) && !slices.Contains(changed, key) {
			changed = append(changed, key)
		}
	}
	return changed
}

// replaceSamplers makes all sinks ask for the frames of the options.
func (p *Pipeline) replaceSamplers() {
	if len(p.options.Frames) == 0 {
		return
	}
	for i := range p.Config.Sinks {
		rule := plan.DefaultTimestamps()
		rule.Asked = p.options.Frames
		p.Config.Sinks[i].Sample.Rule, p.times[i] = rule, rule.Asked
	}
}

// wrong returns a problem with a key.
func wrong(part, key, format string, args ...any) config.PartError {
	return config.PartError{Part: part, Err: &setting.Error{Path: key, Problem: fmt.Sprintf(format, args...)}}
}

func sinkPart(i int) string { return fmt.Sprintf("sinks[%d]", i) }

func (p *Pipeline) findSource(ctx context.Context) []config.PartError {
	c, fragments := p.Config, p.options.Fragments
	from, isKVS := c.Source.KVS()
	if !isKVS {
		return p.findFiles()
	}
	var found []config.PartError
	if len(fragments) > 0 && from.Many() {
		found = append(found, wrong("source", "streams", "--fragment reads fragments of one stream: name that one alone"))
	}
	chain, err := p.chain(ctx)
	switch {
	case err != nil && from.Profile != "":
		found = append(found, wrong("source", "profile", "%v", err))
	case err != nil:
		found = append(found, wrong("source", "region", "%v", err))
	case strings.TrimSpace(chain.Region) == "" && (from.RoleARN != "" || slices.ContainsFunc(from.Streams, isNoARN)):
		found = append(found, wrong("source", "region", "no AWS region is set: set source.region, AWS_REGION, or the region of the profile"))
	}
	return found
}

// isNoARN reports whether a stream is given without its region, by name.
func isNoARN(stream string) bool { return !strings.HasPrefix(source.StreamTarget(stream), "arn:") }

func (p *Pipeline) findFiles() []config.PartError {
	c := p.Config
	var found []config.PartError
	if p.options.Gaps != "" {
		found = append(found, wrong("source", "type", "--gaps reads the archive of KVS streams"))
	}
	if len(p.options.Fragments) > 0 {
		found = append(found, wrong("source", "type", "--fragment reads fragments of a KVS stream"))
	}
	var log *slog.Logger
	if p.options.NewLog != nil {
		log = p.options.NewLog(c.Service.Log)
	}
	inputs, err := source.OpenFiles(c.Source, p.options.Stdin, log)
	if err != nil {
		return append(found, config.PartError{Part: "source", Err: err})
	}
	p.inputs = inputs
	once := func(in source.Input) bool { return in.Continue == nil }
	if c.CheckpointType() != config.CheckpointNone && slices.ContainsFunc(inputs, once) {
		found = append(found, wrong("checkpoint", "type", "%s needs plain files: a pipe or standard input cannot be read again", c.Checkpoint.Type))
	}
	if len(inputs) < 2 {
		return found
	}
	for i, s := range c.Sinks {
		if err := s.SinkConfig().CheckStreams(); err != nil {
			found = append(found, config.PartError{Part: sinkPart(i), Err: err})
		}
	}
	return found
}

func (p *Pipeline) findSinks(ctx context.Context) []config.PartError {
	var found []config.PartError
	for i, s := range p.Config.Sinks {
		if file := s.TimesFile(); file != "" {
			times, err := readTimes(file)
			if err != nil {
				found = append(found, wrong(sinkPart(i), "sample.file", "%v", err))
			}
			p.times[i] = times
		}
		if err := s.Destination.Location.Check(ctx); err != nil {
			var problems setting.Problems
			problems.AddBelow("destination", err)
			found = append(found, config.PartError{Part: sinkPart(i), Err: problems.Err()})
		}
	}
	return found
}

// findCheckpoint checks that a checkpoint in S3 has a region.
func (p *Pipeline) findCheckpoint(ctx context.Context) []config.PartError {
	if p.Config.CheckpointType() != config.CheckpointS3 {
		return nil
	}
	if err := p.Config.Checkpoint.S3().Check(ctx); err != nil {
		return []config.PartError{{Part: "checkpoint", Err: err}}
	}
	return nil
}

// chain returns the configuration of the AWS chain with which streams are read.
func (p *Pipeline) chain(ctx context.Context) (aws.Config, error) {
	if p.aws == nil && p.awsErr == nil {
		from, _ := p.Config.Source.KVS()
		cfg, err := kvs.LoadFor(ctx, from)
		p.aws, p.awsErr = &cfg, err
	}
	if p.awsErr != nil {
		return aws.Config{}, p.awsErr
	}
	return p.aws.Copy(), nil
}

// fill puts the times that were read into the settings.
func (p *Pipeline) fill() {
	c := p.Config
	for i, at := range p.times {
		if rule, ok := c.Sinks[i].Sample.Rule.(plan.Timestamps); ok {
			rule.Asked, rule.File = at, ""
			c.Sinks[i].Sample.Rule = rule
		}
	}
}

// checkCredentials returns an error when the run lacks credentials that it needs. Those of a bucket that has a profile or a role of its own
// are needed when it is opened.
func (p *Pipeline) checkCredentials(ctx context.Context) error {
	if from, isKVS := p.Config.Source.KVS(); isKVS {
		chain, err := p.chain(ctx)
		if err == nil {
			err = kvs.CheckCredentials(ctx, chain)
		}
		if err != nil || from.Profile == "" && from.RoleARN == "" { // the same that buckets need
			return err
		}
	}
	if !slices.ContainsFunc(p.buckets(), func(c s3.Config) bool { return c.Profile == "" && c.RoleARN == "" }) {
		return nil
	}
	chain, err := kvs.LoadAWS(ctx, "")
	if err != nil {
		return err
	}
	return kvs.CheckCredentials(ctx, chain)
}

// buckets returns the destinations in S3, those of checkpoints included.
func (p *Pipeline) buckets() []s3.Config {
	var all []s3.Config
	for _, s := range p.Config.Sinks {
		if c, ok := s.Destination.Location.(s3.Config); ok {
			all = append(all, c)
		}
	}
	if p.Config.CheckpointType() == config.CheckpointS3 {
		all = append(all, p.Config.Checkpoint.S3())
	}
	return all
}

// readTimes reads a file of times.
func readTimes(path string) ([]plan.Request, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	times, err := plan.ReadRequests(f, false)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return times, nil
}
