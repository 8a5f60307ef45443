package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/kvsframes/kvsframes/config"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/setting"
	"github.com/kvsframes/kvsframes/sink/s3"
	"github.com/kvsframes/kvsframes/source"
	"github.com/kvsframes/kvsframes/source/kvs"
)

// ready is what a run takes from outside of its settings before it starts: what they
// name is there, and can be used. validate looks for the same, by the same code.
type ready struct {
	// settings are those that were looked at, with defaults for what is wrong in them; nil
	// when there are none to look at.
	settings *config.Config
	// times are the requests of the sinks that have a file of them, by sink.
	times map[int][]plan.Request
	// inputs are the recordings of a file source.
	inputs []source.Input
	// aws is the AWS chain, if anything needs it.
	aws *aws.Config
	err error // of loading it
}

// prepare reads the settings and looks for all that a run needs. Its error names
// everything that is wrong, and carries the exit code for it; what was found is returned
// all the same. fragments are those of --fragment.
func (p *program) prepare(ctx context.Context, from config.Options, fragments []string) (*config.Config, *ready, error) {
	r := &ready{times: map[int][]plan.Request{}}
	from.Check = func(c *config.Config) []config.PartError {
		r.settings = c
		return slices.Concat(r.findSource(ctx, c, fragments, p), r.findSinks(ctx, c))
	}
	c, err := config.Load(from)
	if err != nil {
		return nil, r, &exitError{code: exitConfig, err: err}
	}
	p.redact = c.Redact
	return c, r, nil
}

// wrong is one thing that is wrong with a key.
func wrong(part, key, format string, args ...any) config.PartError {
	return config.PartError{Part: part, Err: &setting.Error{Path: key, Problem: fmt.Sprintf(format, args...)}}
}

func sinkPart(i int) string { return fmt.Sprintf("sinks[%d]", i) }

func (r *ready) findSource(ctx context.Context, c *config.Config, fragments []string, p *program) []config.PartError {
	from, isKVS := c.Source.KVS()
	if !isKVS {
		return r.findFiles(c, fragments, p)
	}
	var found []config.PartError
	if len(fragments) > 0 && from.Many() {
		found = append(found, wrong("source", "streams", "--fragment reads fragments of one stream: name that one alone"))
	}
	chain, err := r.chain(ctx, from.Region)
	switch {
	case err != nil:
		found = append(found, wrong("source", "region", "%v", err))
	case strings.TrimSpace(chain.Region) == "" && slices.ContainsFunc(from.Streams, isNoARN):
		found = append(found, wrong("source", "region", "no AWS region is set: set source.region, AWS_REGION, or the region of the profile"))
	}
	return found
}

// isNoARN reports whether a stream is given without its region.
func isNoARN(stream string) bool { return !strings.HasPrefix(source.StreamTarget(stream), "arn:") }

func (r *ready) findFiles(c *config.Config, fragments []string, p *program) []config.PartError {
	var found []config.PartError
	if len(fragments) > 0 {
		found = append(found, wrong("source", "type", "--fragment reads fragments of a KVS stream"))
	}
	inputs, err := source.OpenFiles(c.Source, p.stdin, newLogger(p.stderr, c.Service.Log, p.terminal))
	if err != nil {
		return append(found, config.PartError{Part: "source", Err: err})
	}
	if r.inputs = inputs; len(inputs) < 2 {
		return found
	}
	for i, s := range c.Sinks {
		if err := s.SinkConfig().CheckStreams(); err != nil {
			found = append(found, config.PartError{Part: sinkPart(i), Err: err})
		}
	}
	return found
}

func (r *ready) findSinks(ctx context.Context, c *config.Config) []config.PartError {
	var found []config.PartError
	for i, s := range c.Sinks {
		if file := s.TimesFile(); file != "" {
			times, err := readTimes(file)
			if err != nil {
				found = append(found, wrong(sinkPart(i), "sample.file", "%v", err))
			}
			r.times[i] = times
		}
		if err := s.Destination.Location.Check(ctx); err != nil {
			var p setting.Problems
			p.AddBelow("destination", err)
			found = append(found, config.PartError{Part: sinkPart(i), Err: p.Err()})
		}
	}
	return found
}

// chain returns the AWS chain, in a region of its own or in that of the settings.
func (r *ready) chain(ctx context.Context, region string) (aws.Config, error) {
	if r.aws == nil && r.err == nil {
		cfg, err := kvs.LoadAWS(ctx, "")
		r.aws, r.err = &cfg, err
	}
	if r.err != nil {
		return aws.Config{}, r.err
	}
	cfg := r.aws.Copy()
	if region != "" {
		cfg.Region = region
	}
	return cfg, nil
}

// fill puts what was read into the settings of a run.
func (r *ready) fill(c *config.Config) {
	for i, at := range r.times {
		if rule, ok := c.Sinks[i].Sample.Rule.(plan.Timestamps); ok {
			rule.Asked, rule.File = at, ""
			c.Sinks[i].Sample.Rule = rule
		}
	}
}

// checkCredentials finds out whether a run has the credentials that it needs.
func (r *ready) checkCredentials(ctx context.Context, c *config.Config) error {
	toS3 := slices.ContainsFunc(c.Sinks, func(s config.Sink) bool { _, ok := s.Destination.Location.(s3.Config); return ok })
	if _, isKVS := c.Source.KVS(); !isKVS && !toS3 {
		return nil
	}
	chain, err := r.chain(ctx, "")
	if err != nil {
		return err
	}
	return haveCredentials(ctx, chain)
}

// readTimes reads a file of times.
func readTimes(path string) ([]plan.Request, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	times, err := plan.ReadTimes(f)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return times, nil
}

// haveCredentials finds out whether the AWS chain gives any credentials, so that their lack
// is told at once and not after every request has been tried again and again.
func haveCredentials(ctx context.Context, cfg aws.Config) error {
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give this machine a role (%w)", err)
	}
	return nil
}
