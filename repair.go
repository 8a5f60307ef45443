package kvsframes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kvsframes/kvsframes/config"
	"github.com/kvsframes/kvsframes/decode"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/manifest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/pipeline"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/sink/s3"
	"github.com/kvsframes/kvsframes/source"
	"github.com/kvsframes/kvsframes/source/kvs"
)

// leadFragments is the number of fragments that are read before one that is repaired, without images: what its pictures refer to may be in them,
// and samplers remember the frame before. It is as many as a planner keeps.
const leadFragments = 64

// longestFragment is the longest duration of a fragment (Developer Guide, Quotas).
const longestFragment = 20 * time.Second

// openGaps returns the gaps of the ledger in the options that are not closed, by stream.
func (p *Pipeline) openGaps(ctx context.Context) (map[string][]media.Gap, error) {
	where := p.options.Gaps
	from, err := OpenObjects(ctx, where, p.serverOf(where))
	if err != nil {
		return nil, err
	}
	gaps := map[string][]media.Gap{}
	err = manifest.Gaps(ctx, from, manifest.Options{}, func(line []byte) error {
		var g media.Gap
		if err := json.Unmarshal(line, &g); err != nil {
			return fmt.Errorf("read gap: %w", err)
		}
		gaps[g.Stream] = append(gaps[g.Stream], g)
		return nil
	})
	return gaps, err
}

// serverOf returns the server of a bucket, which is that of a sink with the bucket if there is one.
func (p *Pipeline) serverOf(where string) Server {
	place, _ := strings.CutPrefix(where, "s3://")
	bucket, _, _ := strings.Cut(place, "/")
	for _, s := range p.Config.Sinks {
		if c, ok := s.Destination.Location.(s3.Config); ok && c.Bucket == bucket {
			return Server{Region: c.Region, Profile: c.Profile, RoleARN: c.RoleARN, EndpointURL: c.EndpointURL, ForcePathStyle: c.ForcePathStyle}
		}
	}
	return Server{}
}

// beyondRepair returns why the gaps of a sink cannot be closed; "" if they can.
func beyondRepair(s config.Sink) string {
	c := s.SinkConfig()
	switch s.Sample.Rule.(type) {
	case nil, plan.All, plan.Keyframes, plan.Interval, plan.Uniform:
	default:
		return "which frames its sampler chooses depends on the whole stream"
	}
	_, compares := s.Filters.Duplicate.Distance.Get()
	switch {
	case compares:
		return "filters.duplicate compares with earlier images"
	case c.Groups != nil:
		return "its objects hold samples of many fragments"
	case c.Manifest.Format != sink.ManifestNone && c.Manifest.Every > 0:
		return "its manifest parts have the records of many fragments"
	case c.Ledger.Path == "":
		return "it has no ledger"
	case strings.Contains(c.Path+c.Manifest.Path+c.Ledger.Path, "{run_id}"):
		return "its names have {run_id}, and the gap does not tell which run that was"
	case !strings.Contains(c.Path, "{frame_index}"):
		return "its later images replace the earlier ones"
	case c.Destination.IfExists == sink.IfExistsFail:
		return "its destination has if_exists: fail"
	}
	return ""
}

// repair closes the gaps of one stream. Several goroutines use it while a run writes.
type repair struct {
	*stages
	stream string
	log    *slog.Logger

	mu sync.Mutex
	// open are the gaps that are not closed.
	open []*openGap
	// broken are the fragments that cannot be repaired, by number.
	broken map[string]bool
	// behind are the fragments right behind those that are repaired, by number. A grid in time gave the first frame after a gap in place of one in it.
	behind map[string]bool
}

// openGap is what a sink lacks at one place: a fragment, or a hole between two.
type openGap struct {
	gaps []media.Gap
	sink int
	// numbers are the fragments that would close it and are not repaired yet. searched reports whether they are known.
	numbers  map[string]bool
	searched bool
	closed   bool
}

