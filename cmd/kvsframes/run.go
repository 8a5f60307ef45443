package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/kvsframes/kvsframes/config"
	"github.com/kvsframes/kvsframes/pipeline"
	"github.com/kvsframes/kvsframes/source"
	"github.com/kvsframes/kvsframes/source/payload"
)

// errShutdown is why a run ends whose drain has taken too long.
var errShutdown = errors.New("service.shutdown_timeout is over")

// runOptions are what the command line of run says.
type runOptions struct {
	file      string
	set       []string
	fragments []string
	summary   string
	// gapsCode is the exit code of a run that is done, but with gaps.
	gapsCode int
}

func (p *program) newRunCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run [pipeline.yaml]",
		Short: "Reads the streams and writes their images",
		Long: `Reads the streams of the settings side by side and writes their images, until
every stream has ended. The first interrupt stops the reading and finishes what
is under way, another one, a second later or more, ends at once. Progress and a
summary go to standard error.

With --fragment it reads just the fragments of these numbers, such as a
notification names them, from the archive of the one stream; start_selector, end
and mode do not count then.`,
		Args: checkArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.file = fileOf(args)
			if err := o.check(); err != nil {
				return usage(err)
			}
			return p.runRun(cmd.Context(), o)
		},
	}
	addSet(cmd, &o.set)
	cmd.Flags().StringSliceVar(&o.fragments, "fragment", nil, "read only the stored fragment of this `NUMBER` (again, or with commas, for more)")
	cmd.Flags().StringVar(&o.summary, "summary", "", "write the summary to this `FILE`, as JSON: every 10 s and at the end; - is standard output, which like devices and pipes gets it at the end alone")
	cmd.Flags().IntVar(&o.gapsCode, "gaps-exit-code", exitGaps, "the exit code `N` of a run that is done, but with gaps")
	return cmd
}

func (o runOptions) check() error {
	for _, n := range o.fragments {
		if !payload.IsFragmentNumber(n) {
			return fmt.Errorf("--fragment %q is not a fragment number", n)
		}
	}
	if o.gapsCode < 0 || o.gapsCode > 255 {
		return fmt.Errorf("--gaps-exit-code %d is not within 0..255", o.gapsCode)
	}
	return nil
}

func (p *program) runRun(ctx context.Context, o runOptions) error {
	c, r, err := p.prepare(ctx, p.options(o.file, o.set), o.fragments)
	ctx, draining, stop := p.watch(ctx) // until here a signal ends the program
	defer stop()
	if err != nil {
		return p.unstarted(draining, r, o, err)
	}
	j, err := newJournal(c)
	if err != nil {
		return err
	}
	out, err := openSummary(draining, o.summary, p.stdout)
	if err == nil {
		err = out.begin(j.summary())
	}
	switch {
	case err != nil && interrupted(draining):
		return &exitError{code: exitInterrupted, err: errDraining}
	case err != nil:
		return usage(err)
	}
	status, err := p.carry(ctx, draining, c, r, o, j, out)
	if late := out.finish(j.close(status, exitCode(err), err)); late != nil {
		return &exitError{code: exitFailed, err: errors.Join(said(err), late)}
	}
	return err
}

// unstarted says why a run did not start, and writes a summary that says so: that of an earlier
// run must not stand for this one. Its error is the exit code.
func (p *program) unstarted(draining context.Context, r *ready, o runOptions, why error) error {
	p.say(said(why))
	j, err := newJournal(r.settings)
	if err == nil {
		var out *summaryFile
		if out, err = openSummary(draining, o.summary, p.stdout); err == nil {
			status := pipeline.StatusFailed
			if interrupted(draining) {
				status = pipeline.StatusInterrupted
			}
			err = out.finish(j.close(status, exitCode(why), why))
		}
	}
	if err != nil && !interrupted(draining) {
		p.say(err)
	}
	return &exitError{code: exitCode(why)}
}

// carry runs the streams and keeps the summary up to date meanwhile. It returns how the run ended.
func (p *program) carry(ctx, draining context.Context, c *config.Config, r *ready, o runOptions, j *journal, out *summaryFile) (pipeline.Status, error) {
	screen := p.newScreen()
	log := newLogger(screen, c.Service.Log, p.terminal)
	st, err := wire(draining, c, r, o.fragments, log)
	if err != nil {
		err = refused(draining, err)
		if interrupted(draining) {
			return pipeline.StatusInterrupted, err
		}
		return pipeline.StatusFailed, err
	}
	j.count(st.counted)
	finished := make(chan struct{})
	var aside sync.WaitGroup
	aside.Go(func() {
		ticker := time.NewTicker(rewriteEvery)
		defer ticker.Stop()
		out.keep(finished, ticker.C, j.summary, log)
	})
	results, err := p.runStreams(ctx, draining, st, c, j, screen, log)
	close(finished)
	aside.Wait()
	if closeErr := st.close(); err == nil {
		err = closeErr
	}
	j.summary().print(screen)
	if err != nil {
		if errors.Is(err, errAborted) {
			return pipeline.StatusInterrupted, err
		}
		return pipeline.StatusFailed, err
	}
	return verdict(results, interrupted(draining), o.gapsCode)
}

