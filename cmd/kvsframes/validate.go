package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kvsframes/kvsframes"
)

func (p *program) newValidateCommand() *cobra.Command {
	var set []string
	var show bool
	cmd := &cobra.Command{
		Use:   "validate [pipeline.yaml]",
		Short: "Reports everything that is wrong with the settings",
		Long: `Reports everything that is wrong with the settings, each with its place in the
file, and with what they refer to: files, directories, the AWS region. It finds
all problems that run finds before it starts, and starts nothing. --print shows
the effective settings, after defaults, file, environment and flags.`,
		Args: checkArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.runValidate(cmd.Context(), fileOf(args), set, show)
		},
	}
	addSet(cmd, &set)
	cmd.Flags().BoolVar(&show, "print", false, "print the effective settings as YAML")
	return cmd
}

func (p *program) runValidate(ctx context.Context, file string, set []string, show bool) error {
	pipe, err := p.load(ctx, kvsframes.LoadOptions{Path: file, Set: set})
	if err != nil {
		return err
	}
	out := cleanWriter{p.stdout}
	if show {
		return pipe.Config.Print(out)
	}
	_, err = fmt.Fprintf(out, "%s: ok\n", file)
	return err
}
