// Command kvsframes turns the video of Amazon Kinesis Video Streams into images.
package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// The exit codes of the program.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitGaps        = 3
	exitConfig      = 78 // EX_CONFIG of sysexits.h
	exitInterrupted = 130
)

// exitCodes states when the program ends with which code.
var exitCodes = []struct {
	code int
	when string
}{
	{exitDone, "done, and everything was delivered, or the reader of standard output wanted no more"},
	{exitFailed, "failed: a stream or a sink could not continue, or the summary could not be written"},
	{exitUsage, "wrong usage; nothing was started"},
	{exitGaps, "done, but with gaps: fragments or frames that could not be delivered, each named in the summary; --gaps-exit-code gives another code"},
	{exitConfig, "wrong settings; nothing was started"},
	{exitInterrupted, "interrupted, after finishing the work in progress, or with a checkpoint, so that the next run does it; another interrupt, a second later or more, ends at once"},
}

// about returns the description of the program, within 80 columns.
func about() string {
	const indent = 7
	lines := []string{"kvsframes turns the video of Amazon Kinesis Video Streams into images.", "", "Exit codes:"}
	for _, e := range exitCodes {
		lines = append(lines, folds(fmt.Sprintf("  %-*d%s", indent-2, e.code, e.when), defaultColumns, indent)...)
	}
	return strings.Join(lines, "\n")
}

// program holds what a command may use of its process.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	environ        []string
	// signals receives the requests to stop.
	signals <-chan os.Signal
	// hangups receives SIGHUP, where that is none of them.
	hangups <-chan os.Signal
	// release restores the system's handling of signals.
	release func()
	// watched states that the command handles signals from now on; see execute.
	watched func()
	now     func() time.Time
	// redact removes secret values from a message; nil before settings are read.
	redact func(string) string
	// records is the log of a run whose standard error holds nothing but JSON; nil is text.
	records atomic.Pointer[slog.Logger]
	// terminal reports whether standard error is a terminal.
	terminal bool
	// size returns the size of that terminal; 0 is unknown.
	size func() (columns, rows int)
	// outWidth returns the number of columns of standard output, 0 when that is not a terminal or the width is unknown; nil does the
	// same.
	outWidth func() int
	// checkpointTerm is how long the owner of a checkpoint in S3 may be silent; 0 is the usual time.
	checkpointTerm time.Duration
}

// exitError ends the program with a code. Other errors end it with code 1.
type exitError struct {
	code int
	err  error // nil: nothing to report
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// Garbage is mostly fragments and images: few, but megabytes each. It may be an eighth of the memory in use plus
// the ballast. The ballast is never touched and so occupies no memory; without it a program that holds little
// would collect garbage for every fragment.
const (
	gcPercent   = 12
	ballastSize = 32 << 20
)

func main() { runMain(0) }

// runMain is main, with the term of checkpoints in S3.
func runMain(checkpointTerm time.Duration) {
	var ballast []byte
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(-1) // so that allocating the ballast does not start a collection
		ballast = make([]byte, ballastSize)
		debug.SetGCPercent(gcPercent)
	}
	terminal := isTerminal(os.Stderr)
	signals, hangups := listenForSignals(terminal)
	p := &program{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		environ: os.Environ(), terminal: terminal, now: time.Now,
		size: func() (int, int) { return sizeOf(os.Stderr) }, outWidth: func() int { columns, _ := sizeOf(os.Stdout); return columns },
		signals: signals, hangups: hangups, release: func() { signal.Stop(signals) }, checkpointTerm: checkpointTerm,
	}
	code := p.execute(os.Args[1:])
	runtime.KeepAlive(ballast)
	os.Exit(code)
}

// listenForSignals returns the requests to stop, and those to read the settings again. A closed terminal is one to stop, for a program that
// displays progress there; under nohup SIGHUP is not received at all.
func listenForSignals(terminal bool) (signals, hangups chan os.Signal) {
	signals, hangups = make(chan os.Signal, 2), make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	switch {
	case signal.Ignored(syscall.SIGHUP):
	case terminal:
		signal.Notify(signals, syscall.SIGHUP)
	default:
		signal.Notify(hangups, syscall.SIGHUP)
	}
	return signals, hangups
}

