// Package kvsframes runs the pipeline that a pipeline.yaml describes: it reads Amazon Kinesis Video
// Streams or files, decodes the frames that are wanted, and writes them as images.
//
//	p, err := kvsframes.Load(ctx, kvsframes.LoadOptions{Path: "pipeline.yaml"})
//	if err != nil {
//		return err
//	}
//	summary, err := p.Run(ctx, kvsframes.RunOptions{Log: slog.Default()})
//
// The packages below it do the work, and each can be used without the others: source and source/kvs
// read fragments, decode turns them into images, sink and sink/s3 store the images, and pipeline passes
// fragments from one to the next. A program that has its own source or sink combines the packages with
// [github.com/kvsframes/kvsframes/pipeline.Run]; docs/library.md shows how.
//
// Only this package knows all the others. The command kvsframes adds flags, progress and exit codes.
package kvsframes

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/kvsframes/kvsframes/pipeline"
)

// ErrInterrupted is the error of a run or a wait that was asked to stop early.
var ErrInterrupted = errors.New("interrupted")

// RunOptions holds the optional settings of a run.
type RunOptions struct {
	// Log receives messages for the user. Nil is silent.
	Log *slog.Logger
	// Drain, when closed, asks the run to stop: it reads nothing more, and finishes the work in progress
	// within the service.shutdown_timeout of the settings. A nil channel never asks.
	Drain <-chan struct{}
	// Restart makes streams with a checkpoint begin again, and forgets their checkpoints. RestartSinks does so for the
	// sinks of these names alone.
	Restart      bool
	RestartSinks []string
	// AcceptChanges continues from a checkpoint that was written with other settings, with the present ones.
	AcceptChanges bool
	// IgnoreCheckpoint neither reads nor writes checkpoints.
	IgnoreCheckpoint bool
	// CheckpointTerm is how long the owner of a checkpoint in S3 may be silent before another run takes it over; 0 is
	// checkpoint.DefaultTerm. All runs of a stream need the same.
	CheckpointTerm time.Duration
	// Version is the program's version, for the summary.
	Version string
}

// Run runs the pipeline to its end and returns its summary. The error is nil when every stream was read
// to its end, with or without gaps (see Summary.Status), or when the run was drained. A cancelled context
// ends the run at once, with the context's cause.
//
// A program that shows progress during the run uses NewRun.
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

// drained returns a context that ends with ctx, or with ErrInterrupted when drain is closed. The caller
// calls stop when it no longer needs the context.
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
	// lost reports whether the stream was given up, and fragments were read that no run delivers.
	lost bool
	err  error
}
