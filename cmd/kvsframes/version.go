package main

import (
	"encoding/json"
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
	asJSON := false
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Prints the versions of the program and of libav, and its licence",
		Args:  checkArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return p.versionJSON()
			}
			return p.runVersion()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document, with what isolates decoders here")
	return cmd
}

// isolation states which layers separate decoders from the program, and why none does.
type isolation struct {
	Process  bool   `json:"process"`
	Landlock bool   `json:"landlock"`
	Seccomp  bool   `json:"seccomp"`
	Error    string `json:"error"`
}

// versionJSON prints the versions, and what separates decoders from the program on this system.
func (p *program) versionJSON() error {
	libraries, licence, configuration := decode.LibavVersions()
	layers, err := decode.IsolationHere()
	problem := ""
	if err != nil {
		problem = err.Error()
	}
	out := json.NewEncoder(p.stdout)
	out.SetIndent("", "  ")
	return out.Encode(struct {
		Version       string            `json:"version"`
		Libraries     map[string]string `json:"libraries"`
		Licence       string            `json:"libav_licence"`
		Configuration string            `json:"libav_configuration"`
		Isolation     isolation         `json:"isolation"`
	}{programVersion(), libraries, licence, configuration, isolation{layers.Process, layers.Landlock, layers.Seccomp, problem}})
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
