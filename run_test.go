package kvsframes

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/config"
	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/pipeline"
)

func TestASummaryTellsOfStreamsAndSinks(t *testing.T) {
	c := config.Default()
	c.Sinks = []config.Sink{{Name: "thumbs"}, {Name: "frames"}}
	run, err := (&Pipeline{Config: &c}).NewRun(RunOptions{Version: "v1"})
	if err != nil {
		t.Fatal(err)
	}
	if s := run.Summary(); s.Status != pipeline.StatusRunning || s.ExitCode != -1 || s.Ended != "" || s.Version != "v1" || len(s.Streams) != 0 || s.Sinks["thumbs"].Status != pipeline.StatusRunning {
		t.Errorf("at its start the summary is %+v", s)
	}
	run.journal.open("cam")
	s := run.Summary()
	if s.Streams["cam"].Status != pipeline.StatusRunning || s.Sinks["frames"].Status != pipeline.StatusRunning {
		t.Errorf("later the summary is %+v", s)
	}
	if s := run.End(pipeline.StatusFailed, 1, errors.New("1 of 1 streams failed")); s.ExitCode != 1 || s.Ended == "" || s.Error != "1 of 1 streams failed" || s.Sinks["frames"].Status != pipeline.StatusFailed {
		t.Errorf("at its end the summary is %+v", s)
	}
}

func TestRunIDsDiffer(t *testing.T) {
	var ids []string
	for range 100 {
		ids = append(ids, runID(time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)))
	}
	slices.Sort(ids)
	if got := len(slices.Compact(ids)); got != 100 || !strings.HasPrefix(ids[0], "20260101T120000Z-") {
		t.Errorf("%d different of 100, such as %s", got, ids[0])
	}
}

// loadText returns the pipeline of the settings in a new file.
func loadText(t *testing.T, text string) *Pipeline {
	t.Helper()
	settings := filepath.Join(t.TempDir(), "pipeline.yaml")
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := Load(t.Context(), LoadOptions{Path: settings})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestAListOfTimesIsASetting changes the file that a sampler reads, which no key shows.
func TestAListOfTimesIsASetting(t *testing.T) {
	times := filepath.Join(t.TempDir(), "times.txt")
	load := func(list string) *Pipeline {
		if err := os.WriteFile(times, []byte(list), 0o600); err != nil {
			t.Fatal(err)
		}
		return loadText(t, "source: {type: file, paths: [testdata/demo.mkv]}\nsinks: [{name: a, sample: {type: timestamps, file: '"+times+"'}}]\n")
	}
	first := load("2026-01-01T12:00:00Z\n")
	if got := first.Changed(load("2026-01-01T12:00:00Z\n")); len(got) > 0 {
		t.Errorf("changed %q, want nothing", got)
	}
	if got := first.Changed(load("2026-01-01T12:00:01Z\n")); !slices.Equal(got, []string{"sinks.a.sample.file"}) {
		t.Errorf("changed %q, want the file", got)
	}
}

// TestARunCanBeDrainedAndCancelled runs a live stream that never ends.
func TestARunCanBeDrainedAndCancelled(t *testing.T) {
	server := kvstest.New(t, kvstest.Options{Pace: kvstest.PaceRealtime})
	if err := server.AddFile("cam", "testdata/demo.mkv"); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	t.Setenv("AWS_REGION", "us-east-1")
	text := "version: 1\nsource: {type: kvs, streams: [cam], endpoint_url: " + server.URL() + "}\ncheckpoint: {type: none}\n" +
		"sinks: [{name: a, type: image, sample: {type: all}, destination: {type: file, directory: " + t.TempDir() + "}}]\n"
	drain := make(chan struct{})
	close(drain)
	if s, err := loadText(t, text).Run(t.Context(), RunOptions{Drain: drain}); err != nil && !errors.Is(err, ErrInterrupted) || s.Status != pipeline.StatusInterrupted || s.ExitCode != 130 {
		t.Errorf("drained: %v, %s, exit code %d", err, s.Status, s.ExitCode)
	}
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if s, err := loadText(t, text).Run(ctx, RunOptions{}); !errors.Is(err, cause) || s.Status != pipeline.StatusInterrupted {
		t.Errorf("cancelled: %v, %s", err, s.Status)
	}
}
