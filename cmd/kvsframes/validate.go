package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (p *program) newValidateCommand() *cobra.Command {
	var set []string
	var show bool
	cmd := &cobra.Command{
		Use:   "validate [pipeline.yaml]",
		Short: "Reports everything that is wrong with the settings",
		Long: `Reports everything that is wrong with the settings, each with its place in the
file, and starts nothing. --print shows the settings that are in force, after
defaults, file, environment and flags.`,
		Args: checkArgs(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			return p.runValidate(fileOf(args), set, show)
		},
	}
	addSet(cmd, &set)
	cmd.Flags().BoolVar(&show, "print", false, "print the settings in force as YAML")
	return cmd
}

func (p *program) runValidate(file string, set []string, show bool) error {
	c, err := p.loadSettings(p.options(file, set))
	if err != nil {
		return err
	}
	if show {
		return c.Print(p.stdout)
	}
	_, err = fmt.Fprintf(p.stdout, "%s: ok\n", file)
	return err
}
