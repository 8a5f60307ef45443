package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kvsframes/kvsframes"
	"github.com/kvsframes/kvsframes/config"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/pipeline"
	"github.com/kvsframes/kvsframes/source/payload"
)

// runOptions are the options of run on the command line.
type runOptions struct {
	load    kvsframes.LoadOptions
	summary string
	// gapsCode is the exit code of a finished run with gaps.
	gapsCode int
	// restart are the sinks that begin again although they have a place in a checkpoint, or everySink. ignore does without
	// checkpoints.
	restart []string
	ignore  bool
	// accept continues with settings that have changed.
	accept bool
	// watch has the settings read again when the file has changed.
	watch bool
}

// everySink is the value of --restart without one.
const everySink = "*"

func (p *program) newRunCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run [pipeline.yaml | --sink KEY=VALUE,... FILE|STREAM...]",
		Short: "Reads the streams and writes their images",
		Long: `Reads the streams of the settings side by side and writes their images, until
every stream has ended. The first interrupt stops reading and finishes the work
in progress; another one, a second later or more, ends at once. Progress and a
summary go to standard error.

With a checkpoint (see checkpoint in the settings) a run continues where the one
before it was, however that ended.

SIGHUP, where standard error is no terminal, has the settings read again, and so
has --watch when the file changes. Sinks and service.log.level may change during
a run that has a checkpoint: they are in force between two fragments. Settings
that are wrong, or that need a restart, change nothing, and the log says why.

With --sink it needs no file: it writes the images of a sink from these files or
streams, without a checkpoint. The keys are those of a sink in pipeline.yaml, or
their ends where only one key has that end:

  kvsframes run --sink interval=1s,width=320,directory=out recording.mkv
  kvsframes run --sink type=raw,sample=keyframes,bucket=frames my-camera

With --fragment it reads only the fragments of these numbers, such as a
notification names them, from the archive of the one stream; start_selector, end
and mode have no effect then. NUMBER@OFFSET is the frame that is shown at a time
after the fragment's start, such as 1.25s, and - takes such frames from records
on standard input, one JSON object a line, as Amazon Rekognition writes them.
The frames stand in for those that the sinks' samplers would choose:

  kvsframes run --fragment 91343852333181432392682062607743920146264094487@1.25s

With --gaps it reads from the archive what earlier runs could not deliver, as
the ledger below a folder or a prefix states. It writes the images under their
own names, and a record that closes the gap. It exits with 3 while gaps stay
open.`,
		Args: checkArgs(func(cmd *cobra.Command, args []string) error {
			if len(o.load.Sinks) > 0 {
				return cobra.MinimumNArgs(1)(cmd, args)
			}
			return cobra.MaximumNArgs(1)(cmd, args)
		}),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.load.Sources = args; len(o.load.Sinks) == 0 {
				o.load.Path, o.load.Sources = fileOf(args), nil
			}
			err := o.takeFrames(p.stdin)
			if err == nil {
				err = o.check()
			}
			if err != nil {
				return usage(err)
			}
			return p.runRun(cmd.Context(), o)
		},
	}
	addSet(cmd, &o.load.Set)
	cmd.Flags().StringArrayVar(&o.load.Sinks, "sink", nil, "write to this sink, without a settings file: `KEY=VALUE,...`, such as interval=1s,directory=out; may be repeated")
	cmd.Flags().StringSliceVar(&o.load.Fragments, "fragment", nil, "read only the stored fragment of this `NUMBER`, or only its frame at NUMBER@OFFSET; - reads records of frames from standard input (may be repeated, or a list with commas)")
	cmd.Flags().StringVar(&o.load.Gaps, "gaps", "", "close the gaps in the ledger below `DIR|s3://BUCKET/PREFIX` from the archive, and read nothing else")
	cmd.Flags().StringVar(&o.summary, "summary", "", "write the summary to this `FILE`, as JSON: every 10 s and at the end; - is standard output, which like devices and pipes gets it only at the end")
	cmd.Flags().StringSliceVar(&o.restart, "restart", nil, "forget the checkpoints and begin at start_selector again, or forget the place of one `SINK` (--restart=SINK) and begin with the first fragment for that")
	cmd.Flags().Lookup("restart").NoOptDefVal = everySink
	cmd.Flags().BoolVar(&o.accept, "accept-changes", false, "continue from a checkpoint that was written with other settings")
	cmd.Flags().BoolVar(&o.ignore, "ignore-checkpoint", false, "neither read nor write checkpoints")
	cmd.Flags().BoolVar(&o.watch, "watch", false, "read the settings file again when it has changed, as after SIGHUP: what changes of the sinks and of service.log.level is in force from the next fragment on")
	cmd.Flags().IntVar(&o.gapsCode, "gaps-exit-code", exitGaps, "the exit code `N` of a finished run with gaps")
	return cmd
}

