package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"github.com/kvsframes/kvsframes/config"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source"
	"github.com/kvsframes/kvsframes/source/kvs"
)

// pricePerGB is what the consumption of 10^9 bytes costs in US dollars, in US East
// (N. Virginia) at the time of writing (Amazon Kinesis Video Streams pricing).
const pricePerGB = 0.0085

// planFlags are the flags of the plan command.
type planFlags struct {
	set   []string
	json  bool
	price float64
	rate  rateFlag
}

// rateFlag is a frame rate as a flag.
type rateFlag struct{ plan.Rate }

func (f *rateFlag) Set(text string) error { return f.UnmarshalText([]byte(text)) }
func (f *rateFlag) Type() string          { return "RATE" }

// String returns nothing for no rate.
func (f *rateFlag) String() string {
	if f.Rate == (plan.Rate{}) {
		return ""
	}
	return f.Rate.String()
}

func (p *program) newPlanCommand() *cobra.Command {
	flags := planFlags{}
	cmd := &cobra.Command{
		Use:   "plan [pipeline.yaml]",
		Short: "Shows what a run would read and write",
		Long: `Shows what a run with these settings would read and write: fragments, hours of
media, bytes, images and objects. It writes nothing and opens no sink.

Of streams (source.mode archive, or auto up to now) the fragments are listed and
no media is read, so that numbers of images are estimates: intervals are counted
and times that are asked for from the fragments' times, a fragment is taken to
have one key frame, and the other samplers need --fps-of-source. The price is an
estimate, too: that of consuming the bytes of the fragments, 10^9 bytes a GB,
without the calls.

Files are read and planned as a run plans them, without decoding: the numbers
are those of a run in which every picture can be decoded. Settings without
archive or files have no end to plan for. The limits of source.end hold, but for
idle_timeout.`,
		Args: checkArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !(flags.price >= 0) {
				return usage(errors.New("--price-per-gb must not be below 0"))
			}
			return p.runPlan(cmd.Context(), fileOf(args), flags)
		},
	}
	addSet(cmd, &flags.set)
	f := cmd.Flags()
	f.BoolVar(&flags.json, "json", false, "print one JSON document")
	f.Float64Var(&flags.price, "price-per-gb", pricePerGB, "what KVS takes for the consumption of a GB, in US dollars")
	f.Var(&flags.rate, "fps-of-source", "frames per second of the archived video, such as 25 or 30000/1001")
	return cmd
}

func (p *program) runPlan(ctx context.Context, file string, flags planFlags) error {
	c, ready, err := p.prepare(ctx, p.options(file, flags.set), nil)
	if err != nil {
		return err
	}
	_, draining, stop := p.watch(ctx)
	defer stop()
	from, isKVS := c.Source.KVS()
	if from.Mode == source.ModeLive {
		return usage(errors.New("source.mode is live: a live stream has no end to plan for; try --set source.mode=archive"))
	}
	ready.fill(c)
	var plans []*streamPlan
	if isKVS {
		plans, err = planStreams(draining, c, ready, flags, p.toolLogger(slog.LevelWarn))
	} else {
		plans, err = planFiles(draining, c, ready.inputs)
	}
	if err != nil {
		return refused(draining, err)
	}
	doc := newPlanDocument(c, plans)
	if flags.json {
		e := json.NewEncoder(cleanWriter{p.stdout})
		e.SetIndent("", "  ")
		err = e.Encode(doc)
	} else {
		err = doc.print(cleanWriter{p.stdout})
	}
	if err != nil {
		return fmt.Errorf("print plan: %w", err)
	}
	return nil
}

// planFiles plans the files of the settings.
func planFiles(ctx context.Context, c *config.Config, inputs []source.Input) ([]*streamPlan, error) {
	var plans []*streamPlan
	for _, in := range inputs {
		sp := newStreamPlan(in.Stream, c)
		if err := sp.readFile(ctx, in, c); err != nil {
			return nil, fmt.Errorf("plan %s: %w", in.Stream, err)
		}
		plans = append(plans, sp)
	}
	return plans, nil
}

// planStreams plans the archives of the settings' streams.
func planStreams(ctx context.Context, c *config.Config, r *ready, flags planFlags, log *slog.Logger) ([]*streamPlan, error) {
	from, _ := c.Source.KVS()
	cfg, err := r.chain(ctx, from.Region)
	if err == nil {
		err = haveCredentials(ctx, cfg)
	}
	if err != nil {
		return nil, err
	}
	streams, err := namedStreams(ctx, cfg, from)
	if err != nil {
		return nil, err
	}
	var plans []*streamPlan
	for _, nameOrARN := range streams {
		name, _ := source.StreamName(nameOrARN) // the settings hold valid ones alone
		sp := newStreamPlan(name, c)
		if err := sp.addListed(kvs.List(ctx, kvsConfig(cfg, c.Source, nameOrARN, log)), c.Source, flags.rate.Rate); err != nil {
			return nil, fmt.Errorf("plan %s: %w", name, err)
		}
		sp.finish()
		cost := float64(sp.Bytes) / 1e9 * flags.price
		sp.Cost = &cost
		plans = append(plans, sp)
	}
	return plans, nil
}

// namedStreams returns the streams of the settings, each once.
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
func (sp *streamPlan) addListed(list iter.Seq2[kvs.ArchivedFragment, error], c source.Config, rate plan.Rate) error {
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
