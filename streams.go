package kvsframes

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/kvsframes/kvsframes/checkpoint"
	"github.com/kvsframes/kvsframes/config"
	"github.com/kvsframes/kvsframes/decode"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/pipeline"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/source"
	"github.com/kvsframes/kvsframes/source/kvs"
)

// stages holds what the streams of a run share. close releases it.
type stages struct {
	source source.Config
	inputs []source.Input
	// list lists the streams that match the patterns; nil without patterns.
	list func(context.Context) listing
	// many reports whether there may be several streams.
	many    bool
	pool    *decode.Pool
	outputs []decode.Output
	sinks   []*sink.Sink
	stores  []sink.Store // by sink
	runID   string
	// pipeline is the one that is run.
	pipeline  *Pipeline
	closers   []func() error
	outages   *outages
	distances distances
	// positions are the checkpoints of the run.
	positions *registry[*position]
	// checkpoint returns the checkpoint of a stream; nil for none.
	checkpoint func(stream string) checkpoint.Store
}

// open opens what the streams share. ctx bounds only the opening.
func (p *Pipeline) open(ctx context.Context, o RunOptions) (*stages, error) {
	log := o.Log
	st := &stages{source: p.Config.Source, pipeline: p, runID: runID(time.Now())}
	p.fill()
	err := p.checkCredentials(ctx)
	if err == nil {
		err = p.openInputs(ctx, st, log)
	}
	if err == nil {
		err = p.openSinks(ctx, st, log)
	}
	if err == nil {
		err = p.openCheckpoints(ctx, st, o)
	}
	if err == nil {
		st.pool, err = decode.NewPool(p.Config.Decode, log)
	}
	if err != nil {
		return nil, errors.Join(err, st.close())
	}
	st.closers = append(st.closers, func() error { st.pool.Close(); return nil })
	return st, nil
}

// openInputs finds the streams. Those of patterns are listed during the run (see fleet).
func (p *Pipeline) openInputs(ctx context.Context, st *stages, log *slog.Logger) error {
	from, isKVS := p.Config.Source.KVS()
	if !isKVS {
		st.inputs, st.many = p.inputs, len(p.inputs) > 1
		return nil
	}
	cfg, err := p.chain(ctx)
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
		st.inputs = append(st.inputs, p.input(cfg, entry, log))
	}
	if len(patterns) > 0 {
		st.list = func(ctx context.Context) listing { return p.list(ctx, cfg, patterns, log) }
	}
	return nil
}

// input returns one KVS stream, an entry of source.streams, in the mode of the settings. If fragments are
// named, it yields only these fragments of the archive.
func (p *Pipeline) input(cfg aws.Config, entry string, log *slog.Logger) source.Input {
	k := kvs.ConfigOf(cfg, p.Config.Source, entry, log)
	k.Fragments = p.fragments()
	k.MaxLag, k.LagPatience = p.Config.Lag.Limit(config.LagSkipToNow), p.lagPatience
	description := &describer{of: k}
	p.descriptions.Store(k.As, description)
	longest, _ := p.mostOpen()
	from := func(ctx context.Context, from media.Progress, whole bool) (source.Source, error) {
		k := p.within(k)
		if longest > 0 {
			if err := p.checkRetention(k.As, description.get(ctx).Retention); err != nil {
				return nil, err
			}
		}
		if whole {
			k.MaxLag = 0
		}
		if k.From = from; from.First.Number != "" && k.Mode != source.ModeArchive {
			description.warnOfNoRetention(ctx)
		}
		return kvs.Open(ctx, k)
	}
	return source.Input{
		Stream: k.As, Continue: from, Identity: func(ctx context.Context) string { return description.get(ctx).ARN },
		Forgets: func(ctx context.Context) bool { return description.get(ctx).Retention == 0 && description.known },
		Open:    func(ctx context.Context) (source.Source, error) { return from(ctx, media.Progress{}, false) },
	}
}

// retention returns for how long a stream keeps its fragments, 0 if it keeps none or that is not known.
func (p *Pipeline) retention(ctx context.Context, stream string) time.Duration {
	description, known := p.descriptions.Load(stream)
	if !known {
		return 0
	}
	return description.(*describer).get(ctx).Retention
}

