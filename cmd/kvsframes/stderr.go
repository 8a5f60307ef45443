package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/kvsframes/kvsframes"
	"github.com/kvsframes/kvsframes/config"
	"github.com/kvsframes/kvsframes/pipeline"
)

// This file writes the summary and errors to standard error: as text, or as records where the log of a run is JSON, so that what collects
// the log never meets a line of another form.

// isText reports whether a format of log lines is text.
func isText(f config.LogFormat, terminal bool) bool {
	return f == config.LogText || f != config.LogJSON && terminal
}

// sayAs chooses the form of the summary and of errors: that of the log.
func (p *program) sayAs(c config.Log) {
	if isText(c.Format, p.terminal) {
		p.records.Store(nil)
		return
	}
	p.records.Store(newLogger(p.stderr, c, p.terminal))
}

// report reports what went wrong and returns the exit code for it.
func (p *program) report(cmd *cobra.Command, err error) int {
	code := exitCode(err)
	if err = said(err); err == nil {
		return code
	}
	p.say(err, code)
	if code == exitUsage {
		fmt.Fprintf(p.stderr, "See `%s --help`.\n", cmd.CommandPath())
	}
	return code
}

// say writes an error that ends the program with a code: the places of wrong settings, or else one line or record for each of the joined
// errors.
func (p *program) say(err error, code int) {
	if problems, ok := errors.AsType[config.Problems](err); ok {
		for _, problem := range problems {
			p.tell("", problem.String(), code)
		}
		return
	}
	for _, line := range errorLines(err) {
		if p.redact != nil {
			line = p.redact(line)
		}
		p.tell("kvsframes: ", line, code)
	}
}

// tell writes one error: as text after a prefix, or as a record. An error of the command line is always text: it is read by whoever typed
// that.
func (p *program) tell(prefix, text string, code int) {
	log := p.records.Load()
	switch {
	case log == nil || code == exitUsage:
		fmt.Fprintf(p.stderr, "%s%s\n", prefix, text)
	case code == exitInterrupted:
		log.Info("run interrupted", "error", text, "exit_code", code)
	default:
		log.Error("run failed", "error", text, "exit_code", code)
	}
}

// tellSummary writes the summary of a run that has begun.
func (p *program) tellSummary(s kvsframes.Summary) {
	if len(s.Streams) == 0 {
		return
	}
	log := p.records.Load()
	if log == nil {
		printSummary(p.stderr, s)
		return
	}
	level := slog.LevelInfo
	switch s.Status {
	case pipeline.StatusFailed:
		level = slog.LevelError
	case pipeline.StatusGaps:
		level = slog.LevelWarn
	}
	streams := make(map[string]endedStream, len(s.Streams))
	for name, st := range s.Streams {
		streams[name] = ended(st)
	}
	log.Log(context.Background(), level, "run ended", "status", s.Status, "exit_code", s.ExitCode, "elapsed_s", s.Elapsed,
		"streams", streams, "sinks", s.Sinks)
}

// endedStream is a stream in the record of the summary. The record is one line of a log, so what is zero is left out, and so are the gaps,
// each of which was logged.
type endedStream struct {
	Status          pipeline.Status       `json:"status"`
	Error           string                `json:"error,omitempty"`
	Fragments       int                   `json:"fragments"`
	FramesDecoded   int                   `json:"frames_decoded"`
	FramesConcealed int                   `json:"frames_concealed,omitempty"`
	FramesWritten   map[string]int        `json:"frames_written"`
	FramesSkipped   map[string]int        `json:"frames_skipped,omitempty"`
	BytesRead       int64                 `json:"bytes_read"`
	Pauses          int                   `json:"pauses,omitempty"`
	Gaps            int                   `json:"gaps"`
	Undelivered     *pipeline.Undelivered `json:"undelivered,omitempty"`
}

func ended(s pipeline.Summary) endedStream {
	e := endedStream{
		Status: s.Status, Error: oneLine(s.Error), Fragments: s.Fragments, FramesDecoded: s.FramesDecoded, FramesConcealed: s.FramesConcealed,
		FramesWritten: s.FramesWritten, FramesSkipped: map[string]int{}, BytesRead: s.BytesRead, Pauses: s.Pauses, Gaps: s.Gaps,
	}
	for sink, n := range s.FramesSkipped {
		if n > 0 {
			e.FramesSkipped[sink] = n
		}
	}
	if s.Undelivered.Fragments > 0 {
		e.Undelivered = &s.Undelivered
	}
	return e
}
