// Package kvs reads streams of Amazon Kinesis Video Streams: live, from their archive, or first from the
// archive and then live.
//
// Open returns a source.Source of one stream, for every mode:
//
//	src, err := kvs.Open(ctx, kvs.Config{Stream: "front-door"})
//	if err != nil {
//		return err
//	}
//	defer src.Close()
//	for {
//		fragment, err := src.Next(ctx)
//		...
//	}
//
// The source reads over as many sessions and calls as necessary, retries after temporary failures, and observes
// the quotas of the service. List lists an archive without reading media, and ListStreams finds the streams of
// an account. SignGetMedia prepares a call for another program. A call that KVS refuses is an *Error.
//
// No other package imports the AWS SDK's video services.
package kvs

import (
	"context"
	"iter"
	"slices"

	"github.com/kvsframes/kvsframes/source"
)

// Open returns a source of the stream in cfg. The first Next makes the first call to the service, so that Next
// returns the service's errors. ctx bounds only the loading of the AWS configuration, which happens when
// cfg.AWS has no credentials. The caller closes the source.
func Open(ctx context.Context, cfg Config) (source.Source, error) {
	cfg, err := cfg.withChain(ctx)
	if err != nil {
		return nil, err
	}
	if len(cfg.Fragments) > 0 {
		cfg.Mode, cfg.Start, cfg.End = source.ModeArchive, source.StartSelector{}, source.End{}
		cfg.Fragments = cfg.Fragments[1+slices.Index(cfg.Fragments, cfg.From.After.Number):]
	}
	src, err := open(cfg.withDefaults())
	if err != nil {
		return nil, err
	}
	return source.WithEndFrom(source.WithTags(src, cfg.Tags), cfg.End, cfg.Start.Clock(), cfg.From), nil
}

// open returns the source of the mode. cfg has no zero fields.
func open(cfg Config) (source.Source, error) {
	archive := func(after source.Place) (source.Source, error) {
		within := rangeOf(cfg)
		if after.Number != "" {
			within.After = after
		}
		return newArchive(cfg, within)
	}
	if cfg.Mode == source.ModeArchive {
		return archive(cfg.From.After)
	}
	d, err := newDialer(cfg)
	if err != nil {
		return nil, err
	}
	live := func(start source.StartSelector) source.Source {
		return source.NewLive(d, source.LiveConfig{
			Stream: d.id.name, Start: start, MaxLag: cfg.MaxLag, LagPatience: cfg.LagPatience, Log: cfg.Log,
		})
	}
	if cfg.Mode == source.ModeLive {
		return live(cfg.liveStart()), nil
	}
	return source.NewCrossing(source.CrossingConfig{
		Stream: d.id.name, Start: cfg.Start, After: cfg.From.After, Archive: archive, Live: live, Log: cfg.Log,
	}), nil
}

// liveStart returns where a live stream begins.
func (c Config) liveStart() source.StartSelector {
	switch first := c.From.First; {
	case c.From.After.Number != "":
		return source.StartSelector{Type: source.StartFragmentNumber, AfterFragmentNumber: c.From.After.Number}
	case c.Start.Type == source.StartNow && !first.ServerTime.IsZero(): // it is not now any more
		return source.StartSelector{Type: source.StartServerTimestamp, Timestamp: first.ServerTime}
	}
	return c.Start
}

// List lists the fragments of the archive in cfg, in the order in which Open reads them, and requests no media:
// from cfg.Start to cfg.End.Timestamp, or in mode auto up to now. The other limits of cfg.End, and cfg.Tags, do
// not apply, as they require reading. Parts of the archive are listed as they are needed, so that memory does
// not grow with the range. The first error ends the list. For cfg.Fragments only the numbers are known, as KVS
// cannot list single fragments.
func List(ctx context.Context, cfg Config) iter.Seq2[ArchivedFragment, error] {
	return func(yield func(ArchivedFragment, error) bool) {
		cfg, err := cfg.withChain(ctx)
		if err != nil {
			yield(ArchivedFragment{}, err)
			return
		}
		cfg = cfg.withDefaults()
		a, err := newArchive(cfg, rangeOf(cfg))
		if err != nil {
			yield(ArchivedFragment{}, err)
			return
		}
		defer a.Close()
		a.listed(ctx)(yield)
	}
}