// mostOpen returns how much media may lie in groups and parts of manifests that are not complete, at most, and of which sink; 0 if there are none.
func (p *Pipeline) mostOpen() (most time.Duration, sink string) {
	for _, s := range p.Config.Sinks {
		if open := s.SinkConfig().MostOpen(); open > most {
			most, sink = open, s.Name
		}
	}
	return most, sink
}

// checkRetention returns an error if what is not complete may be too long for a stream that keeps its fragments for a time; 0 is not known.
func (p *Pipeline) checkRetention(stream string, kept time.Duration) error {
	if longest, name := p.mostOpen(); kept > 0 && longest > kept/2 {
		return fmt.Errorf("sink %s has up to %v in what is not complete (group.every and manifest.every), more than half of the %v for which stream %s keeps its fragments: that could not be made again", name, longest, kept, stream)
	}
	return nil
}

// describer asks KVS once what it tells about a stream.
type describer struct {
	of     kvs.Config
	asked  sync.Once
	warned sync.Once
	told   kvs.Description
	known  bool
}

// describeLimit bounds the wait for the description of a stream.
const describeLimit = 5 * time.Second

// get returns the description, which is empty if it is not known: the permission may be missing.
func (d *describer) get(ctx context.Context) kvs.Description {
	d.asked.Do(func() {
		limited, cancel := context.WithTimeout(ctx, describeLimit)
		defer cancel()
		var err error
		if d.told, err = kvs.Describe(limited, d.of); err != nil {
			d.of.Log.DebugContext(ctx, "cannot describe the stream", "stream", d.of.As, "error", err)
			return
		}
		d.known = true
	})
	return d.told
}

// warnOfNoRetention logs a warning if a stream that is to be continued keeps nothing. If that is not known, nothing is said: the
// fragments that are gone are named anyway.
func (d *describer) warnOfNoRetention(ctx context.Context) {
	if kept := d.get(ctx).Retention; !d.known || kept > 0 {
		return
	}
	d.warned.Do(func() { // a run may open the stream often
		d.of.Log.WarnContext(ctx, "the stream has no data retention: what it has received since the last run may be lost", "stream", d.of.As)
	})
}

// fragments returns the numbers of the only fragments to read, in the order of the stream; none reads all.
func (p *Pipeline) fragments() []string {
	return slices.CompactFunc(slices.SortedFunc(slices.Values(p.options.Fragments), media.CompareNumbers), func(a, b string) bool { return a == b })
}

// list lists the streams that match the patterns now.
func (p *Pipeline) list(ctx context.Context, cfg aws.Config, patterns []source.Pattern, log *slog.Logger) (l listing) {
	from, _ := p.Config.Source.KVS()
	for _, pattern := range patterns {
		names, err := kvs.ListStreams(ctx, cfg, from.EndpointURL, pattern)
		if err != nil {
			l.err = err
			return l
		}
		if len(names) == 0 {
			l.unmatched = append(l.unmatched, pattern)
		}
		for _, name := range names {
			l.inputs = append(l.inputs, p.input(cfg, name, log))
		}
	}
	return l
}

func (p *Pipeline) openSinks(ctx context.Context, st *stages, log *slog.Logger) error {
	for _, s := range p.Config.Sinks {
		store, err := s.Destination.Location.Open(ctx)
		if err != nil {
			return fmt.Errorf("open sink %s: %w", s.Name, err)
		}
		if c, ok := store.(io.Closer); ok {
			st.closers = append(st.closers, c.Close)
		}
		out, err := sink.New(s.SinkConfig(), store, sink.Options{
			RunID: st.runID, Config: p.Config.Pictures(s), Endless: p.Config.Source.Origin.Endless(), Log: log,
		})
		if err != nil {
			return err
		}
		st.sinks = append(st.sinks, out)
		st.stores = append(st.stores, store)
		st.outputs = append(st.outputs, s.Output())
	}
	return nil
}

