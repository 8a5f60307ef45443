package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kvsframes/kvsframes"
	"github.com/kvsframes/kvsframes/config"
	"github.com/kvsframes/kvsframes/pipeline"
)

// lookEvery is how often --watch reads the settings file.
const lookEvery = time.Second

// succession is a run whose sinks may change. For each version of the settings it has a run of the library, which continues at the
// checkpoint of the one before, as the next run of the program would.
type succession struct {
	*program
	load    kvsframes.LoadOptions
	watches bool // whether the file is looked at
	// taken is what the file held when it was looked at first, or taken last; seen is what it held at the last look.
	taken, seen []byte
	options     kvsframes.RunOptions
	pipe        *kvsframes.Pipeline
	run         *kvsframes.Run  // with the present settings
	drain       chan<- struct{} // ends that run
	earlier     kvsframes.Summary
	// failed reports whether an earlier run has failed, and why joins the reasons.
	failed   bool
	why      error
	gapsCode int
	out      *summaryFile
	screen   *screen
	log      *slog.Logger
	level    *slog.LevelVar
}

// take makes a run of a pipeline the present one.
func (s *succession) take(pipe *kvsframes.Pipeline) error {
	drain := make(chan struct{})
	s.options.Drain = drain
	run, err := pipe.NewRun(s.options)
	if err == nil {
		s.pipe, s.run, s.drain, s.redact = pipe, run, drain, pipe.Config.Redact
	}
	return err
}

// summary returns the summary of all runs so far.
func (s *succession) summary() kvsframes.Summary { return s.run.Summary().After(s.earlier) }

// end completes it.
func (s *succession) end(status pipeline.Status, code int, err error) kvsframes.Summary {
	return s.run.End(status, code, err).After(s.earlier)
}

// carry runs the pipeline, shows the progress, and keeps the summary up to date. Its error is the exit code.
func (s *succession) carry(ctx, draining context.Context) (pipeline.Status, error) {
	timeout := s.pipe.Config.Service.ShutdownTimeout.String() // which needs a restart
	defer context.AfterFunc(draining, func() {
		if interrupted(draining) {
			s.log.Info("interrupted: finishing the work in progress; interrupt again to end at once", "timeout", timeout)
		}
	})()
	for {
		turning, turn := context.WithCancel(draining)
		var next *kvsframes.Pipeline
		listening := make(chan struct{})
		go func() {
			defer close(listening)
			if next = s.await(turning); next != nil {
				turn()
			}
		}()
		status, err := s.one(ctx, turning)
		turn()
		<-listening
		switch {
		case ctx.Err() != nil || interrupted(draining):
			return s.verdict(status, err)
		case next == nil || status == pipeline.StatusComplete || status == pipeline.StatusGaps: // the streams have ended
			return s.verdict(status, err)
		case status == pipeline.StatusFailed: // a stream or a sink, which get another try
			s.failed, s.why = true, errors.Join(s.why, err)
		}
		s.earlier = s.summary()
		s.options.Restart, s.options.RestartSinks, s.options.AcceptChanges = false, nil, true
		if err := s.take(next); err != nil {
			return s.verdict(pipeline.StatusFailed, err)
		}
		s.level.Set(levelOf(next.Config.Service.Log))
		s.log.Info("the new settings are in force")
	}
}

// one runs the pipeline with the present settings, until turning ends at the latest.
func (s *succession) one(ctx, turning context.Context) (pipeline.Status, error) {
	finished := make(chan struct{})
	var aside sync.WaitGroup
	aside.Go(func() {
		ticker := time.NewTicker(rewriteEvery)
		defer ticker.Stop()
		s.out.keep(finished, ticker.C, s.summary, s.log)
	})
	aside.Go(func() { s.progress(finished, s.pipe.Config, s.run, s.screen, s.log) })
	drain := s.drain // the next run has another one, and this may come late
	defer context.AfterFunc(turning, func() { close(drain) })()
	status, err := s.run.Do(ctx)
	close(finished)
	aside.Wait()
	return status, err
}