// repair closes gaps of one stream by what the archive has. What cannot be closed stays in the ledger, and in the summary.
func (r *Run) repair(ctx, draining context.Context, st *stages, in source.Input) result {
	account := r.journal.open(in.Stream)
	log := r.options.Log.With("stream", in.Stream)
	rp := &repair{stages: st, stream: in.Stream, log: log, broken: map[string]bool{}, behind: map[string]bool{}}
	rp.choose(r.gaps[in.Stream])
	err := rp.run(ctx, draining, func(sinks []int, numbers []string, wanted map[string]bool) error {
		part := account.Begin()
		defer account.Fold(part, true)
		return rp.window(ctx, draining, sinks, numbers, wanted, st.bounds(pipeline.Options{Log: log, Meter: &r.meter, Account: part}))
	})
	left := rp.left()
	account.SetGaps(left)
	status := pipeline.StatusComplete
	switch {
	case ctx.Err() != nil:
		status, err = pipeline.StatusInterrupted, context.Cause(ctx)
	case err != nil:
		log.Error("repair failed", "error", err)
		status = pipeline.StatusFailed
	case interrupted(draining):
		status = pipeline.StatusInterrupted
	case len(left) > 0:
		status = pipeline.StatusGaps
	}
	log.Info("repaired", "closed", len(rp.open)-len(left), "open", len(left))
	account.End(status, err)
	return result{stream: in.Stream, summary: account.Summary(), err: err}
}

// choose takes the gaps of the run's sinks.
func (rp *repair) choose(gaps []media.Gap) {
	known := func(g media.Gap) bool {
		return slices.ContainsFunc(rp.sinks, func(s *sink.Sink) bool { return s.Name() == g.Sink })
	}
	if others := slices.DeleteFunc(slices.Clone(gaps), known); len(others) > 0 {
		rp.log.Warn("the settings do not have the sinks of some gaps", "gaps", len(others), "first", others[0].Sink)
	}
	for i, s := range rp.pipeline.Config.Sinks {
		n := 0
		for _, g := range gaps {
			if g.Sink != s.Name {
				continue
			}
			n++
			at := slices.IndexFunc(rp.open, func(o *openGap) bool {
				first := o.gaps[0]
				return o.sink == i && first.FragmentNumber == g.FragmentNumber && first.Until.Number == g.Until.Number
			})
			if at < 0 {
				at, rp.open = len(rp.open), append(rp.open, &openGap{sink: i, numbers: map[string]bool{}})
			}
			rp.open[at].gaps = append(rp.open[at].gaps, g)
		}
		if why := beyondRepair(s); why != "" && n > 0 {
			rp.log.Warn("the gaps of a sink stay open", "sink", s.Name, "gaps", n, "because", why)
		}
	}
}

// repairable are the gaps that the archive may close.
func (rp *repair) repairable() []*openGap {
	return slices.DeleteFunc(slices.Clone(rp.open), func(g *openGap) bool {
		return beyondRepair(rp.pipeline.Config.Sinks[g.sink]) != "" || g.gaps[0].FragmentNumber == "" ||
			slices.ContainsFunc(g.gaps, func(g media.Gap) bool { return g.Reason == media.GapNoFrame || g.Reason == media.GapConflict })
	})
}

// left returns the gaps that are still open.
func (rp *repair) left() []media.Gap {
	rp.mu.Lock()
	defer rp.mu.Unlock()
	left := []media.Gap{}
	for _, g := range rp.open {
		if !g.closed {
			left = append(left, g.gaps...)
		}
	}
	return left
}

// run finds the fragments that the gaps lack, and calls window with each run of consecutive ones, with those before them.
func (rp *repair) run(ctx, draining context.Context, window func(sinks []int, numbers []string, wanted map[string]bool) error) error {
	gaps := rp.repairable()
	if len(gaps) == 0 {
		return nil
	}
	stored, err := rp.list(draining, gaps)
	if err != nil {
		if draining.Err() != nil {
			return nil
		}
		return err
	}
	wanted := map[string]bool{}
	for _, g := range gaps {
		if g.search(stored) {
			maps.Copy(wanted, g.numbers)
		}
		if err := rp.close(ctx, g); err != nil { // nothing was there
			return err
		}
	}
	for from := 0; from < len(stored) && draining.Err() == nil; {
		next := slices.IndexFunc(stored[from:], func(n string) bool { return wanted[n] })
		if next < 0 {
			return nil
		}
		last := from + next
		for i := last; i < len(stored) && i-last <= leadFragments; i++ {
			if wanted[stored[i]] {
				last = i
			}
		}
		begin := max(0, from+next-leadFragments)
		for i := from + next; i <= last; i++ {
			if i+1 < len(stored) && wanted[stored[i]] && !wanted[stored[i+1]] {
				rp.behind[stored[i+1]], wanted[stored[i+1]] = true, true
				last = max(last, i+1)
				i++
			}
		}
		numbers := stored[begin : last+1]
		if err := window(sinksOf(gaps, numbers), numbers, wanted); err != nil {
			return err
		}
		from = last + 1
	}
	return nil
}