// runID returns a name for a run: its start, and random digits that tell apart runs that start together.
func runID(now time.Time) string {
	var chance [4]byte
	_, _ = rand.Read(chance[:]) // never fails (package crypto/rand)
	return now.UTC().Format("20060102T150405Z") + "-" + hex.EncodeToString(chance[:])
}

// bounds sets the limits of one stream.
func (st *stages) bounds(o pipeline.Options) pipeline.Options {
	ordered := slices.ContainsFunc(st.sinks, func(s *sink.Sink) bool { return s.MaxInFlight() == 1 })
	return budgetsOf(st.pool.Workers(), st.many, ordered).limit(o)
}

// run passes one stream through the stages, from where its checkpoint is. It reads nothing more once draining is done. covered
// reports whether a later run reads what this one has read and not delivered.
func (st *stages) run(ctx, draining context.Context, in source.Input, ro RunOptions, o pipeline.Options) (sum pipeline.Summary, covered bool, err error) {
	at, err := st.openPosition(draining, in, ro)
	switch {
	case err != nil && ctx.Err() == nil && interrupted(draining):
		return sum, true, nil
	case err != nil:
		return sum, true, err
	case at == nil:
		rd := &reader{sinks: st.allSinks(), first: true, stop: draining, account: o.Account.Begin()}
		err := st.carry(ctx, rd, in, nil, o)
		closed := errors.Is(err, media.ErrReaderClosed)
		if closed {
			err = nil
		}
		o.Account.Fold(rd.account, closed)
		return o.Account.Summary(), false, err
	case at.now.Done:
		o.Log.Info("nothing left to read; --restart reads it again", "stream", in.Stream)
		return sum, true, at.release(ctx)
	}
	defer st.positions.add(in.Stream, at)()
	err = st.follow(ctx, draining, in, at, o)
	return o.Account.Summary(), at.covers(), err
}

// follow runs the readers of a stream that has a checkpoint, until they end or another run owns it, and gives it back.
func (st *stages) follow(ctx, draining context.Context, in source.Input, at *position, o pipeline.Options) error {
	owning, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	keeping, stop := context.WithCancel(owning)
	var aside sync.WaitGroup
	aside.Go(func() { at.keep(keeping, st.pipeline.Config.Checkpoint.Period()) })
	aside.Go(func() { at.lost(keeping, giveUp) })
	all := &readers{stages: st, in: in, at: at, options: o}
	err := all.read(owning, draining)
	stop()
	aside.Wait()
	whole := err == nil && ctx.Err() == nil && !interrupted(draining)
	late := at.close(ctx, whole && at.reached)
	if lost := at.held.Confirm(ctx); errors.As(lost, new(*checkpoint.LostError)) {
		return fmt.Errorf("another run reads stream %s now: %w", in.Stream, lost)
	}
	return cmp.Or(err, late)
}

// allSinks returns the indices of all sinks.
func (st *stages) allSinks() []int {
	all := make([]int, len(st.sinks))
	for i := range all {
		all[i] = i
	}
	return all
}

