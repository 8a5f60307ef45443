package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kvsframes/kvsframes/kvstest"
)

// stampsOf is a sink of single times of the demo, whose frames are 40 ms apart, from 12:00:00 to
// 12:00:13.96: two for one frame, one between two fragments, one after the last frame, and two
// that no frame answers.
func stampsOf(folder, sample string) string {
	return fmt.Sprintf("sinks: [{name: train, sample: {type: timestamps, %s}, resize: {width: 64}, destination: {directory: %q}}]\n", sample, folder)
}

const (
	stampsAt = "at: [2026-01-01T12:00:03.361Z, 2026-01-01T12:00:03.37Z, 2026-01-01T12:00:05.99Z, 2026-01-01T12:00:14.459Z, " +
		"2026-01-01T11:59:00Z, 2026-01-01T13:00:14.461+01:00]"
	stampsFile = "# what the loader asks for\n2026-01-01T12:00:14.459Z\n2026-01-01T12:00:03.361Z\n\n1767268803370 door\n" +
		"2026-01-01T13:00:05.99+01:00\n2026-01-01T11:59:00Z\n2026-01-01T12:00:14.461Z\n"
)

// TestEveryTimeIsAnsweredByAFrameOrANamedMiss asks the stored demo for single times, from
// the stream to the files.
func TestEveryTimeIsAnsweredByAFrameOrANamedMiss(t *testing.T) {
	url := emulator(t, kvstest.PaceMax, map[string][]byte{"cam": read(t, demo)})
	list := filepath.Join(t.TempDir(), "times.txt")
	if err := os.WriteFile(list, []byte(stampsFile), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ source, sample string }{
		"a live stream, a list":       {"{streams: [cam], start_selector: {type: EARLIEST}, endpoint_url: URL, end: {fragments: 7}}", stampsAt},
		"an archive, a file of times": {"{streams: [cam], mode: archive, start_selector: {type: EARLIEST}, endpoint_url: URL}", "file: " + list},
		"a recording":                 {"{type: file, paths: [" + demo + "], stream: cam}", stampsAt},
	} {
		t.Run(name, func(t *testing.T) {
			out := t.TempDir()
			summary := filepath.Join(out, "summary.json")
			file := settings(t, "source: "+strings.ReplaceAll(c.source, "URL", "'"+url+"'")+"\n"+stampsOf(out, c.sample))
			p, _, stderr := newProgram(nil)
			if code := p.execute([]string{"run", file, "--summary", summary}); code != exitGaps {
				t.Fatalf("code %d:\n%s", code, stderr)
			}
			s := readSummary(t, summary)["cam"]
			var misses []string
			for _, g := range s.GapList {
				misses = append(misses, g.FragmentNumber+g.Detail)
			}
			want := []string{"sink train: no frame within 500ms of 2026-01-01T11:59:00Z", "sink train: no frame within 500ms of 2026-01-01T12:00:14.461Z"}
			if s.Fragments != 7 || s.FramesWritten["train"] != 3 || !slices.Equal(misses, want) {
				t.Errorf("summary %+v", s)
			}
			if !strings.Contains(stderr.String(), "  gap: "+want[0]+" (frames lost: 0)\n") {
				t.Errorf("the screen lacks the miss:\n%s", stderr)
			}
			checkAnswers(t, out)
		})
	}
}

// checkAnswers reads the manifest of the run: which frame answers which times.
func checkAnswers(t *testing.T, folder string) {
	t.Helper()
	var got []string
	parts, err := filepath.Glob(filepath.Join(folder, "cam/manifest/train/*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range parts {
		for line := range strings.Lines(string(read(t, part))) {
			var r struct {
				Producer string   `json:"producer_timestamp"`
				Key      string   `json:"key"`
				Answers  []string `json:"answers"`
			}
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatal(err)
			}
			if len(read(t, filepath.Join(folder, r.Key))) == 0 {
				t.Errorf("%s is empty", r.Key)
			}
			got = append(got, r.Producer+" "+strings.Join(r.Answers, " "))
		}
	}
	want := []string{
		"2026-01-01T12:00:03.360Z 2026-01-01T12:00:03.361Z 2026-01-01T12:00:03.370Z",
		"2026-01-01T12:00:06.000Z 2026-01-01T12:00:05.990Z",
		"2026-01-01T12:00:13.960Z 2026-01-01T12:00:14.459Z",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestFilesOfTimesThatAreWrongAreWrongSettings(t *testing.T) {
	folder := t.TempDir()
	list := filepath.Join(folder, "times.txt")
	if err := os.WriteFile(list, []byte("2026-01-01T12:00:00Z\nsoon\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"run", "plan"} {
		for sample, want := range map[string]string{
			"file: " + list:               "2:56: sinks[0].sample.file: " + list + `: line 2: "soon" is not a time`,
			"file: " + folder + "/no.txt": "2:56: sinks[0].sample.file: open " + folder + "/no.txt: no such file or directory",
			"file: " + folder:             "2:56: sinks[0].sample.file: " + folder + ": read " + folder + ": is a directory",
		} {
			file := settings(t, "source: {type: file, paths: ["+demo+"]}\n"+stampsOf(folder, sample))
			p, _, stderr := newProgram(nil)
			if code := p.execute([]string{command, file}); code != exitConfig || !strings.HasPrefix(stderr.String(), file+":"+want) {
				t.Errorf("%s %s: code %d:\n%s", command, sample, code, stderr)
			}
		}
	}
}
