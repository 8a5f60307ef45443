package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kvsframes/kvsframes/config"
	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/manifest"
	"github.com/kvsframes/kvsframes/source"
)

// shells are the shells for which there is completion.
var shells = []string{"bash", "zsh", "fish"}

func (p *program) newCompletionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Prints what makes a shell complete commands, flags and values",
		Long: `Prints the completion of a shell: of commands, flags, files, and values, those of
keys of the settings and names of sinks among them.

  bash  source <(kvsframes completion bash)      # in ~/.bashrc; needs the package bash-completion
  zsh   source <(kvsframes completion zsh)       # in ~/.zshrc, after compinit
  fish  kvsframes completion fish | source       # in ~/.config/fish/config.fish`,
		Args:      checkArgs(cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs)),
		ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			write := map[string]func() error{
				"bash": func() error { return cmd.Root().GenBashCompletionV2(p.stdout, true) },
				"zsh":  func() error { return cmd.Root().GenZshCompletion(p.stdout) },
				"fish": func() error { return cmd.Root().GenFishCompletion(p.stdout, true) },
			}
			if err := write[args[0]](); err != nil {
				return fmt.Errorf("print completion: %w", err)
			}
			return nil
		},
	}
}

// Which files the arguments of a command are; those of the others are no files.
var (
	takesSettings = []string{"run", "validate", "plan"}
	takesFiles    = []string{"inspect", "emulate"}
	takesFolders  = []string{"manifest", "view"}
)

// fileFlags are the flags whose values are files, gaps that whose value is a folder.
var fileFlags = []string{"summary", "output", "times"}

// addCompletion makes the shells complete the values of all flags and the arguments of all commands.
func (p *program) addCompletion(root *cobra.Command) {
	keepOrder := cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	fixed := func(values ...string) cobra.CompletionFunc { return cobra.FixedCompletions(values, keepOrder) }
	flags := map[string]cobra.CompletionFunc{
		"format":  fixed(manifest.Format("").Values()...),
		"pace":    fixed("max", "realtime"),
		"start":   fixed(string(source.StartNow), string(source.StartEarliest)),
		"set":     p.completeSet,
		"sink":    completed(config.CompleteSink),
		"restart": p.completeSinks,
		"fault":   completed(completeFault),
		"gaps":    cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs),
	}
	for _, cmd := range root.Commands() {
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			complete, known := flags[f.Name]
			switch {
			case known:
			case slices.Contains(fileFlags, f.Name):
				complete = cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault)
			default:
				complete = cobra.NoFileCompletions
			}
			if err := cmd.RegisterFlagCompletionFunc(f.Name, complete); err != nil {
				panic(err) // cannot happen: the flag is there, and each is visited once
			}
		})
		if len(cmd.ValidArgs) == 0 {
			cmd.ValidArgsFunction = argumentsOf(cmd.Name())
		}
	}
}

// argumentsOf returns the completion of a command's arguments.
func argumentsOf(command string) cobra.CompletionFunc {
	switch {
	case slices.Contains(takesSettings, command):
		return func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			if sink := cmd.Flags().Lookup("sink"); sink != nil && sink.Changed { // then the arguments are recordings
				return nil, cobra.ShellCompDirectiveDefault
			}
			return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
		}
	case slices.Contains(takesFiles, command):
		return cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault)
	case slices.Contains(takesFolders, command):
		return cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs)
	}
	return cobra.NoFileCompletions
}

// completed returns the completion of a text that goes on after a candidate.
func completed(candidates func(text string) []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, text string) ([]string, cobra.ShellCompDirective) {
		return candidates(text), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}

func completeFault(text string) (candidates []string) {
	for _, kind := range kvstest.FaultKind("").Values() {
		if strings.HasPrefix(kind, text) {
			candidates = append(candidates, kind+":")
		}
	}
	return candidates
}

func (p *program) completeSet(_ *cobra.Command, args []string, text string) ([]string, cobra.ShellCompDirective) {
	return config.CompleteSet(text, p.sinkNames(args)), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

func (p *program) completeSinks(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return p.sinkNames(args), cobra.ShellCompDirectiveNoFileComp
}

// sinkNames returns the names of the sinks in the settings file that the arguments name, none if it is not valid.
func (p *program) sinkNames(args []string) (names []string) {
	c, err := config.Load(config.Options{Path: fileOf(args), Environ: p.environ})
	if err != nil {
		return nil
	}
	for _, s := range c.Sinks {
		names = append(names, s.Name)
	}
	return names
}
