package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvsframes/kvsframes/examples"
	"github.com/kvsframes/kvsframes/internal/s3test"
	"github.com/kvsframes/kvsframes/kvstest"
)

// TestWhatInitPrintsRuns runs what init writes for each purpose, to its end, with the variables that its comment names.
func TestWhatInitPrintsRuns(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	url := serve(t, kvstest.Options{AccessKey: server.AccessKey, SecretKey: server.SecretKey}, "front-door", read(t, demo))
	for _, purpose := range examples.Purposes() {
		t.Run(purpose, func(t *testing.T) {
			name, text := examples.For(purpose)
			x := newTrial(t, server, url, text)
			x.run(step{in: "a shell", code: "kvsframes init --for " + purpose + " -o my.yaml; kvsframes init --for=" + purpose + " > pipeline.yaml"})
			mine := string(read(t, filepath.Join(x.folder, "my.yaml")))
			if printed := string(read(t, filepath.Join(x.folder, "pipeline.yaml"))); printed != strings.ReplaceAll(mine, "my.yaml", "pipeline.yaml") {
				t.Errorf("standard output gets\n%s\nand a file gets\n%s", printed, mine)
			}
			for _, of := range []string{"examples/", "the tests"} {
				if strings.Contains(mine, of) {
					t.Errorf("%s has %q in it", mine, of)
				}
			}
			steps, err := stepsOf(text)
			if err != nil {
				t.Fatal(err)
			}
			for i, s := range steps {
				steps[i].code = strings.ReplaceAll(s.code, "examples/"+name, "my.yaml")
				if s.in != "a shell" {
					continue
				}
				for line := range strings.Lines(steps[i].code) {
					if !strings.Contains(mine, "#   "+line) {
						t.Errorf("%s does not say to run %s", mine, line)
					}
				}
			}
			x.try(steps, knownExamples[name])
		})
	}
}

func TestInitReplacesNoFile(t *testing.T) {
	file := settings(t, "precious: true\n")
	before := string(read(t, file))
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"init", "-o", file}, fmt.Sprintf("kvsframes: %s is there already; init replaces no file\nSee `kvsframes init --help`.\n", file)},
		{[]string{"init", "--for", "thumbnail"}, "kvsframes: --for: \"thumbnail\" is not one of thumbnails, ml, webdataset, storyboard, archive (did you mean thumbnails?)\nSee `kvsframes init --help`.\n"},
	} {
		p, stdout, stderr := newProgram(nil)
		if code := p.execute(test.args); code != exitUsage || stderr.String() != test.want || stdout.Len() > 0 {
			t.Errorf("%q: code %d, stdout %q, stderr %q", test.args, code, stdout, stderr)
		}
	}
	if string(read(t, file)) != before {
		t.Error("the file was changed")
	}
}
