package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes"
	"github.com/kvsframes/kvsframes/internal/soaktest"
)

// samplersOf are settings of every sampler, with times and numbers of frames that suit a stream from first to last.
func samplersOf(first, last time.Time) map[string]string {
	var times []string
	for at := first.Add(-600 * time.Millisecond); at.Before(last.Add(3*time.Second)) && len(times) < 200; at = at.Add(270 * time.Millisecond) {
		times = append(times, at.Format(time.RFC3339Nano))
	}
	at := strings.Join(times, ", ")
	return map[string]string{
		"all":       "type: all",
		"keyframes": "type: keyframes",
		"stride":    "type: stride, n: 7",
		"seconds":   "type: interval, interval: 1s",
		"rate":      "type: interval, fps: 30000/1001",
		"server":    "type: interval, interval: 300ms, clock: server",
		"nearest":   "type: timestamps, at: [" + at + "]",
		"narrow":    "type: timestamps, tolerance: 15ms, at: [" + at + "]",
		"shown":     "type: timestamps, pick: shown, at: [" + at + "]",
		"indices":   "type: indices, at: [0, 3, 4, 31, 100000]",
	}
}

// planned returns what plan says of a file.
func planned(t *testing.T, file string) *kvsframes.StreamPlan {
	t.Helper()
	p, stdout, stderr := newProgram(nil)
	if code := p.execute([]string{"plan", file, "--json"}); code != exitDone {
		t.Fatalf("code %d:\n%s", code, stderr)
	}
	var got kvsframes.Plan
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil || got.Streams["cam"] == nil {
		t.Fatalf("%v:\n%s", err, stdout)
	}
	return got.Streams["cam"]
}

// delivered returns the names of the files that a run makes below a folder. What could not be decoded may make gaps.
func delivered(t *testing.T, file, folder string) (names []string) {
	t.Helper()
	p, _, stderr := newProgram(nil)
	if code := p.execute([]string{"run", file}); code != exitDone && code != exitGaps {
		t.Fatalf("code %d:\n%s", code, stderr)
	}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestPlanOfAFileIsWhatARunWrites plans recordings and clips with every sampler, and runs them.
func TestPlanOfAFileIsWhatARunWrites(t *testing.T) {
	var files []string
	for _, pattern := range []string{"../../../shared/kvs/*.mkv", "../../decode/testdata/*.mkv", demo} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	written := 0
	// That HDR is refused shows in the pictures alone.
	refused := []string{"card-pq.mkv", "card-hlg.mkv"}
	for _, file := range soaktest.Some(t, files, 16) {
		if slices.Contains(refused, filepath.Base(file)) {
			continue
		}
		for _, skip := range []string{"auto", "nonkey"} {
			t.Run(filepath.Base(file)+" "+skip, func(t *testing.T) {
				out := filepath.Join(t.TempDir(), "out")
				text := fmt.Sprintf("source: {type: file, paths: [%q], stream: cam, start_time: 2026-01-01T12:00:00Z}\ndecode: {skip_frame: %s}\n", file, skip)
				whole := planned(t, settings(t, text+"sinks: [{name: a, destination: {directory: "+out+"}}]\n"))
				if whole.First == nil {
					t.Skip("there are no fragments")
				}
				text += "sinks:\n"
				for name, sample := range samplersOf(*whole.First, *whole.Last) {
					text += fmt.Sprintf("  - {name: %[1]s, sample: {%[2]s}, resize: {width: 8}, exif: false, destination: {directory: %[3]q}, "+
						"path: '%[1]s/{stream}/{fragment_number}_{frame_index}.{ext}', manifest: {path: '%[1]s/{stream}/{fragment_number}.jsonl'}}\n", name, sample, out)
				}
				pipeline := settings(t, text)
				plan, names := planned(t, pipeline), delivered(t, pipeline, out)
				written += len(names)
				for name, s := range plan.Sinks {
					images, objects := 0, 0
					for _, path := range names {
						if strings.HasPrefix(path, filepath.Join(out, name)+string(filepath.Separator)) {
							objects++
							if filepath.Ext(path) == ".jpg" {
								images++
							}
						}
					}
					if got, want := count(s.Images, s.Estimate)+" "+count(s.Objects, s.Estimate), fmt.Sprint(images, " ", objects); got != want {
						t.Errorf("%s: planned images and objects %s, written %s", name, got, want)
					}
				}
			})
		}
	}
	if written == 0 {
		t.Error("no run wrote anything")
	}
}