// execute runs one command line and returns the exit code. Until a command watches the signals, the first one
// ends the program, whatever it waits for: there is no work to finish.
func (p *program) execute(args []string) int {
	p.stderr = cleanWriter{&lockedWriter{to: p.stderr}}
	root := p.newRootCommand()
	root.SetArgs(args)
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	watched := make(chan struct{})
	p.watched = sync.OnceFunc(func() { close(watched) })
	code := make(chan int, 1)
	go func() { code <- p.report(root.ExecuteC()) }()
	select {
	case c := <-code:
		return c
	case <-watched:
		return <-code
	case <-p.signals:
		p.tell("kvsframes: ", errDraining.Error(), exitInterrupted)
		return exitInterrupted
	}
}

// exitCode returns the exit code of an error that ends the program.
func exitCode(err error) int {
	if err == nil {
		return exitDone
	}
	if exit, ok := errors.AsType[*exitError](err); ok {
		return exit.code
	}
	return exitFailed
}

// said returns the error to report for an error that ends the program; nil when the exit code says everything.
func said(err error) error {
	if exit, ok := errors.AsType[*exitError](err); ok {
		return exit.err
	}
	return err
}

func (p *program) newRootCommand() *cobra.Command {
	showVersion := false
	root := &cobra.Command{
		Use:           "kvsframes",
		Short:         "Turns the video of Amazon Kinesis Video Streams into images",
		Long:          about(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          knownCommand,
		RunE: func(*cobra.Command, []string) error {
			if showVersion {
				return p.runVersion()
			}
			return usage(errNoCommand)
		},
		SuggestionsMinimumDistance: 2,
	}
	root.Flags().BoolVar(&showVersion, "version", false, "print what the command version prints")
	root.SetUsageFunc(printUsage)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err) })
	root.AddCommand(
		p.newRunCommand(),
		p.newValidateCommand(),
		p.newInitCommand(),
		p.newPlanCommand(),
		p.newInspectCommand(),
		p.newRecordCommand(),
		p.newRequestCommand(),
		p.newManifestCommand(),
		p.newViewCommand(),
		p.newEmulateCommand(),
		p.newSchemaCommand(),
		p.newDocsCommand(),
		p.newHealthCommand(),
		p.newCompletionCommand(),
		p.newVersionCommand(),
	)
	p.addCompletion(root)
	return root
}

// printUsage prints the usage of a command, its flags within 80 columns. cobra's templates could do the same, but
// with text/template the linker keeps every exported method of a program: a third of the program's size.
func printUsage(cmd *cobra.Command) error {
	w := cmd.OutOrStderr()
	line := cmd.UseLine()
	if cmd.HasAvailableSubCommands() {
		line = cmd.CommandPath() + " [command]"
	}
	fmt.Fprintf(w, "Usage:\n  %s\n", line)
	if cmd.HasAvailableSubCommands() {
		fmt.Fprint(w, "\nCommands:\n")
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(w, "  %-*s %s\n", sub.NamePadding(), sub.Name(), sub.Short)
			}
		}
	}
	_, err := fmt.Fprintf(w, "\nFlags:\n%s", cmd.LocalFlags().FlagUsagesWrapped(defaultColumns))
	if cmd.HasAvailableSubCommands() {
		_, err = fmt.Fprintf(w, "\n`%s COMMAND --help` describes a command.\n", cmd.CommandPath())
	}
	return err
}

// errNoCommand is the error of a command line without a command.
var errNoCommand = errors.New("name a command")

// knownCommand rejects words after the name of the program, or of a command with others below it, that are not commands.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	near := ""
	if names := cmd.SuggestionsFor(args[0]); len(names) > 0 {
		near = " (did you mean " + strings.Join(names, " or ") + "?)"
	}
	return usage(fmt.Errorf("there is no command %q%s", args[0], near))
}

// usage marks an error as an error of the command line.
func usage(err error) error { return &exitError{code: exitUsage, err: err} }

// checkArgs marks the errors of an argument check as errors of the command line.
func checkArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usage(err)
		}
		return nil
	}
}

// isTerminal reports whether f is a terminal: a character device other than the null device.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}
