// Command kvsframes turns the video of Amazon Kinesis Video Streams into images.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/kvsframes/kvsframes/config"
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

const about = `kvsframes turns the video of Amazon Kinesis Video Streams into images.

Exit codes:
  0    done
  1    failed
  2    wrong usage
  3    done, but with gaps: fragments or frames that could not be delivered,
       each named in the summary
  78   wrong settings; nothing has been started
  130  interrupted, after what was under way was finished; another one,
       a second later or more, ends at once`

// program is what a command may use of the process that it runs in.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	environ        []string
	// signals are the requests to stop.
	signals <-chan os.Signal
	// release gives signals back to the system.
	release func()
	// watched reports that a command takes the signals from now on; see execute.
	watched func()
	now     func() time.Time
	// redact takes values that no message may have out of one; nil before settings are read.
	redact func(string) string
	// width returns the number of columns of the terminal, 0 when it is not known, and outWidth
	// that of standard output, 0 when it is no terminal.
	width, outWidth func() int
	// terminal reports whether standard error is one.
	terminal bool
}

// exitError ends the program with a code. An error without one ends it with 1.
type exitError struct {
	code int
	err  error // nil: everything is said
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// Garbage is fragments and images, megabytes each and few. It may be an eighth of what is in use, and
// of the ballast, which is never touched and so takes no memory: without it a program that holds
// little would collect garbage for every fragment.
const (
	gcPercent   = 12
	ballastSize = 32 << 20
)

func main() {
	var ballast []byte
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(-1) // or the ballast itself were garbage enough
		ballast = make([]byte, ballastSize)
		debug.SetGCPercent(gcPercent)
	}
	terminal := isTerminal(os.Stderr)
	signals := listenForSignals(terminal)
	p := &program{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		environ: os.Environ(), terminal: terminal, now: time.Now,
		width: func() int { return widthOf(os.Stderr) }, outWidth: func() int { return widthOf(os.Stdout) },
		signals: signals, release: func() { signal.Stop(signals) },
	}
	code := p.execute(os.Args[1:])
	runtime.KeepAlive(ballast)
	os.Exit(code)
}

// listenForSignals returns the requests to stop. A terminal that is closed is one, for a program that shows itself
// there; elsewhere SIGHUP does nothing, and under nohup it is not heard at all.
func listenForSignals(terminal bool) chan os.Signal {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	switch {
	case signal.Ignored(syscall.SIGHUP):
	case terminal:
		signal.Notify(signals, syscall.SIGHUP)
	default:
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
	return signals
}

// execute runs one command line and returns the exit code. As long as no command watches the signals
// there is nothing to finish, and the first one ends the program, whatever it waits for.
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
		fmt.Fprintf(p.stderr, "kvsframes: %v\n", errDraining)
		return exitInterrupted
	}
}

// exitCode returns the exit code of an error that ends the program.
func exitCode(err error) int {
	var exit *exitError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &exit):
		return exit.code
	}
	return exitFailed
}

// said returns what there is to say of an error that ends the program; nil when its code says all.
func said(err error) error {
	var exit *exitError
	if errors.As(err, &exit) {
		return exit.err
	}
	return err
}

// report says what went wrong and returns the exit code for it.
func (p *program) report(cmd *cobra.Command, err error) int {
	code := exitCode(err)
	if err = said(err); err == nil {
		return code
	}
	p.say(err)
	if code == exitUsage {
		fmt.Fprintf(p.stderr, "See `%s --help`.\n", cmd.CommandPath())
	}
	return code
}

// say writes what an error says: where settings are wrong, and else a line for each of the
// errors that it joins.
func (p *program) say(err error) {
	var problems config.Problems
	if errors.As(err, &problems) {
		fmt.Fprintln(p.stderr, problems)
		return
	}
	for _, line := range errorLines(err) {
		if p.redact != nil {
			line = p.redact(line)
		}
		fmt.Fprintf(p.stderr, "kvsframes: %s\n", line)
	}
}

func (p *program) newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "kvsframes",
		Short:         "Turns the video of Amazon Kinesis Video Streams into images",
		Long:          about,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usage(errors.New("name a command"))
		},
		CompletionOptions:          cobra.CompletionOptions{HiddenDefaultCmd: true},
		SuggestionsMinimumDistance: 2,
	}
	root.SetUsageFunc(printUsage)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err) })
	root.AddCommand(
		p.newRunCommand(),
		p.newValidateCommand(),
		p.newPlanCommand(),
		p.newInspectCommand(),
		p.newRecordCommand(),
		p.newEmulateCommand(),
		p.newVersionCommand(),
	)
	return root
}

// printUsage prints the usage of a command, its flags within 80 columns. cobra's templates could do the same, but the linker keeps
// every exported method of a program that has text/template in it: a third of the program's size.
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
		_, err = fmt.Fprintf(w, "\n`%s COMMAND --help` tells more about a command.\n", cmd.CommandPath())
	}
	return err
}

// knownCommand refuses words after the program's name that are no command.
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

// usage marks an error as one of the command line.
func usage(err error) error { return &exitError{code: exitUsage, err: err} }

// checkArgs marks the errors of an argument check as ones of the command line.
func checkArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usage(err)
		}
		return nil
	}
}

// isTerminal reports whether f is a terminal: a character device other than the
// null device, which is one too.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}
