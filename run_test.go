package kvsframes

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/config"
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
	run.journal.blame(&pipeline.SinkError{Sink: "thumbs", Op: "write to sink thumbs", Err: errors.New("disk full")})
	s := run.Summary()
	if s.Streams["cam"].Status != pipeline.StatusRunning || s.Sinks["frames"].Status != pipeline.StatusRunning {
		t.Errorf("later the summary is %+v", s)
	}
	if got := s.Sinks["thumbs"]; got.Status != pipeline.StatusFailed || got.Error != "write to sink thumbs: disk full" {
		t.Errorf("the sink that failed is %+v", got)
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
