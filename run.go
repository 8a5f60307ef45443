package kvsframes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kvsframes/kvsframes/decode"
	"github.com/kvsframes/kvsframes/internal/logging"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/pipeline"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/source"
)

// errShutdown is the error of a run whose drain took too long.
var errShutdown = errors.New("service.shutdown_timeout is over")

// Run is one run of a Pipeline. Do runs it; several goroutines may call the other methods at any time.
type Run struct {
	pipeline *Pipeline
	options  RunOptions
	journal  *journal
	meter    pipeline.Meter
	outages  outages
	// positions are the checkpoints in use.
	positions registry[*position]
	distances distances
	// gaps are those that the run closes, by stream; nil for a run that reads its streams.
	gaps map[string][]media.Gap
	// pool decodes; nil before it starts.
	pool atomic.Pointer[decode.Pool]
}

// NewRun returns a run of the pipeline. It starts nothing. For a pipeline that Load rejected, the run only
// supports End.
func (p *Pipeline) NewRun(o RunOptions) (*Run, error) {
	o.Log = logging.OrSilent(o.Log)
	j, err := newJournal(p, o.Version)
	return &Run{pipeline: p, options: o, journal: j, distances: usualDistances}, err
}

// Summary returns the summary of the run so far.
func (r *Run) Summary() Summary { return r.withLatency(r.journal.summary()) }

func (r *Run) withLatency(s Summary) Summary {
	s.Latency = latencySummary(&r.meter)
	return s
}

// Meter returns the counters of the run.
func (r *Run) Meter() *pipeline.Meter { return &r.meter }

// Outage describes in a few words which streams and sinks do not answer, and since when, or returns "" when all do.
func (r *Run) Outage(now time.Time) string { return r.outages.text(now) }

// End completes the run's summary and returns it. code is the exit code of the program, err the error it
// reports.
func (r *Run) End(status pipeline.Status, code int, err error) Summary {
	return r.withLatency(r.journal.close(status, code, err))
}

// ExitCode returns the exit code of the command kvsframes for a run that ended with status.
func ExitCode(status pipeline.Status) int {
	switch status {
	case pipeline.StatusComplete:
		return 0
	case pipeline.StatusGaps:
		return 3
	case pipeline.StatusInterrupted:
		return 130
	}
	return 1
}

// Do runs the pipeline and returns how the run ended. It may be called once. The error is nil for
// StatusComplete and StatusGaps, and for StatusInterrupted when the work in progress was finished. It is
// ErrInterrupted when the run was drained before it began, and the context's cause when the context was
// cancelled. A run that was cancelled, or took too long to drain, has StatusFailed if it has read fragments that
// neither it delivers nor, with a checkpoint, a later run. A stream that fails does not affect the others.
func (r *Run) Do(ctx context.Context) (pipeline.Status, error) {
	log, quieten := logging.Calm(r.options.Log)
	defer quieten()
	r.options.Log = log
	if address := r.pipeline.Config.Service.HTTP; address != "" {
		stop, err := r.serve(address, r.options.Log)
		if err != nil {
			return pipeline.StatusFailed, err
		}
		defer stop()
	}
	draining, stop := drained(ctx, r.options.Drain)
	defer stop()
	st, err := r.pipeline.open(draining, r.options)
	switch {
	case err != nil && ctx.Err() != nil:
		return pipeline.StatusInterrupted, context.Cause(ctx)
	case err != nil && interrupted(draining):
		return pipeline.StatusInterrupted, ErrInterrupted
	case err != nil:
		return pipeline.StatusFailed, err
	}
	st.outages, st.positions, st.distances = &r.outages, &r.positions, r.distances
	r.pool.Store(st.pool)
	r.outages.watchSinks(st.sinks)
	r.journal.count(st.sinks)
	if r.pipeline.options.Gaps != "" {
		if r.gaps, err = r.pipeline.openGaps(draining); err != nil {
			return pipeline.StatusFailed, errors.Join(err, st.close())
		}
	}
	status, err := r.streams(ctx, draining, st)
	if closeErr := st.close(); err == nil && closeErr != nil {
		return pipeline.StatusFailed, closeErr
	}
	return status, err
}

