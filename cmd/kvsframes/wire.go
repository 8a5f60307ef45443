package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/kvsframes/kvsframes/config"
	"github.com/kvsframes/kvsframes/decode"
	"github.com/kvsframes/kvsframes/pipeline"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/source"
	"github.com/kvsframes/kvsframes/source/kvs"
)

// This file is the only one that puts concrete sources, decoders and sinks together.

// stages are the stages of a run, ready to start. close gives them back.
type stages struct {
	source source.Config
	inputs []source.Input
	// list looks the patterns up; nil without patterns.
	list func(context.Context) listing
	// many reports whether there may be several streams.
	many    bool
	pool    *decode.Pool
	outputs []decode.Output
	sinks   []*sink.Sink
	counted []counted // the same sinks
	closers []func() error
	outages outages
}

// wire opens everything that the streams share. fragments, if there are any, are what
// is read of the one stream. ctx bounds the opening alone.
func wire(ctx context.Context, c *config.Config, r *ready, fragments []string, log *slog.Logger) (*stages, error) {
	st := &stages{source: c.Source}
	r.fill(c)
	err := r.checkCredentials(ctx, c)
	if err == nil {
		err = st.openInputs(ctx, c, r, fragments, log)
	}
	if err == nil {
		err = st.openSinks(ctx, c, log)
	}
	if err == nil {
		st.pool, err = decode.NewPool(c.Decode, log)
	}
	if err != nil {
		return nil, errors.Join(err, st.close())
	}
	st.closers = append(st.closers, func() error { st.pool.Close(); return nil })
	return st, nil
}

// openInputs finds the streams. Those of patterns are found when the run has begun,
// and again and again (see fleet).
func (st *stages) openInputs(ctx context.Context, c *config.Config, r *ready, fragments []string, log *slog.Logger) error {
	from, isKVS := c.Source.KVS()
	if !isKVS {
		st.inputs, st.many = r.inputs, len(r.inputs) > 1
		return nil
	}
	cfg, err := r.chain(ctx, from.Region)
	if err != nil {
		return err
	}
	st.many = from.Many()
	var patterns []source.Pattern
	for _, entry := range from.Streams {
		if source.IsPattern(entry) {
			patterns = append(patterns, source.Pattern(entry))
			continue
		}
		st.inputs = append(st.inputs, stream(cfg, c.Source, entry, fragments, log))
	}
	if len(patterns) > 0 {
		st.list = func(ctx context.Context) listing { return list(ctx, cfg, c.Source, patterns, log) }
	}
	return nil
}

// stream is one KVS stream, an entry of source.streams, in the mode of the settings. With
// fragments it is those of its archive and no others.
func stream(cfg aws.Config, c source.Config, entry string, fragments []string, log *slog.Logger) source.Input {
	k := kvsConfig(cfg, c, entry, log)
	k.Fragments = fragments
	return source.Input{Stream: k.As, Open: func(ctx context.Context) (source.Source, error) { return kvs.Open(ctx, k) }}
}

// kvsConfig returns the settings of one KVS stream, an entry of source.streams.
func kvsConfig(cfg aws.Config, c source.Config, entry string, log *slog.Logger) kvs.Config {
	from, _ := c.KVS()
	name, _ := source.StreamName(entry) // the settings hold valid ones alone
	return kvs.Config{
		AWS:             cfg,
		Stream:          source.StreamTarget(entry),
		As:              name,
		EndpointURL:     from.EndpointURL,
		Mode:            from.Mode,
		Start:           from.StartSelector,
		End:             c.End,
		Tags:            c.FragmentTags,
		MaxFragmentSize: c.MaxFragmentSize,
		Log:             log,
	}
}

