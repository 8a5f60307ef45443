package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kvsframes/kvsframes/examples"
	"github.com/kvsframes/kvsframes/setting"
)

func (p *program) newInitCommand() *cobra.Command {
	purposes := examples.Purposes()
	var purpose, output string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Prints a commented pipeline.yaml to start from",
		Long: `Prints a commented pipeline.yaml to start from. Its comment states how to run it:
what differs from one user to the next comes from environment variables, such as
STREAM and BUCKET.

  kvsframes init --for thumbnails -o pipeline.yaml`,
		Args: checkArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if err := setting.CheckValue(purpose, purposes, nil); err != nil {
				return usage(fmt.Errorf("--for: %w", err))
			}
			return p.runInit(purpose, output)
		},
	}
	cmd.Flags().StringVar(&purpose, "for", purposes[0], "what to start from: `"+strings.Join(purposes, "|")+"`")
	cmd.Flags().StringVarP(&output, "output", "o", "", "write to this new `FILE` instead of standard output")
	return cmd
}

// runInit writes the example for a purpose.
func (p *program) runInit(purpose, output string) error {
	name, text := examples.For(purpose)
	file := defaultFile
	if output != "" {
		file = output
	}
	// The comment speaks of the file in the repository, and of its tests.
	text = strings.NewReplacer("examples/"+name, file, " (run by the tests)", "").Replace(text)
	if output == "" {
		_, err := io.WriteString(p.stdout, text)
		return err
	}
	f, err := os.OpenFile(output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return usage(fmt.Errorf("%s is there already; init replaces no file", output))
	}
	if err != nil {
		return fmt.Errorf("init: %w", err)
	}
	_, err = io.WriteString(f, text)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("init: %w", errors.Join(err, os.Remove(output)))
	}
	return nil
}
