package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kvsframes/kvsframes"
	"github.com/kvsframes/kvsframes/config"
	"github.com/kvsframes/kvsframes/internal/reference"
)

func (p *program) newDocsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "docs",
		Short: "Prints documentation: the reference, and man pages",
		Args:  knownCommand,
		RunE: func(*cobra.Command, []string) error {
			return usage(errNoCommand)
		},
		SuggestionsMinimumDistance: 2,
	}
	cmd.AddCommand(
		&cobra.Command{
			Use:   "reference",
			Short: "Prints the reference of keys, records, metrics and exit codes",
			Long: `Prints the reference in Markdown: every key of pipeline.yaml, the tokens of
paths, the fields of records, of the summary and of JSON output, what images and
objects carry, metrics and exit codes. It is that of this version.`,
			Args: checkArgs(cobra.NoArgs),
			RunE: func(*cobra.Command, []string) error { return writeReference(p.stdout) },
		},
		&cobra.Command{
			Use:   "man [COMMAND]",
			Short: "Prints a man page of the program, or of a command",
			Long: `Prints a man page of the program, or of a command, in the language of man(7):

  kvsframes docs man > /usr/local/share/man/man1/kvsframes.1`,
			Args: checkArgs(cobra.ArbitraryArgs),
			RunE: func(cmd *cobra.Command, args []string) error {
				of, rest, err := cmd.Root().Find(args)
				if err != nil || len(rest) > 0 {
					return knownCommand(cmd.Root(), args)
				}
				_, err = io.WriteString(p.stdout, manPage(of))
				return err
			},
		},
	)
	return cmd
}

func (p *program) newSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Prints a JSON Schema of pipeline.yaml",
		Long: `Prints a JSON Schema (draft 2020-12) of pipeline.yaml, for editors that complete
and check files while they are written. It knows keys, types and values; which
keys need or exclude each other is for validate to say. An editor with the YAML
language server reads it from a comment at the top of the file:

  # yaml-language-server: $schema=pipeline.schema.json`,
		Args: checkArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error { return config.WriteSchema(p.stdout, nil) },
	}
}

// writeReference writes docs/reference.md.
func writeReference(w io.Writer) error {
	var out strings.Builder
	out.WriteString("# Reference\n\nPrinted by `kvsframes docs reference`, from the declarations in the code. [records.md](records.md) explains how these fit together.\n")
	if err := kvsframes.WriteReference(&out, nil); err != nil {
		return err
	}
	out.WriteString("\n## Exit codes\n")
	rows := make([][]string, len(exitCodes))
	for i, e := range exitCodes {
		rows[i] = []string{strconv.Itoa(e.code), e.when}
	}
	reference.Table(&out, []string{"Code", "When"}, rows)
	_, err := io.WriteString(w, out.String())
	if err != nil {
		return fmt.Errorf("print reference: %w", err)
	}
	return nil
}