// list looks up the streams that match the patterns now.
func list(ctx context.Context, cfg aws.Config, c source.Config, patterns []source.Pattern, log *slog.Logger) (l listing) {
	from, _ := c.KVS()
	for _, p := range patterns {
		names, err := kvs.ListStreams(ctx, cfg, from.EndpointURL, p)
		if err != nil {
			l.err = err
			return l
		}
		if len(names) == 0 {
			l.unmatched = append(l.unmatched, p)
		}
		for _, name := range names {
			l.inputs = append(l.inputs, stream(cfg, c, name, nil, log))
		}
	}
	return l
}

func (st *stages) openSinks(ctx context.Context, c *config.Config, log *slog.Logger) error {
	run := runID(time.Now())
	for _, s := range c.Sinks {
		store, err := s.Destination.Location.Open(ctx)
		if err != nil {
			return fmt.Errorf("open sink %s: %w", s.Name, err)
		}
		if c, ok := store.(io.Closer); ok {
			st.closers = append(st.closers, c.Close)
		}
		out, err := sink.New(s.SinkConfig(), store, sink.Options{RunID: run, Config: c.Pictures(s), Log: log})
		if err != nil {
			return err
		}
		st.sinks, st.counted = append(st.sinks, out), append(st.counted, out)
		st.outputs = append(st.outputs, s.Output())
	}
	return nil
}

// runID names a run: when it began, and enough chance for runs that begin together.
func runID(now time.Time) string {
	var chance [4]byte
	_, _ = rand.Read(chance[:]) // never fails (package crypto/rand)
	return now.UTC().Format("20060102T150405Z") + "-" + hex.EncodeToString(chance[:])
}

// What a stream may hold while it shares the program with others: one fragment that is
// decoded and one that waits, and images enough to keep its sinks busy.
const (
	sharedFragments = 2
	sharedBacklog   = 4 << 20
)

// bounds sets the limits of one stream. A stream that has the program to itself
// keeps all workers busy.
func (st *stages) bounds(o pipeline.Options) pipeline.Options {
	if st.many {
		o.FragmentsInFlight, o.BacklogBytes = sharedFragments, sharedBacklog
	} else {
		o.FragmentsInFlight = st.pool.Workers() + 1
	}
	return o
}

// run carries one stream through the stages. Once draining is over nothing more is
// read of it.
func (st *stages) run(ctx, draining context.Context, in source.Input, o pipeline.Options) (pipeline.Summary, error) {
	nothing := pipeline.Summary{}
	planner, err := st.pool.Stream(st.outputs)
	if err != nil {
		return nothing, err
	}
	src, err := in.Open(draining)
	if err != nil {
		if ctx.Err() == nil && interrupted(draining) {
			return nothing, nil
		}
		return nothing, err
	}
	if _, isFile := st.source.Files(); isFile { // the sources of streams see to it themselves
		src = source.WithTags(source.Once(src), st.source.FragmentTags)
		src = source.WithEnd(src, st.source.End, st.source.EndClock())
	}
	src = source.WithVideo(src, st.source.Track)
	defer st.outages.watch(in.Stream, src)()
	sinks := make([]pipeline.Sink, len(st.sinks))
	for i, s := range st.sinks {
		sinks[i] = s.NewWriter()
	}
	sum, err := pipeline.Run(ctx, pipeline.Stream{
		Name:    in.Stream,
		Source:  source.Until(draining, src),
		Planner: planner,
		Sinks:   sinks,
	}, o)
	if n := src.Stats().Unwanted; n > 0 {
		o.Log.Info("fragments passed over, their tags are others", "stream", in.Stream, "fragments", n)
	}
	return sum, err
}

// close gives back what wire opened, in reverse order.
func (st *stages) close() error {
	var problems []error
	for i := len(st.closers) - 1; i >= 0; i-- {
		problems = append(problems, st.closers[i]())
	}
	return errors.Join(problems...)
}

// libavVersions returns the versions of libav's libraries by name, its licence and
// its configuration.
func libavVersions() (versions map[string]string, licence, configuration string) {
	return decode.LibavVersions()
}
