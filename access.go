package kvsframes

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/kvsframes/kvsframes/config"
	"github.com/kvsframes/kvsframes/internal/logging"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/sink/s3"
	"github.com/kvsframes/kvsframes/source"
	"github.com/kvsframes/kvsframes/source/kvs"
)

// Access states whether an end of a pipeline answered as a run needs it.
type Access struct {
	// What is the end: a stream, a sink or the checkpoint.
	What string
	// Note describes what a run can do without; "" for nothing.
	Note string
	// Err is what is wrong, with the IAM action if one is missing; nil if nothing is.
	Err error
}

// accessLimit bounds the time in which an end must answer.
const accessLimit = 30 * time.Second

// CheckAccess asks each stream and each bucket of the pipeline whether a run can use them. It reads no media, and leaves no object.
// Whether groups are too long for a stream's retention is checked as well.
func (p *Pipeline) CheckAccess(ctx context.Context) iter.Seq[Access] {
	return func(yield func(Access) bool) {
		ask := func(what string, about func(ctx context.Context) (note string, err error)) bool {
			limited, cancel := context.WithTimeout(ctx, accessLimit)
			defer cancel()
			note, err := about(limited)
			return yield(Access{what, note, err})
		}
		from, _ := p.Config.Source.KVS()
		for _, entry := range from.Streams {
			if !ask("stream "+entry, func(ctx context.Context) (string, error) { return p.checkEntry(ctx, entry) }) {
				return
			}
		}
		for _, s := range p.Config.Sinks {
			if !ask("sink "+s.Name, func(ctx context.Context) (string, error) {
				to, _ := s.Destination.Location.(sink.Prober) // the others were checked by Load
				if to == nil {
					return "", nil
				}
				return to.Probe(ctx, s.Destination.IfExists != sink.IfExistsOverwrite)
			}) {
				return
			}
		}
		if p.Config.CheckpointType() == config.CheckpointS3 {
			ask("checkpoint", func(ctx context.Context) (string, error) { return p.Config.Checkpoint.S3().Probe(ctx, true) })
		}
	}
}

var _ sink.Prober = s3.Config{}

// checkEntry asks for one entry of source.streams. Of the streams that a pattern matches, it asks for the first one.
func (p *Pipeline) checkEntry(ctx context.Context, entry string) (note string, err error) {
	chain, err := p.chain(ctx)
	if err == nil {
		err = kvs.CheckCredentials(ctx, chain)
	}
	if err != nil {
		return "", err
	}
	from, _ := p.Config.Source.KVS()
	if source.IsPattern(entry) {
		names, err := kvs.ListStreams(ctx, chain, from.EndpointURL, source.Pattern(entry))
		if err != nil || len(names) == 0 {
			return "no stream matches now", withAction(err)
		}
		note, entry = fmt.Sprintf("%d match; the first is %s", len(names), names[0]), names[0]
	}
	cfg := kvs.ConfigOf(chain, p.Config.Source, entry, logging.OrSilent(nil))
	told, err := kvs.Describe(ctx, cfg)
	switch action := kvs.MissingAction(err); {
	case action != "":
		note = "without " + action + ", nobody knows how long the stream keeps its fragments"
	case err != nil:
		return "", err
	default:
		if err := p.checkRetention(cfg.As, told.Retention); err != nil {
			return "", err
		}
	}
	return note, withAction(kvs.CheckAccess(ctx, cfg))
}

// withAction adds the IAM action to the error of a call that was not allowed.
func withAction(err error) error {
	if action := kvs.MissingAction(err); action != "" {
		return fmt.Errorf("%w: the credentials need %s", err, action)
	}
	return err
}
