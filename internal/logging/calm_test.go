package logging

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// lines returns a logger and what it has written, without times.
func lines() (*slog.Logger, *strings.Builder) {
	var out strings.Builder
	return slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey && len(groups) == 0 {
			return slog.Attr{}
		}
		return a
	}})), &out
}

func TestRepeatedWarningsAreSummedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, out := lines()
		calm, stop := Calm(log)
		cam, door := calm.With("stream", "cam"), calm.With("stream", "door")
		time.Sleep(time.Second / 2) // so that nothing happens at the same time
		for i := range 150 {
			cam.Warn("retrying after error", "times", i)
			time.Sleep(time.Second)
		}
		door.Warn("retrying after error", "times", 0)
		time.Sleep(3 * time.Minute)
		cam.Warn("retrying after error", "times", 0)
		cam.Warn("retrying after error", "times", 1)
		calm.Info("an event")
		calm.Info("an event")
		stop()
		stop()
		const want = `level=WARN msg="retrying after error" stream=cam times=0
level=WARN msg="retrying after error" stream=cam times=60 repeated=59
level=WARN msg="retrying after error" stream=cam times=120 repeated=59
level=WARN msg="retrying after error" stream=door times=0
level=WARN msg="retrying after error" stream=cam times=149 repeated=29
level=INFO msg="no more of: retrying after error" stream=cam times=150 for=2m29s
level=WARN msg="retrying after error" stream=cam times=0
level=INFO msg="an event"
level=INFO msg="an event"
level=WARN msg="retrying after error" stream=cam times=1 repeated=1
`
		if out.String() != want {
			t.Errorf("got\n%s\nwant\n%s", out, want)
		}
	})
}

// What is about another thing, or says something else, is another warning.
func TestWarningsAreToldApart(t *testing.T) {
	log, out := lines()
	calm, stop := Calm(log)
	for range 2 {
		calm.Warn("gap", "stream", "cam", "reason", "damaged")
		calm.Warn("gap", "stream", "cam", "reason", "cut")
		calm.WithGroup("g").Warn("gap", "stream", "door", "reason", "cut")
		calm.With("sink", "a").Error("sink failed")
		calm.With("sink", "b").Error("sink failed")
	}
	if n := strings.Count(out.String(), "\n"); n != 5 {
		t.Errorf("%d lines:\n%s", n, out)
	}
	stop()
	if n := strings.Count(out.String(), "repeated=1"); n != 5 {
		t.Errorf("%d sums:\n%s", n, out)
	}
}