// streams runs all streams side by side.
func (r *Run) streams(parent, draining context.Context, st *stages) (pipeline.Status, error) {
	ctx, abort := context.WithCancelCause(parent)
	defer abort(nil)
	finished := make(chan struct{})
	var aside sync.WaitGroup
	aside.Go(func() { r.limitDrain(draining, finished, abort) })
	for _, s := range st.sinks {
		if s.Keeps() {
			aside.Go(func() { r.sweep(ctx, s, finished) })
		}
	}

	from, _ := r.pipeline.Config.Source.KVS()
	run := r.stream
	if r.gaps != nil {
		run = r.repair
	}
	f := &fleet{
		run: func(in source.Input) result { return run(ctx, draining, st, in) },
		missing: func(stream string, err error) result {
			account := r.journal.open(stream)
			account.End(pipeline.StatusFailed, err)
			return result{stream: stream, summary: account.Summary(), err: err}
		},
		list:   st.list,
		every:  listEvery,
		log:    r.options.Log,
		finite: from.Mode == source.ModeArchive || r.gaps != nil,
	}
	results := f.runAll(draining, st.inputs)
	close(finished)
	aside.Wait()
	if ctx.Err() == nil {
		return verdict(results, interrupted(draining))
	}
	err := context.Cause(ctx)
	if errors.Is(err, errShutdown) {
		err = fmt.Errorf("finish the work in progress: %w (%s)", errShutdown, r.pipeline.Config.Service.ShutdownTimeout)
	}
	if slices.ContainsFunc(results, func(r result) bool { return r.lost }) {
		return pipeline.StatusFailed, err
	}
	return pipeline.StatusInterrupted, err
}

// stream runs one stream.
func (r *Run) stream(ctx, draining context.Context, st *stages, in source.Input) result {
	account := r.journal.open(in.Stream)
	log := r.options.Log
	summary, covered, err := st.run(ctx, draining, in, r.options, st.bounds(pipeline.Options{Log: log, Meter: &r.meter, Account: account}))
	log = log.With("stream", in.Stream)
	status, lost := pipeline.StatusComplete, false
	switch {
	case err == nil:
		log.Info("stream ended", "fragments", summary.Fragments, "gaps", summary.Gaps)
		if interrupted(draining) {
			status = pipeline.StatusInterrupted
		} else if summary.Gaps > 0 {
			status = pipeline.StatusGaps
		}
	case ctx.Err() != nil:
		log.Warn("stream given up", "error", err)
		status, err = pipeline.StatusInterrupted, context.Cause(ctx)
		if lost = summary.Undelivered.Fragments > 0 && !covered; lost {
			status = pipeline.StatusFailed
		}
	default:
		log.Error("stream failed", "error", err)
		status = pipeline.StatusFailed
	}
	account.End(status, err)
	return result{stream: in.Stream, summary: summary, lost: lost, err: err}
}

// limitDrain aborts the work in progress when draining takes longer than the settings allow.
func (r *Run) limitDrain(draining context.Context, finished <-chan struct{}, abort context.CancelCauseFunc) {
	select {
	case <-finished:
		return
	case <-draining.Done():
	}
	if !interrupted(draining) {
		return
	}
	timer := time.NewTimer(r.pipeline.Config.Service.ShutdownTimeout)
	defer timer.Stop()
	select {
	case <-finished:
	case <-timer.C:
		abort(errShutdown)
	}
}

// sweepEvery is how long a sink's folder is left alone after old objects were removed, at least.
const sweepEvery = time.Minute

// sweep removes the old objects of a sink from time to time, and at the end.
func (r *Run) sweep(ctx context.Context, s *sink.Sink, finished <-chan struct{}) {
	const share = 20 // of the time, for folders with very many files
	for last := false; ; {
		began := time.Now()
		if err := s.Sweep(ctx, began); err != nil && ctx.Err() == nil {
			r.options.Log.Warn("old objects stay", "sink", s.Name(), "error", err)
		}
		if last || ctx.Err() != nil {
			return
		}
		timer := time.NewTimer(max(sweepEvery, share*time.Since(began)))
		select {
		case <-finished:
			last = true
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// verdict returns how a run ended, from the results of its streams.
func verdict(results []result, interrupted bool) (pipeline.Status, error) {
	gaps, failed := 0, 0
	for _, r := range results {
		gaps += r.summary.Gaps
		if r.err != nil {
			failed++
		}
	}
	switch {
	case failed > 0:
		return pipeline.StatusFailed, fmt.Errorf("%d of %d streams failed", failed, len(results))
	case interrupted:
		return pipeline.StatusInterrupted, nil
	case gaps > 0:
		return pipeline.StatusGaps, nil
	}
	return pipeline.StatusComplete, nil
}