// takeFrames takes the frames out of what --fragment names. Those on standard input are records.
func (o *runOptions) takeFrames(stdin io.Reader) error {
	named := o.load.Fragments
	isFrame := func(text string) bool { return text == "-" || strings.Contains(text, "@") }
	if !slices.ContainsFunc(named, isFrame) {
		return nil
	}
	o.load.Fragments = nil
	for _, text := range named {
		switch {
		case !isFrame(text):
			return errors.New("--fragment names fragments with an offset and without: want one of both")
		case text == "-" && len(named) > 1:
			return errors.New("--fragment - reads all frames from standard input: name no other")
		case text == "-":
			frames, err := plan.ReadRequests(stdin, true)
			if err != nil {
				return fmt.Errorf("--fragment -: standard input: %w", err)
			}
			o.load.Frames = frames
			return nil
		}
		r, err := plan.ParsePlace(text)
		if err != nil {
			return fmt.Errorf("--fragment: %w", err)
		}
		o.load.Frames = append(o.load.Frames, r)
	}
	return nil
}

func (o runOptions) check() error {
	for _, n := range o.load.Fragments {
		if !payload.IsFragmentNumber(n) {
			return fmt.Errorf("--fragment %q is not a fragment number", n)
		}
	}
	if o.load.Gaps != "" && (len(o.load.Fragments)+len(o.load.Frames)+len(o.restart) > 0 || o.accept || len(o.load.Sinks) > 0) {
		return errors.New("--gaps has no meaning with --fragment, --restart, --accept-changes or --sink")
	}
	if all := slices.Contains(o.restart, everySink); all && len(o.restart) > 1 {
		return errors.New("--restart and --restart=SINK exclude each other")
	} else if len(o.restart) > 0 && o.ignore || all && o.accept || o.ignore && o.accept {
		return errors.New("--restart, --accept-changes and --ignore-checkpoint exclude each other")
	}
	if o.gapsCode < 0 || o.gapsCode > 255 {
		return fmt.Errorf("--gaps-exit-code %d is not within 0..255", o.gapsCode)
	}
	return nil
}

