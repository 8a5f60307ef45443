package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/internal/audittest"
	"github.com/kvsframes/kvsframes/internal/soaktest"
)

// recorded are settings of a run over recordings with a checkpoint.
func recorded(t *testing.T, paths, out, state, times string) string {
	t.Helper()
	to := "{directory: '" + out + "'}"
	return settings(t, "source: {type: file, paths: ["+paths+"], stream: rec}\n"+fmt.Sprintf(manySinks, to, to, times)+
		"checkpoint: {type: file, every: 1ms, path: '"+state+"/{stream}.json'}\n")
}

// placed matches a checkpoint with the place of a sink.
var placed = regexp.MustCompile(`"place":{"fragment_number":"[0-9]`)

// moves reports whether a checkpoint has a place, and changes before the process that owns it has ended.
func moves(path string, ended <-chan struct{}) bool {
	before, _ := os.ReadFile(path)
	for {
		select {
		case <-ended:
			return false
		case <-time.After(time.Millisecond):
		}
		now, _ := os.ReadFile(path)
		if !bytes.Equal(now, before) && placed.Match(now) {
			return true
		}
	}
}

// TestRunsOverFilesThatAreKilledLoseAndRepeatNothing reads recordings and plain files whose fragments need those before them.
func TestRunsOverFilesThatAreKilledLoseAndRepeatNothing(t *testing.T) {
	kills := 4
	if soaktest.Soaking() {
		kills = 60
	}
	rng := soaktest.Rand(t)
	const clips = "../../decode/testdata/"
	saved, _ := cutBefore(packetsOf(t, read(t, clips+"opengop.mkv")), func(i int) bool { return i%3 == 0 })
	cut := filepath.Join(t.TempDir(), "cut.mkv")
	if err := os.WriteFile(cut, saved, 0o600); err != nil {
		t.Fatal(err)
	}
	midway := 0 // kills of runs that had a place to continue from
	for name, paths := range map[string]string{
		"cut into chains": "'" + cut + "'",
		"a recording":     "'" + demo + "'",
		"two plain files": "'" + clips + "bframes.mkv', '" + clips + "no-b.mkv'",
	} {
		t.Run(name, func(t *testing.T) {
			times := filepath.Join(t.TempDir(), "times.txt")
			if err := os.WriteFile(times, []byte("2026-01-01T12:00:01Z\n2026-01-01T12:00:03.3Z\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			quiet, out, state := t.TempDir(), t.TempDir(), t.TempDir()
			p, _, stderr := newProgram(nil, os.Environ()...)
			if code := p.execute([]string{"run", recorded(t, paths, quiet, t.TempDir(), times)}); code != exitDone && code != exitGaps {
				t.Fatalf("code %d:\n%s", code, stderr)
			}
			want := storedIn(t, quiet).Replaced(runID, "RUN")
			file, path := recorded(t, paths, out, state, times), filepath.Join(state, "rec.json")
			for killed := 0; ; killed++ {
				cmd, _, said := startProgram(t, nil, nil, "run", file)
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					_ = cmd.Wait() // the code says it
				}()
				if killed < kills {
					if moves(path, ended) {
						midway++
					}
					time.Sleep(time.Duration(rng.IntN(60)) * time.Millisecond) // the moment is what is tested
					signal := syscall.SIGKILL
					if rng.IntN(3) == 0 {
						signal = syscall.SIGTERM
					}
					_ = cmd.Process.Signal(signal) // it may have ended
				}
				<-ended
				if code := cmd.ProcessState.ExitCode(); code == exitDone || code == exitGaps {
					break
				} else if code != -1 && code != exitInterrupted || killed > kills {
					t.Fatalf("code %d:\n%s", code, said.String())
				}
			}
			for _, f := range audittest.Compare(storedIn(t, out).Replaced(runID, "RUN"), want) {
				t.Error(f)
			}
			p, _, stderr = newProgram(nil, os.Environ()...)
			if code := p.execute([]string{"run", file}); code != exitDone || !strings.Contains(stderr.String(), "nothing left to read; --restart reads it again") {
				t.Errorf("again: code %d:\n%s", code, stderr)
			}
		})
	}
	if t.Logf("%d kills midway", midway); midway == 0 {
		t.Error("these are too few")
	}
}

// TestAFileThatHasChangedIsNotContinued interrupts a run, and then changes what it reads.
func TestAFileThatHasChangedIsNotContinued(t *testing.T) {
	folder, state := t.TempDir(), t.TempDir()
	clip := filepath.Join(folder, "cam.mkv")
	if err := os.WriteFile(clip, read(t, demo), 0o600); err != nil {
		t.Fatal(err)
	}
	text := "source: {type: file, paths: ['" + clip + "'], end: {fragments: 2}}\nsinks: [{name: a, destination: {directory: '" + folder + "/out'}}]\n" +
		"checkpoint: {type: file, path: '" + state + "/{stream}.json'}\n"
	whole := strings.Replace(text, ", end: {fragments: 2}", "", 1)
	run := func(text string, args ...string) (int, string) {
		t.Helper()
		p, _, stderr := newProgram(nil, os.Environ()...)
		code := p.execute(append([]string{"run", settings(t, text)}, args...))
		return code, stderr.String()
	}
	if code, said := run(text); code != exitDone || !strings.Contains(said, "cam: 2 fragments") {
		t.Fatalf("code %d:\n%s", code, said)
	}
	later := time.Now().Add(-time.Hour)
	if err := os.Chtimes(clip, later, later); err != nil {
		t.Fatal(err)
	}
	code, said := run(whole)
	if code != exitFailed || !strings.Contains(said, "what is read, which was ") || !strings.Contains(said, "cam.mkv of ") || !strings.Contains(said, "--restart") {
		t.Errorf("code %d:\n%s", code, said)
	}
	if code, said := run(whole, "--accept-changes"); code != exitDone || !strings.Contains(said, "cam: 5 fragments") {
		t.Errorf("accepted: code %d:\n%s", code, said)
	}
	// A file without the fragment at which the last run ended.
	if err := os.WriteFile(clip, read(t, "../../decode/testdata/no-b.mkv"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, said := run(whole, "--accept-changes"); code != exitFailed || !strings.Contains(said, "is not in the file any more") {
		t.Errorf("another file: code %d:\n%s", code, said)
	}
	if code, said := run(whole, "--restart"); code != exitDone {
		t.Errorf("restarted: code %d:\n%s", code, said)
	}
}

func TestWhatCannotBeReadAgainHasNoCheckpoint(t *testing.T) {
	p, _, stderr := newProgram(strings.NewReader(""), os.Environ()...)
	file := settings(t, "source: {type: file, paths: ['-']}\nsinks: [{name: a, destination: {directory: '"+t.TempDir()+"'}}]\ncheckpoint: {type: file}\n")
	if code := p.execute([]string{"run", file}); code != exitConfig || !strings.Contains(stderr.String(), ":3:20: checkpoint.type: file needs plain files: a pipe or standard input cannot be read again") {
		t.Errorf("code %d:\n%s", code, stderr)
	}
}