// refused is why a run did not start.
func refused(draining context.Context, err error) error {
	if interrupted(draining) {
		return &exitError{code: exitInterrupted, err: errDraining}
	}
	return err
}

// result is how one stream ended.
type result struct {
	stream  string
	summary pipeline.Summary
	err     error
}

// runStreams runs all streams side by side. One that fails leaves the others
// alone. Its error concerns the run as a whole.
func (p *program) runStreams(ctx, draining context.Context, st *stages, c *config.Config, j *journal, screen *screen, log *slog.Logger) ([]result, error) {
	ctx, abort := context.WithCancelCause(ctx)
	defer abort(nil)
	meter := &pipeline.Meter{}
	finished := make(chan struct{})
	var aside sync.WaitGroup
	aside.Go(func() { limitDrain(draining, finished, c.Service.ShutdownTimeout, log, abort) })
	aside.Go(func() { p.progress(finished, c, meter, &st.outages, screen, log) })

	f := &fleet{
		run: func(in source.Input) result { return runStream(ctx, draining, st, in, j, meter, log) },
		missing: func(stream string, err error) result {
			account := j.open(stream)
			account.End(pipeline.StatusFailed, err)
			return result{stream: stream, summary: account.Summary(), err: err}
		},
		list:  st.list,
		every: listEvery,
		log:   log,

		finite: !c.Source.Origin.Endless(),
	}
	results := f.sail(draining, st.inputs)
	close(finished)
	aside.Wait()
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errAborted):
		return results, &exitError{code: exitInterrupted, err: errAborted}
	case errors.Is(cause, errShutdown):
		return results, fmt.Errorf("finish what was under way: %w (%s)", errShutdown, c.Service.ShutdownTimeout)
	}
	return results, nil
}

func runStream(ctx, draining context.Context, st *stages, in source.Input, j *journal, meter *pipeline.Meter, log *slog.Logger) result {
	account := j.open(in.Stream)
	summary, err := st.run(ctx, draining, in, st.bounds(pipeline.Options{Log: log, Meter: meter, Account: account}))
	log = log.With("stream", in.Stream)
	status := pipeline.StatusComplete
	switch {
	case err == nil:
		log.Info("stream ended", "fragments", summary.Fragments, "gaps", summary.Gaps)
		if interrupted(draining) {
			status = pipeline.StatusInterrupted
		} else if summary.Gaps > 0 {
			status = pipeline.StatusGaps
		}
	case errors.Is(context.Cause(ctx), errAborted):
		log.Warn("stream given up", "error", err)
		status, err = pipeline.StatusInterrupted, errAborted
	case ctx.Err() != nil:
		log.Warn("stream given up", "error", err)
		status, err = pipeline.StatusFailed, context.Cause(ctx)
	default:
		log.Error("stream failed", "error", err)
		status = pipeline.StatusFailed
		j.blame(err)
	}
	account.End(status, err)
	return result{stream: in.Stream, summary: summary, err: err}
}

// limitDrain gives what is under way the time that the settings allow.
func limitDrain(draining context.Context, finished <-chan struct{}, timeout time.Duration, log *slog.Logger, abort context.CancelCauseFunc) {
	select {
	case <-finished:
		return
	case <-draining.Done():
	}
	if !interrupted(draining) {
		return
	}
	log.Info("interrupted: finishing what is under way; interrupt again to end at once", "timeout", timeout.String())
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-finished:
	case <-timer.C:
		abort(errShutdown)
	}
}

// verdict is how a run ended whose streams have all come to an end, and its exit code.
func verdict(results []result, interrupted bool, gapsCode int) (pipeline.Status, error) {
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
		return pipeline.StatusInterrupted, &exitError{code: exitInterrupted}
	case gaps > 0:
		return pipeline.StatusGaps, &exitError{code: gapsCode}
	}
	return pipeline.StatusComplete, nil
}

// newLogger returns the logger that the settings ask for.
func newLogger(w io.Writer, c config.Log, terminal bool) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo // the settings allow no other names than the four of slog
	}
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: plainErrors}
	if c.Format == config.LogText || c.Format == config.LogAuto && terminal {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// plainErrors logs an error as its cause, in one line.
func plainErrors(_ []string, a slog.Attr) slog.Attr {
	if err, ok := a.Value.Any().(error); ok {
		a.Value = slog.StringValue(strings.Join(errorLines(err), "; "))
	}
	return a
}