// carry passes one stream through the stages for the sinks of a reader, and notes in it how that ended. at is the stream's
// checkpoint, nil for none.
func (st *stages) carry(ctx context.Context, rd *reader, in source.Input, at *position, o pipeline.Options) error {
	outputs, sinks := make([]decode.Output, len(rd.sinks)), make([]pipeline.Sink, len(rd.sinks))
	for n, i := range rd.sinks {
		w := st.sinks[i].NewWriter()
		if at != nil {
			w = st.sinks[i].Continue(sink.Continuation{
				RunID: at.now.RunID, Confirm: at.held.Confirm, After: at.continued(i), Split: at.split(i), Ends: at.ends(i),
				KeepEnd: func(ctx context.Context, number string) error { return at.keepEnd(ctx, i, number) },
			})
		}
		if most, _ := st.pipeline.mostOpen(); most > 0 {
			w.Within(st.pipeline.retention(ctx, in.Stream))
		}
		outputs[n], sinks[n] = st.outputs[i], w
	}
	planner, err := st.pool.Stream(outputs)
	if err != nil {
		return err
	}
	if rd.first { // another one is behind anyway
		planner.CatchUp(st.pipeline.Config.Lag.Limit(config.LagKeyframes), st.pipeline.lagPatience)
	}
	src, err := st.openSource(rd.stop, in, at, rd, planner)
	if err != nil {
		planner.Interrupt()
		if rd.continues = ctx.Err() == nil && rd.stop.Err() != nil; rd.continues {
			return nil
		}
		return err
	}
	src = source.WithVideo(src, st.source.Track)
	if rd.first {
		defer st.outages.watch(in.Stream, src)()
	}
	from, _ := st.source.KVS()
	o.Ahead = from.Deliver == source.DeliverFrame
	if o.Account, o.Aside = rd.account, rd.aside; at != nil {
		o.Planned = at.track(ctx, rd, planner)
		most, _ := st.pipeline.mostOpen()
		o.Completes = most > 0 && in.Forgets != nil && in.Forgets(ctx)
		o.Interrupted = func(err error) bool {
			if rd.continues = !errors.Is(err, io.EOF) || rd.stop.Err() != nil; rd.continues {
				planner.Interrupt()
			}
			return rd.continues
		}
	}
	_, err = pipeline.Run(ctx, pipeline.Stream{
		Name:    in.Stream,
		Source:  source.Until(rd.stop, src),
		Planner: planner,
		Sinks:   sinks,
	}, o)
	stats := src.Stats()
	if stats.Unwanted > 0 {
		o.Log.Info("skipped fragments with other tags", "stream", in.Stream, "fragments", stats.Unwanted)
	}
	_, isFile := st.source.Files()
	rd.atEnd = isFile || len(st.pipeline.options.Fragments) > 0 || stats.AtEnd || st.archiveIsOver(in.Stream)
	return err
}

// archiveIsOver reports whether the settings name a range of the archive that is past. Such an archive ends by itself, before
// a fragment after the range.
func (st *stages) archiveIsOver(stream string) bool {
	from, _ := st.source.KVS()
	end := st.pipeline.endOf(stream).Timestamp
	return from.Mode == source.ModeArchive && !end.IsZero() && end.Before(time.Now())
}

// openSource opens a stream where its checkpoint is, and makes the planner continue there.
func (st *stages) openSource(ctx context.Context, in source.Input, at *position, rd *reader, planner *decode.Stream) (source.Source, error) {
	if at == nil {
		src, err := in.Open(ctx)
		if err != nil {
			return nil, err
		}
		return st.within(src, in.Stream, media.Progress{}), nil
	}
	all := at.states()
	states := make([]plan.State, len(rd.sinks))
	for n, i := range rd.sinks {
		states[n] = all[i]
	}
	from := plan.Earliest(states).Progress
	if from.First.Number == "" {
		from.First = beginning(all)
	}
	if err := planner.Resume(states); err != nil {
		return nil, err
	}
	src, err := in.Continue(ctx, from, !rd.first)
	if err != nil {
		return nil, err
	}
	src = st.within(src, in.Stream, from)
	switch last := lowest(states); {
	case last.Number != "":
		at.log.Info("continuing after what is delivered", "after", last.Number)
		return source.Continued(src, in.Stream, last), nil
	case from.First.Number != "":
		at.log.Info("beginning again with the first fragment", "fragment", from.First.Number)
		return source.From(src, in.Stream, from.First), nil
	case at.forgotten.Number != "":
		return source.Anew(src, in.Stream, at.forgotten), nil
	}
	return src, nil
}

// within applies the settings' tags and end to a source of files. The sources of streams apply them themselves.
func (st *stages) within(src source.Source, stream string, from media.Progress) source.Source {
	if _, isFile := st.source.Files(); !isFile {
		return src
	}
	src = source.WithTags(source.Once(src), st.source.FragmentTags)
	return source.WithEndFrom(src, st.pipeline.endOf(stream), st.source.EndClock(), from)
}

// close releases what open opened, in reverse order.
func (st *stages) close() error {
	var problems []error
	for i := len(st.closers) - 1; i >= 0; i-- {
		problems = append(problems, st.closers[i]())
	}
	return errors.Join(problems...)
}
