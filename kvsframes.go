// Package kvsframes runs what a pipeline.yaml describes: it reads streams of Amazon Kinesis Video
// Streams or files, decodes the frames that are wanted, and writes them as images.
//
//	p, err := kvsframes.Load(ctx, kvsframes.LoadOptions{Path: "pipeline.yaml"})
//	if err != nil {
//		return err
//	}
//	summary, err := p.Run(ctx, kvsframes.RunOptions{Log: slog.Default()})
//
// The packages below it do the work, and each can be used without the others: source and
// source/kvs read fragments, decode turns them into images, sink and sink/s3 store these, and
// pipeline carries fragments from one to the next. A program with a source or a sink of its own puts
// them together with [github.com/kvsframes/kvsframes/pipeline.Run]; docs/library.md shows how.
//
// This package is the only one that knows all of them. The command kvsframes adds flags, progress and
// exit codes.
package kvsframes

import (
	"context"
	"errors"
	"log/slog"

	"github.com/kvsframes/kvsframes/pipeline"
)

// ErrInterrupted is why a run, or a call that waits, ends before its time: it was asked to.
var ErrInterrupted = errors.New("interrupted")

// RunOptions holds the optional settings of a run.
type RunOptions struct {
	// Log gets what the user should know. Nil is silent.
	Log *slog.Logger
	// Drain asks the run to stop when it is closed: nothing more is read, and what is under way is
	// finished, within the service.shutdown_timeout of the settings. Nil never does.
	Drain <-chan struct{}
	// Version is that of the program, for the summary.
	Version string
}

// Run runs the pipeline to its end, and returns what it came to. The error is nil when every stream
// was read to its end, with gaps or without (see Summary.Status), or when the run was drained. A
// cancelled context ends the run at once, with the context's cause.
//
// A program that shows progress meanwhile uses NewRun.
func (p *Pipeline) Run(ctx context.Context, o RunOptions) (Summary, error) {
	r, err := p.NewRun(o)
	if err != nil {
		return Summary{}, err
	}
	status, err := r.Do(ctx)
	return r.End(status, ExitCode(status), err), err
}

// interrupted reports whether the run was asked to stop.
func interrupted(draining context.Context) bool {
	return errors.Is(context.Cause(draining), ErrInterrupted)
}

// drained returns a context that ends with ctx, or with ErrInterrupted when drain is closed. The
// caller calls stop when it needs the context no longer.
func drained(ctx context.Context, drain <-chan struct{}) (draining context.Context, stop func()) {
	draining, end := context.WithCancelCause(ctx)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		select {
		case <-drain:
			end(ErrInterrupted)
		case <-draining.Done():
		}
	}()
	return draining, func() {
		end(context.Canceled)
		<-gone
	}
}

// result is how one stream ended.
type result struct {
	stream  string
	summary pipeline.Summary
	err     error
}
