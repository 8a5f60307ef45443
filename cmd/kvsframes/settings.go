package main

import (
	"github.com/spf13/cobra"

	"github.com/kvsframes/kvsframes/config"
)

// defaultFile is the settings file of commands that are given none.
const defaultFile = "pipeline.yaml"

// addSet gives a command the --set flag.
func addSet(cmd *cobra.Command, set *[]string) {
	cmd.Flags().StringArrayVar(set, "set", nil, "set one key over the file and the environment, such as source.region=eu-west-1 or sinks.thumbs.quality=90; may be repeated")
}

// fileOf returns the settings file that the arguments name.
func fileOf(args []string) string {
	if len(args) == 0 {
		return defaultFile
	}
	return args[0]
}

// options says where the settings of a command come from.
func (p *program) options(file string, set []string) config.Options {
	return config.Options{Path: file, Environ: p.environ, Set: set}
}