// sinksOf returns the sinks that lack one of some fragments, by index.
func sinksOf(gaps []*openGap, numbers []string) (sinks []int) {
	for _, g := range gaps {
		if slices.ContainsFunc(numbers, func(n string) bool { return g.numbers[n] }) {
			sinks = append(sinks, g.sink)
		}
	}
	slices.Sort(sinks)
	return slices.Compact(sinks)
}

// list returns the numbers of the stored fragments around the gaps, in order.
func (rp *repair) list(ctx context.Context, gaps []*openGap) ([]string, error) {
	cfg, err := rp.config(ctx)
	if err != nil {
		return nil, err
	}
	begin, end := gaps[0].gaps[0].ProducerTime, time.Time{}
	for _, o := range gaps {
		for _, g := range o.gaps {
			if g.ProducerTime.Before(begin) { // the zero time is that of a gap whose time is not known: everything is listed
				begin = g.ProducerTime
			}
			end = latest(end, g.ProducerTime, g.Until.ProducerTime)
		}
	}
	cfg.Mode, cfg.Start, cfg.End, cfg.Tags = source.ModeArchive, source.StartSelector{Type: source.StartEarliest}, source.End{}, nil
	if !begin.IsZero() {
		cfg.Start = source.StartSelector{Type: source.StartProducerTimestamp, Timestamp: begin.Add(-(leadFragments + 1) * longestFragment)}
		cfg.End.Timestamp = end.Add(2 * longestFragment)
	}
	var numbers []string
	for f, err := range kvs.List(ctx, cfg) {
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, f.Number)
	}
	slices.SortFunc(numbers, media.CompareNumbers)
	return numbers, nil
}

// latest returns the last of some times.
func latest(times ...time.Time) time.Time { return slices.MaxFunc(times, time.Time.Compare) }

// config returns the settings of the stream.
func (rp *repair) config(ctx context.Context) (kvs.Config, error) {
	p := rp.pipeline
	from, _ := p.Config.Source.KVS()
	chain, err := p.chain(ctx)
	if err != nil {
		return kvs.Config{}, err
	}
	entry := rp.stream // matches a pattern, unless it is named
	for _, e := range from.Streams {
		if name, ok := source.StreamName(e); ok && name == rp.stream {
			entry = e
		}
	}
	return kvs.ConfigOf(chain, p.Config.Source, entry, rp.log), nil
}

// search finds the fragments that would close the gap among those that are stored, and reports whether it knows them all.
func (g *openGap) search(stored []string) bool {
	find := func(number string) (int, bool) { return slices.BinarySearchFunc(stored, number, media.CompareNumbers) }
	first := g.gaps[0]
	from, found := find(first.FragmentNumber)
	if !found { // it has expired, and what followed it may have, too
		return false
	}
	if first.Until.Number == "" {
		g.numbers[first.FragmentNumber], g.searched = true, true
		return true
	}
	until, found := find(first.Until.Number)
	if !found || until <= from {
		return false
	}
	for _, number := range stored[from+1 : until] {
		g.numbers[number] = true
	}
	g.searched = true
	return true
}

// window writes the images of the wanted fragments among some that follow each other.
func (rp *repair) window(ctx, draining context.Context, sinks []int, numbers []string, wanted map[string]bool, o pipeline.Options) error {
	cfg, err := rp.config(ctx)
	if err != nil {
		return err
	}
	outputs, writers := make([]decode.Output, len(sinks)), make([]pipeline.Sink, len(sinks))
	for n, i := range sinks {
		// What is stored already may be the sink's own.
		outputs[n] = rp.outputs[i]
		writers[n] = &repairSink{Writer: rp.sinks[i].Continue(sink.Continuation{RunID: rp.runID}), repair: rp, sink: i}
	}
	planner, err := rp.pool.Stream(outputs)
	if err != nil {
		return err
	}
	cfg.Fragments = numbers
	src, err := kvs.Open(ctx, cfg)
	if err != nil {
		planner.Interrupt()
		return err
	}
	src = source.WithVideo(&repairSource{Source: src, planner: planner, repair: rp, wanted: wanted}, rp.source.Track)
	_, err = pipeline.Run(ctx, pipeline.Stream{Name: rp.stream, Source: source.Until(draining, src), Planner: planner, Sinks: writers}, o)
	return err
}

// repairSource is the source of a window. Fragments that are not to be repaired are there for those that refer to them.
type repairSource struct {
	source.Source
	planner *decode.Stream
	repair  *repair
	wanted  map[string]bool
}