// verdict returns how all runs together have ended. Its error is the exit code.
func (s *succession) verdict(status pipeline.Status, err error) (pipeline.Status, error) {
	for _, stream := range s.earlier.Streams {
		if status == pipeline.StatusComplete && stream.Gaps > 0 {
			status = pipeline.StatusGaps
		}
	}
	switch {
	case status == pipeline.StatusFailed, s.failed:
		return pipeline.StatusFailed, errors.Join(s.why, err)
	case status == pipeline.StatusGaps:
		return status, &exitError{code: s.gapsCode}
	case status == pipeline.StatusInterrupted:
		return status, &exitError{code: exitInterrupted, err: err}
	}
	return status, nil
}

// await waits until a run with other settings is to continue this one, or ctx ends. It returns nil then.
func (s *succession) await(ctx context.Context) *kvsframes.Pipeline {
	if s.load.Gaps != "" || len(s.load.Fragments)+len(s.load.Frames)+len(s.load.Sinks) > 0 { // they have no settings that stay
		<-ctx.Done()
		return nil
	}
	var looks <-chan time.Time
	if s.watches {
		ticker := time.NewTicker(lookEvery)
		defer ticker.Stop()
		looks = ticker.C
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.hangups:
		case <-looks:
			if !s.look() {
				continue
			}
		}
		if next := s.reload(ctx); next != nil {
			return next
		}
	}
}

// look reads the file, and reports whether it has changed since it was taken. A file that is still being written is not taken: it is the same at
// two looks.
func (s *succession) look() bool {
	now, err := os.ReadFile(s.load.Path)
	same := err == nil && bytes.Equal(now, s.seen)
	if s.seen = now; !same || bytes.Equal(now, s.taken) {
		return false
	}
	s.taken = now
	return true
}

// reload reads the settings again. It returns the pipeline with which another run is to continue, or nil: if they are wrong or unchanged, need a
// restart, or change nothing but the level of the log, which it sets.
func (s *succession) reload(ctx context.Context) *kvsframes.Pipeline {
	o := s.load
	o.Environ, o.Stdin = s.environ, s.stdin
	o.NewLog = func(config.Log) *slog.Logger { return s.log }
	next, err := kvsframes.Load(ctx, o)
	if err != nil {
		s.log.Error("the settings are wrong: the run goes on with those it has", "error", err)
		return nil
	}
	changed := s.pipe.Changed(next)
	isLevel := func(key string) bool { return key == "service.log.level" }
	isSink := func(key string) bool { return strings.HasPrefix(key, "sinks.") }
	restart := slices.DeleteFunc(slices.Clone(changed), func(key string) bool { return isLevel(key) || isSink(key) })
	_, isKVS := s.pipe.Config.Source.KVS()
	appends := func(sink config.Sink) bool { return sink.Destination.Appends() }
	switch {
	case len(changed) == 0:
		s.log.Info("the settings have not changed")
	case len(restart) > 0:
		s.log.Warn("the new settings need a restart: the run goes on with those it has", "changed", restart)
	case !slices.ContainsFunc(changed, isSink):
		s.level.Set(levelOf(next.Config.Service.Log))
		s.pipe.Config.Service.Log.Level = next.Config.Service.Log.Level
		s.log.Info("the new settings are in force", "changed", changed)
	case !isKVS: // a pipe could not be read again
		s.log.Warn("only runs over streams can change their sinks: the run goes on with the settings it has", "changed", changed)
	case !s.pipe.Keeps(s.options):
		s.log.Warn("without a checkpoint the sinks cannot change: the run goes on with the settings it has", "changed", changed)
	case slices.ContainsFunc(s.pipe.Config.Sinks, appends), slices.ContainsFunc(next.Config.Sinks, appends):
		s.log.Warn("a sink that writes to standard output cannot change: the run goes on with the settings it has", "changed", changed)
	default:
		s.log.Info("the settings have changed: finishing the work in progress", "changed", changed)
		return next
	}
	return nil
}
