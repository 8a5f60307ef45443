package kvsframes

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source"
	"github.com/kvsframes/kvsframes/source/kvs"
)

// PlanOptions holds the optional settings of Pipeline.Plan.
type PlanOptions struct {
	// PricePerGB is the price of reading 10^9 bytes from KVS, in US dollars. Nil is that of ListPrices, which holds for
	// the hot tier.
	PricePerGB *float64
	// Rate is the frame rate of archived video, for estimates; zero is unknown.
	Rate plan.Rate
	// Log gets warnings. Nil is silent.
	Log *slog.Logger
}

// ErrLive is returned for a pipeline that reads a live stream: the stream has no end.
var ErrLive = errors.New("source.mode is live: a live stream has no end to plan for; try --set source.mode=archive")

// Plan returns what a run of the pipeline would read and write. It lists the fragments of archives and
// estimates the number of images. It reads files, and plans them as a run does, without decoding. It
// returns ErrLive for a pipeline that reads live.
func (p *Pipeline) Plan(ctx context.Context, o PlanOptions) (*Plan, error) {
	from, isKVS := p.Config.Source.KVS()
	if from.Mode == source.ModeLive {
		return nil, ErrLive
	}
	p.fill()
	var plans []*StreamPlan
	var err error
	if isKVS {
		plans, err = p.planStreams(ctx, o)
	} else {
		plans, err = p.planFiles(ctx)
	}
	if err != nil {
		return nil, err
	}
	return newPlan(p.Config, plans), nil
}

// planFiles plans the files of the settings.
func (p *Pipeline) planFiles(ctx context.Context) ([]*StreamPlan, error) {
	var plans []*StreamPlan
	for _, in := range p.inputs {
		sp := newStreamPlan(in.Stream, p.Config)
		if err := sp.readFile(ctx, in, p.Config); err != nil {
			return nil, fmt.Errorf("plan %s: %w", in.Stream, err)
		}
		plans = append(plans, sp)
	}
	return plans, nil
}

// planStreams plans the archives of the streams in the settings.
func (p *Pipeline) planStreams(ctx context.Context, o PlanOptions) ([]*StreamPlan, error) {
	c := p.Config
	from, _ := c.Source.KVS()
	cfg, err := p.chain(ctx)
	if err == nil {
		err = kvs.CheckCredentials(ctx, cfg)
	}
	if err != nil {
		return nil, err
	}
	streams, err := namedStreams(ctx, cfg, from)
	if err != nil {
		return nil, err
	}
	var plans []*StreamPlan
	for _, nameOrARN := range streams {
		name, _ := source.StreamName(nameOrARN) // the settings hold only valid ones
		sp := newStreamPlan(name, c)
		of := kvs.ConfigOf(cfg, c.Source, nameOrARN, o.Log)
		if err := sp.addListed(kvs.List(ctx, of), c.Source, o.Rate); err != nil {
			return nil, fmt.Errorf("plan %s: %w", name, err)
		}
		sp.finish()
		sp.askTier(ctx, of)
		sp.price(o.PricePerGB, c)
		plans = append(plans, sp)
	}
	return plans, nil
}

// namedStreams returns the streams of the settings, without duplicates.
func namedStreams(ctx context.Context, cfg aws.Config, c source.KVSConfig) ([]string, error) {
	var all []string
	seen := map[string]bool{}
	add := func(nameOrARN string) {
		if name, _ := source.StreamName(nameOrARN); !seen[name] {
			seen[name] = true
			all = append(all, nameOrARN)
		}
	}
	for _, entry := range c.Streams {
		if !source.IsPattern(entry) {
			add(entry)
		}
	}
	for _, entry := range slices.DeleteFunc(slices.Clone(c.Streams), func(s string) bool { return !source.IsPattern(s) }) {
		names, err := kvs.ListStreams(ctx, cfg, c.EndpointURL, source.Pattern(entry))
		if err != nil {
			return nil, err
		}
		if len(names) == 0 {
			return nil, fmt.Errorf("list streams %s: %w", entry, errNoMatch)
		}
		for _, name := range names {
			add(name)
		}
	}
	return all, nil
}

// addListed counts listed fragments until a limit of the settings is reached.
func (sp *StreamPlan) addListed(list iter.Seq2[kvs.ArchivedFragment, error], c source.Config, rate plan.Rate) error {
	from, _ := c.KVS()
	until := c.End.Timestamp
	for f, err := range list {
		if err != nil {
			return err
		}
		at := f.ProducerTime
		if c.EndClock() == media.ClockServer {
			at = f.ServerTime
		}
		if d := c.End.Duration; sp.Fragments == 0 && d > 0 && (until.IsZero() || at.Add(d).Before(until)) {
			until = at.Add(d)
		}
		if !until.IsZero() && !at.Before(until) {
			return nil
		}
		sp.Bytes += f.Bytes
		sp.estimate(pieceOfArchive(f, at, from.StartSelector.Timestamp, until, sp.framesOf(rate)))
		if sp.Fragments == c.End.Fragments {
			return nil
		}
	}
	return nil
}