func (p *program) runRun(ctx context.Context, o runOptions) error {
	p.sayAs(config.Log{Format: config.LogFormat(p.variable("KVSFRAMES_SERVICE_LOG_FORMAT"))}) // until the settings are read
	o.load.NewLog = func(c config.Log) *slog.Logger { return newLogger(p.stderr, c, p.terminal) }
	var file []byte
	if o.watch {
		file, _ = os.ReadFile(o.load.Path) // before it is loaded, so that no change is missed; if it cannot be read, that differs from what comes
	}
	pipe, err := p.load(ctx, o.load)
	if pipe.Config != nil {
		p.sayAs(pipe.Config.Service.Log)
	}
	ctx, draining, stop := p.watch(ctx) // until now a signal ends the program
	defer stop()
	if err != nil {
		return p.unstarted(draining, pipe, o, err)
	}
	all := slices.Contains(o.restart, everySink)
	for _, name := range o.restart {
		if !all && !slices.ContainsFunc(pipe.Config.Sinks, func(s config.Sink) bool { return s.Name == name }) {
			return usage(fmt.Errorf("--restart=%s: the settings have no sink of this name", name))
		}
	}
	if err := p.checkStdout(pipe.Config, o.summary); err != nil {
		return usage(err)
	}
	screen := p.newScreen()
	level := new(slog.LevelVar)
	log := newLeveled(screen, pipe.Config.Service.Log, p.terminal, level)
	if n := len(o.load.Frames); n > 0 {
		log.Info("the frames of --fragment stand in for what the sinks' samplers would choose", "frames", n)
	}
	s := &succession{
		program: p, load: o.load, watches: o.watch, taken: file, seen: file, gapsCode: o.gapsCode, screen: screen, log: log, level: level,
		options: kvsframes.RunOptions{
			Log: log, Restart: all, RestartSinks: o.restart, AcceptChanges: o.accept, IgnoreCheckpoint: o.ignore,
			CheckpointTerm: p.checkpointTerm, Version: programVersion(),
		},
	}
	if err := s.take(pipe); err != nil {
		return err
	}
	if s.out, err = openSummary(draining, o.summary, p.stdout); err == nil {
		err = s.out.begin(s.run.Summary())
	}
	switch {
	case err != nil && interrupted(draining):
		return &exitError{code: exitInterrupted, err: errDraining}
	case err != nil:
		return usage(err)
	}
	status, err := s.carry(ctx, draining)
	end := s.end(status, exitCode(err), said(err))
	p.tellSummary(end)
	if late := s.out.finish(end); late != nil {
		return &exitError{code: exitFailed, err: errors.Join(said(err), late)}
	}
	return err
}

// checkStdout returns an error if a sink writes to standard output, and that is no place for samples.
func (p *program) checkStdout(c *config.Config, summary string) error {
	i := slices.IndexFunc(c.Sinks, func(s config.Sink) bool { return s.Destination.Appends() })
	if i < 0 {
		return nil
	}
	if info, err := os.Stat(summary); summary == standardOutput || err == nil && isStandardOutput(info) {
		return fmt.Errorf("--summary %s: sink %s writes to standard output; name a file, or /dev/stderr", summary, c.Sinks[i].Name)
	}
	if f, ok := p.stdout.(*os.File); ok && isTerminal(f) {
		return fmt.Errorf("sink %s writes to standard output, which is a terminal: pipe it into a program or a file", c.Sinks[i].Name)
	}
	return nil
}

// unstarted reports why a run did not start, and writes a summary that states it, so that the summary of an
// earlier run is not mistaken for this one's. Its error is the exit code.
func (p *program) unstarted(draining context.Context, pipe *kvsframes.Pipeline, o runOptions, why error) error {
	p.say(said(why), exitCode(why))
	run, err := pipe.NewRun(kvsframes.RunOptions{Version: programVersion()})
	if err == nil {
		var out *summaryFile
		if out, err = openSummary(draining, o.summary, p.stdout); err == nil {
			status := pipeline.StatusFailed
			if interrupted(draining) {
				status = pipeline.StatusInterrupted
			}
			err = out.finish(run.End(status, exitCode(why), said(why)))
		}
	}
	if err != nil && !interrupted(draining) {
		p.say(err, exitCode(why))
	}
	return &exitError{code: exitCode(why)}
}

// newLogger returns the logger that the settings describe.
func newLogger(w io.Writer, c config.Log, terminal bool) *slog.Logger {
	return newLeveled(w, c, terminal, new(slog.LevelVar))
}

// newLeveled is newLogger with a level that can be set later.
func newLeveled(w io.Writer, c config.Log, terminal bool, level *slog.LevelVar) *slog.Logger {
	level.Set(levelOf(c))
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: plainErrors}
	if isText(c.Format, terminal) {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// levelOf returns the level of the settings.
func levelOf(c config.Log) slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		return slog.LevelInfo // cannot happen: the settings allow only the four names of slog
	}
	return level
}

// plainErrors logs an error as its cause, on one line.
func plainErrors(_ []string, a slog.Attr) slog.Attr {
	if err, ok := a.Value.Any().(error); ok {
		a.Value = slog.StringValue(strings.Join(errorLines(err), "; "))
	}
	return a
}
