package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/kvstest"
)

// around returns a recording of fragments with a key frame each, every two seconds, from 20 s before a time until a minute after it, and when they begin.
func around(t *testing.T, middle time.Time) (saved []byte, starts []time.Time) {
	t.Helper()
	clip := packetsOf(t, read(t, "../../decode/testdata/no-b.mkv"))
	for i := range 40 {
		c := clip
		c.FragmentNumber = fmt.Sprintf("%047d", i+1)
		c.ProducerTime = middle.Add(time.Duration(2*i-20) * time.Second)
		c.ServerTime = c.ProducerTime.Add(500 * time.Millisecond)
		c.Blocks = nil
		for _, b := range clip.Blocks {
			if b.Key && len(c.Blocks) > 0 {
				break
			}
			c.Blocks = append(c.Blocks, b)
		}
		saved = kvstest.AppendChunk(saved, c)
		starts = append(starts, c.ProducerTime)
	}
	return saved, starts
}

// until waits until something has come about.
func until(t *testing.T, what string, come func() bool) {
	t.Helper()
	for !come() {
		select {
		case <-t.Context().Done():
			t.Fatalf("waited in vain for %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// TestRelativeTimesAreThoseOfTheFirstStart kills a run whose range ends now, and continues it later. It still ends where it would have
// ended. The run after that reads on to its own end.
func TestRelativeTimesAreThoseOfTheFirstStart(t *testing.T) {
	awsEnvironment(t)
	recording, starts := around(t, time.Now().UTC().Truncate(time.Second))
	e := kvstest.New(t, kvstest.Options{})
	if err := e.AddRecording("cam", strings.NewReader(string(recording))); err != nil {
		t.Fatal(err)
	}
	if err := e.SetFaults([]kvstest.Fault{{Kind: kvstest.FaultStall, Op: "GetMediaForFragmentList", Bytes: int64(len(recording)) * 7 / 80}}); err != nil {
		t.Fatal(err)
	}
	out, state := t.TempDir(), filepath.Join(t.TempDir(), "cam.json")
	file := settings(t, fmt.Sprintf(`
source: {streams: [cam], mode: archive, start_selector: {type: PRODUCER_TIMESTAMP, timestamp: now-1h}, end: {timestamp: now}, endpoint_url: %q}
sinks: [{name: a, sample: {type: keyframes}, resize: {width: 32}, destination: {directory: %q}}]
checkpoint: {type: file, path: %q, every: 10ms}
`, e.URL(), out, strings.Replace(state, "cam", "{stream}", 1)))
	command := func() *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "run", file)
		cmd.Env = append(os.Environ(), asProgram+"=1")
		return cmd
	}
	first := command()
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "the first images", func() bool { return len(images(t, out)) >= 2 })
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait() // it was killed
	var saved struct {
		Done  bool
		Times struct{ From, To time.Time }
	}
	readState := func() {
		t.Helper()
		if err := json.Unmarshal([]byte(stateOf(t, string(read(t, state)))), &saved); err != nil {
			t.Fatal(err)
		}
	}
	readState()
	from, to := saved.Times.From, saved.Times.To
	if saved.Done || to.Sub(from) != time.Hour {
		t.Fatalf("the checkpoint has %+v", saved)
	}
	// begun returns how many fragments begin before a time.
	begun := func(before time.Time) (n int) {
		for _, s := range starts {
			if s.Before(before) {
				n++
			}
		}
		return n
	}
	if n := len(images(t, out)); n >= begun(to) {
		t.Fatalf("the run was not killed in the middle: %d images", n)
	}
	if err := e.SetFaults(nil); err != nil {
		t.Fatal(err)
	}
	later := to.Add(4 * time.Second)
	until(t, "a later time", func() bool { return time.Now().After(later) })

	said, err := command().CombinedOutput()
	if n := len(images(t, out)); err != nil || n != begun(to) {
		t.Errorf("%v, %d images, want %d:\n%s", err, n, begun(to), said)
	}
	for _, want := range []string{"reading between the times of the first start", to.Format("2006-01-02T15:04:05.000Z07:00"), from.Format("2006-01-02T15:04:05.000Z07:00")} {
		if !strings.Contains(string(said), want) {
			t.Errorf("does not say %q:\n%s", want, said)
		}
	}
	readState()
	if !saved.Done || !saved.Times.To.Equal(to) {
		t.Errorf("the checkpoint has %+v", saved)
	}

	said, err = command().CombinedOutput()
	readState()
	if n := len(images(t, out)); err != nil || saved.Times.To.Before(later) || n != begun(saved.Times.To) {
		t.Errorf("the run after that: %v, %d images, want %d up to %v:\n%s", err, n, begun(saved.Times.To), saved.Times.To, said)
	}
}

// TestARangeThatWasReadIsNotReadAgain runs a job a second time on the same day, and then with another end.
func TestARangeThatWasReadIsNotReadAgain(t *testing.T) {
	k := newKept(t)
	day := time.Now().UTC().Day()
	for _, test := range []struct{ end, says, never string }{
		{"yesterday", "cam: 7 fragments", "first start"},
		{"yesterday", "nothing left to read; --restart reads it again", "present ones"},
		{"yesterday-1h", "cam: 0 fragments", "present ones"},
		{"yesterday-1h", "nothing left to read; --restart reads it again", "present ones"},
	} {
		code, said := k.run(t, k.settings(t, "{type: EARLIEST}, endpoint", "{type: EARLIEST}, end: {timestamp: "+test.end+"}, endpoint"))
		if time.Now().UTC().Day() != day {
			return // at midnight there is another range
		}
		if code != exitDone || !strings.Contains(said, test.says) || strings.Contains(said, test.never) {
			t.Errorf("%s: code %d, said\n%s", test.end, code, said)
		}
	}
	var saved struct {
		Times struct{ To time.Time }
	}
	if err := json.Unmarshal([]byte(k.saved(t)), &saved); err != nil || saved.Times.To.Hour() != 23 {
		t.Errorf("the checkpoint has %+v, %v", saved, err)
	}
}
