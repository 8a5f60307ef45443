package main

import (
	"context"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/kvsframes/kvsframes"
	"github.com/kvsframes/kvsframes/config"
)

// defaultFile is the settings file of commands without an argument.
const defaultFile = "pipeline.yaml"

// addSet adds the --set flag to a command.
func addSet(cmd *cobra.Command, set *[]string) {
	cmd.Flags().StringArrayVar(set, "set", nil, "override one key of the file and the environment, such as source.region=eu-west-1 or sinks.thumbs.quality=90; may be repeated")
}

// fileOf returns the settings file that the arguments name.
func fileOf(args []string) string {
	if len(args) == 0 {
		return defaultFile
	}
	return args[0]
}

// load reads the settings and checks that what they refer to exists. The pipeline is not nil even with an error,
// whose exit code is that of wrong settings.
func (p *program) load(ctx context.Context, o kvsframes.LoadOptions) (*kvsframes.Pipeline, error) {
	o.Environ, o.Stdin = p.environ, p.stdin
	if o.NewLog == nil {
		o.NewLog = func(c config.Log) *slog.Logger {
			return newLogger(p.stderr, config.Log{Level: c.Level, Format: config.LogText}, p.terminal)
		}
	}
	pipe, err := kvsframes.Load(ctx, o)
	if err != nil {
		return pipe, &exitError{code: exitConfig, err: err}
	}
	p.redact = pipe.Config.Redact
	return pipe, nil
}