// Next implements source.Source. Gaps stay open, and are none of the run's own.
func (s *repairSource) Next(ctx context.Context) (*media.Fragment, error) {
	for {
		f, err := s.Source.Next(ctx)
		if gap := (*media.GapError)(nil); errors.As(err, &gap) {
			s.repair.breaks(gap.Gap.FragmentNumber)
			s.planner.Lost()
			continue
		}
		if err != nil {
			return nil, err
		}
		if !s.wanted[f.Number] {
			f.Unwanted = true
		}
		return f, nil
	}
}

// breaks notes that a fragment cannot be repaired.
func (rp *repair) breaks(number string) {
	rp.mu.Lock()
	defer rp.mu.Unlock()
	rp.broken[number] = true
}

func (rp *repair) isBroken(number string) bool {
	rp.mu.Lock()
	defer rp.mu.Unlock()
	return rp.broken[number]
}

// lacks returns the gaps of a sink that a fragment helps to close.
func (rp *repair) lacks(sink int, number string) (gaps []*openGap) {
	rp.mu.Lock()
	defer rp.mu.Unlock()
	for _, g := range rp.open {
		if g.sink == sink && g.numbers[number] {
			gaps = append(gaps, g)
		}
	}
	return gaps
}

// finish notes that a fragment is repaired.
func (rp *repair) finish(g *openGap, number string) {
	rp.mu.Lock()
	defer rp.mu.Unlock()
	delete(g.numbers, number)
}

// close writes that a gap is closed, if nothing of it is missing any more.
func (rp *repair) close(ctx context.Context, g *openGap) error {
	if !g.searched || len(g.numbers) > 0 || g.closed {
		return nil
	}
	if err := rp.sinks[g.sink].NewWriter().Repaired(ctx, g.gaps); err != nil {
		return err
	}
	rp.mu.Lock()
	defer rp.mu.Unlock()
	g.closed = true
	return nil
}

// repairSink writes what its sink lacks, and nothing else.
type repairSink struct {
	*sink.Writer
	repair *repair
	sink   int
}

var _ pipeline.GapSink = (*repairSink)(nil)

// Write implements pipeline.Sink. Guesses may be worse than what is stored.
func (s *repairSink) Write(ctx context.Context, img media.Image) error {
	switch {
	case img.Concealed:
		s.repair.breaks(img.FragmentNumber)
		return nil
	case s.isBehind(img.FragmentNumber):
		s.Recall(img)
		return nil
	case len(s.repair.lacks(s.sink, img.FragmentNumber)) == 0 || s.repair.isBroken(img.FragmentNumber):
		return nil
	}
	return s.Writer.Write(ctx, img)
}

// isBehind reports whether only the records of a fragment may be wrong: they may have an image in place of one in the gap before it.
func (s *repairSink) isBehind(number string) bool {
	c := s.repair.pipeline.Config.Sinks[s.sink]
	_, interval := c.Sample.Rule.(plan.Interval)
	_, uniform := c.Sample.Rule.(plan.Uniform)
	return s.repair.behind[number] && (interval || uniform) && c.Destination.IfExists == sink.IfExistsOverwrite && len(s.repair.lacks(s.sink, number)) == 0
}

// Gaps implements pipeline.GapSink: the ledger has them already.
func (s *repairSink) Gaps(_ context.Context, _ media.Place, gaps []media.Gap) error {
	for _, g := range gaps {
		s.repair.breaks(g.FragmentNumber)
	}
	return nil
}

// EndFragment implements pipeline.Sink. The records of a fragment that is not whole stay as they are.
func (s *repairSink) EndFragment(ctx context.Context, f *media.Fragment, durable func(media.Receipt)) error {
	gaps := s.repair.lacks(s.sink, f.Number)
	if s.isBehind(f.Number) && !s.repair.isBroken(f.Number) {
		if err := s.Replace(ctx, f); err != nil {
			return err
		}
	}
	if len(gaps) == 0 || s.repair.isBroken(f.Number) {
		durable(media.Receipt{})
		return nil
	}
	var receipt media.Receipt
	err := s.Writer.EndFragment(ctx, f, func(r media.Receipt) { receipt = r })
	for _, g := range gaps {
		if err != nil {
			return err
		}
		s.repair.finish(g, f.Number)
		err = s.repair.close(ctx, g)
	}
	if err == nil {
		durable(receipt)
	}
	return err
}
