package main

import (
	"fmt"
	"maps"
	"runtime/debug"
	"slices"

	"github.com/spf13/cobra"

	"github.com/kvsframes/kvsframes/decode"
)

// version is set by the linker: -X main.version=v1.2.3.
var version string

func (p *program) newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Prints the versions of the program and of libav, and its licence",
		Args:  checkArgs(cobra.NoArgs),
		RunE:  func(*cobra.Command, []string) error { return p.runVersion() },
	}
}

func (p *program) runVersion() error {
	libraries, licence, configuration := decode.LibavVersions()
	fmt.Fprintf(p.stdout, "kvsframes %s\n", programVersion())
	for _, name := range slices.Sorted(maps.Keys(libraries)) {
		fmt.Fprintf(p.stdout, "%s %s\n", name, libraries[name])
	}
	_, err := fmt.Fprintf(p.stdout, "libav licence: %s\nlibav configuration: %s\n", licence, configuration)
	return err
}

// programVersion returns the version set by the linker, or else the one in the build information of Go.
func programVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version
	}
	text := version
	if text == "" {
		text = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			text += " (" + s.Value[:min(12, len(s.Value))] + ")"
		}
	}
	return text + " " + info.GoVersion
}
