package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// completions returns what the program offers for the last of the words.
func completions(t *testing.T, words ...string) (candidates []string, directive string) {
	t.Helper()
	p, stdout, stderr := newProgram(nil)
	if code := p.execute(append([]string{"__complete"}, words...)); code != exitDone {
		t.Fatalf("%q: code %d: %s", words, code, stderr)
	}
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	return lines[:len(lines)-1], lines[len(lines)-1]
}

// The directives of cobra, as numbers.
const (
	files      = ":0"
	noFiles    = ":4"
	noSpace    = ":6"
	extensions = ":8"
	folders    = ":16"
	inOrder    = ":36"
)

func TestValuesAreCompleted(t *testing.T) {
	file := settings(t, "source: {streams: [cam]}\nsinks: [{name: thumbs}, {name: raw, type: raw}]\n")
	for _, c := range []struct {
		words     string
		want      string // candidates that are among them
		directive string
	}{
		{"completion ,", "bash zsh fish", noFiles},
		{"manifest --format ,", "jsonl csv parquet imagefolder sagemaker cvat", inOrder},
		{"emulate --pace ,", "max realtime", inOrder},
		{"emulate --fault ,c", "connections: corrupt: cut:", noSpace},
		{"record --start ,", "NOW EARLIEST", inOrder},
		{"run --set ,source.mo", "source.mode=", noSpace},
		{"run --set ,source.mode=", "source.mode=live source.mode=archive source.mode=auto", noSpace},
		{"run --set ,decode.deint", "decode.deinterlace=", noSpace},
		{"run " + file + " --set ,sinks.raw.sample.ty", "sinks.raw.sample.type=", noSpace},
		{"run " + file + " --set ,sinks.thumbs.exif=", "sinks.thumbs.exif=true sinks.thumbs.exif=false", noSpace},
		{"run --sink ,format=jpeg,destination.type=s", "format=jpeg,destination.type=s3 format=jpeg,destination.type=stdout", noSpace},
		{"run " + file + " --restart=,", "raw thumbs", noFiles},
		{"run ,", "yaml yml", extensions},
		{"run --sink interval=1s ,", "", files},
		{"run --summary ,", "", files},
		{"run --gaps ,", "", folders},
		{"view ,", "", folders},
		{"inspect ,", "", files},
		{"record ,", "", noFiles},
		{"record --region ,", "", noFiles},
	} {
		before, last, _ := strings.Cut(c.words, ",")
		words := strings.Fields(before)
		if strings.HasSuffix(before, "=") { // the text is a part of the word
			words[len(words)-1] += last
		} else {
			words = append(words, last)
		}
		got, directive := completions(t, words...)
		slices.Sort(got)
		want := strings.Fields(c.want)
		slices.Sort(want)
		if !slices.Equal(got, want) || directive != c.directive {
			t.Errorf("%q: %q %s, want %q %s", c.words, got, directive, want, c.directive)
		}
	}
	if got, _ := completions(t, "run", "--sink", "form"); !slices.Equal(got, []string{"format="}) {
		t.Errorf("keys of a sink: %q", got)
	}
}

// Nothing is completed with the names of files that is no file.
func TestEachFlagHasACompletion(t *testing.T) {
	p, _, _ := newProgram(nil)
	for _, cmd := range p.newRootCommand().Commands() {
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.NoOptDefVal == "true" {
				return
			}
			if _, directive := completions(t, cmd.Name(), "--"+f.Name, ""); directive == files && !slices.Contains(fileFlags, f.Name) {
				t.Errorf("%s --%s offers files", cmd.Name(), f.Name)
			}
		})
	}
}

// TestBashCompletes asks bash itself, with the package that holds what its completions call.
func TestBashCompletes(t *testing.T) {
	folder := t.TempDir()
	program := "#!/bin/sh\n" + asProgram + "=1 exec '" + absolute(t, os.Args[0]) + "' \"$@\"\n"
	if err := os.WriteFile(filepath.Join(folder, "kvsframes"), []byte(program), 0o700); err != nil {
		t.Fatal(err)
	}
	script := `
		. /usr/share/bash-completion/bash_completion
		source <(kvsframes completion bash)
		COMP_LINE="kvsframes manifest --format s" COMP_POINT=29 COMP_WORDS=(kvsframes manifest --format s) COMP_CWORD=3
		__start_kvsframes kvsframes s --format
		echo "${COMPREPLY[@]}"`
	cmd := exec.CommandContext(t.Context(), "bash", "--norc", "-c", script)
	cmd.Env = append(os.Environ(), "PATH="+folder+":"+os.Getenv("PATH"))
	out, err := cmd.Output() // compopt complains outside of a completion
	if err != nil || strings.TrimSpace(string(out)) != "sagemaker" {
		t.Errorf("%v: %s", err, out)
	}
}

func TestOtherShellsHaveACompletion(t *testing.T) {
	for shell, want := range map[string]string{"zsh": "#compdef kvsframes", "fish": "complete -c kvsframes"} {
		p, stdout, stderr := newProgram(nil)
		if code := p.execute([]string{"completion", shell}); code != exitDone || !bytes.Contains(stdout.Bytes(), []byte(want)) {
			t.Errorf("%s: code %d: %s", shell, code, stderr)
		}
	}
	p, _, stderr := newProgram(nil)
	if code := p.execute([]string{"completion", "tcsh"}); code != exitUsage {
		t.Errorf("tcsh: code %d: %s", code, stderr)
	}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
