package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/kvsframes/kvsframes"
)

func (p *program) newValidateCommand() *cobra.Command {
	var set []string
	var show, connect bool
	cmd := &cobra.Command{
		Use:   "validate [pipeline.yaml]",
		Short: "Reports everything that is wrong with the settings",
		Long: `Reports everything that is wrong with the settings, each with its place in the
file, and with what they refer to: files, directories, the AWS region. It finds
all problems that run finds before it starts, and starts nothing. --print shows
the effective settings, and where each value is from: a default, a line of the
file, the environment or a flag. Values of ${VAR} are not shown.

--connect asks the streams and buckets as well, and reports what is wrong with
each, such as a permission that is missing. It calls DescribeStream and
GetDataEndpoint, and reads no media. In a bucket it begins an upload, and ends
that without an object.`,
		Args: checkArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.runValidate(cmd.Context(), fileOf(args), set, show, connect)
		},
	}
	addSet(cmd, &set)
	cmd.Flags().BoolVar(&show, "print", false, "print the effective settings as YAML")
	cmd.Flags().BoolVar(&connect, "connect", false, "ask the streams and the buckets whether a run can use them")
	return cmd
}

func (p *program) runValidate(ctx context.Context, file string, set []string, show, connect bool) error {
	pipe, err := p.load(ctx, kvsframes.LoadOptions{Path: file, Set: set})
	if err != nil {
		return err
	}
	out := cleanWriter{p.stdout}
	if show {
		err = pipe.Config.PrintOrigins(out)
	}
	if err == nil && connect {
		beside := io.Writer(out)
		if show { // standard output is YAML
			beside = p.stderr
		}
		err = p.checkAccess(ctx, pipe, beside)
	}
	if err != nil || show {
		return err
	}
	_, err = fmt.Fprintf(out, "%s: ok\n", file)
	return err
}

// checkAccess reports whether a run can use each end of the pipeline.
func (p *program) checkAccess(ctx context.Context, pipe *kvsframes.Pipeline, out io.Writer) error {
	wrong := false
	for end := range pipe.CheckAccess(ctx) {
		var err error
		switch what := pipe.Config.Redact(end.What); {
		case end.Err != nil:
			wrong = true
			p.say(fmt.Errorf("%s: %w", what, end.Err), exitConfig)
		case end.Note != "":
			_, err = fmt.Fprintf(out, "%s: ok; %s\n", what, pipe.Config.Redact(end.Note))
		default:
			_, err = fmt.Fprintf(out, "%s: ok\n", what)
		}
		if err != nil {
			return err
		}
	}
	if wrong {
		return &exitError{code: exitConfig}
	}
	return nil
}
