package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/kvsframes/kvsframes/internal/config"
	"github.com/kvsframes/kvsframes/pipeline"
	"github.com/kvsframes/kvsframes/source"
)

// errShutdown is why a run ends whose drain has taken too long.
var errShutdown = errors.New("service.shutdown_timeout is over")

func (p *program) newRunCommand() *cobra.Command {
	var set, fragments []string
	var summary string
	cmd := &cobra.Command{
		Use:   "run [pipeline.yaml]",
		Short: "Reads the streams and writes their images",
		Long: `Reads the streams of the settings side by side and writes their images, until
every stream has ended. The first interrupt stops the reading and finishes what is
under way, the second one ends at once. Progress and a summary go to standard error.

With --fragment it reads just the fragments of these numbers, such as a notification
names them, from the archive of the one stream; start_selector, end and mode do not count then.`,
		Args: checkArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, n := range fragments {
				if !source.IsFragmentNumber(n) {
					return usage(fmt.Errorf("--fragment %q is not a fragment number", n))
				}
			}
			return p.runRun(cmd.Context(), fileOf(args), set, fragments, summary)
		},
	}
	addSet(cmd, &set)
	cmd.Flags().StringSliceVar(&fragments, "fragment", nil, "read only the stored fragment of this `NUMBER` (again, or with commas, for more)")
	cmd.Flags().StringVar(&summary, "summary", "", "write the summary to this file, as JSON")
	return cmd
}

func (p *program) runRun(ctx context.Context, file string, set, fragments []string, summaryFile string) error {
	from := p.options(file, set)
	c, err := p.loadSettings(from)
	if err != nil {
		return err
	}
	if err := checkFolder(summaryFile); err != nil {
		return err
	}
	screen := &screen{out: p.stderr}
	log := newLogger(screen, c.Service.Log, p.terminal)
	ctx, draining, stop := p.watch(ctx)
	defer stop()

	st, err := wire(draining, c, fragments, p.stdin, log)
	if err != nil {
		return p.refused(draining, from, err)
	}
	start := time.Now()
	results, err := p.runStreams(ctx, draining, st, c, screen, log)
	if closeErr := st.close(); err == nil {
		err = closeErr
	}
	sum := newSummary(results, time.Since(start))
	sum.print(screen)
	if summaryFile != "" {
		err = errors.Join(err, sum.write(summaryFile))
	}
	if err != nil {
		return err
	}
	return verdict(results, interrupted(draining))
}

// checkFolder finds out before a run whether there is a place for its summary.
func checkFolder(file string) error {
	if file == "" {
		return nil
	}
	info, err := os.Stat(filepath.Dir(file))
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a folder", filepath.Dir(file))
	}
	if err != nil {
		return fmt.Errorf("write summary: %w", err)
	}
	return nil
}

// refused says why a run did not start. Settings that turn out to be wrong only
// when files are looked for are wrong settings as well.
func (p *program) refused(draining context.Context, from config.Options, err error) error {
	if interrupted(draining) {
		return &exitError{code: exitInterrupted, err: errDraining}
	}
	var wrong *settingsError
	if errors.As(err, &wrong) {
		return &exitError{code: exitConfig, err: config.Fields(from, wrong.part, wrong.err)}
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
func (p *program) runStreams(ctx, draining context.Context, st *stages, c *config.Config, screen *screen, log *slog.Logger) ([]result, error) {
	ctx, abort := context.WithCancelCause(ctx)
	defer abort(nil)
	meter := &pipeline.Meter{}
	finished := make(chan struct{})
	var aside sync.WaitGroup
	aside.Go(func() { limitDrain(draining, finished, c.Service.ShutdownTimeout, log, abort) })
	aside.Go(func() { p.progress(finished, c, meter, &st.outages, screen, log) })

	f := &fleet{
		run:   func(in source.Input) result { return runStream(ctx, draining, st, in, meter, log) },
		list:  st.list,
		every: listEvery,
		log:   log,

		finite: c.Source.Mode == source.ModeArchive,
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

func runStream(ctx, draining context.Context, st *stages, in source.Input, meter *pipeline.Meter, log *slog.Logger) result {
	summary, err := st.run(ctx, draining, in, st.bounds(pipeline.Options{Log: log, Meter: meter}))
	log = log.With("stream", in.Stream)
	switch {
	case err == nil:
		log.Info("stream ended", "fragments", summary.Fragments, "gaps", len(summary.Gaps))
	case ctx.Err() != nil:
		log.Warn("stream given up", "error", err)
	default:
		log.Error("stream failed", "error", err)
	}
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

// verdict is the exit code of a run whose streams have all come to an end.
func verdict(results []result, interrupted bool) error {
	gaps, failed := 0, 0
	for _, r := range results {
		gaps += len(r.summary.Gaps)
		if r.err != nil {
			failed++
		}
	}
	switch {
	case failed > 0:
		return fmt.Errorf("%d of %d streams failed", failed, len(results))
	case interrupted:
		return &exitError{code: exitInterrupted}
	case gaps > 0:
		return &exitError{code: exitGaps}
	}
	return nil
}

// newLogger returns the logger that the settings ask for.
func newLogger(w io.Writer, c config.Log, terminal bool) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo // the settings allow no other names than the four of slog
	}
	options := &slog.HandlerOptions{Level: level}
	if c.Format == config.LogText || c.Format == config.LogAuto && terminal {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}
