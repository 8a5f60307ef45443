package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/kvstest"
)

// unattended runs the program with pipes and without a format of its log, and returns its exit code and the bytes of its standard error.
func unattended(t *testing.T, args ...string) (code int, said string) {
	t.Helper()
	var stderr strings.Builder
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env, cmd.Stderr = append(os.Environ(), asProgram+"=1", logFormat+"=auto"), &stderr
	_ = cmd.Run() // the code says it
	return cmd.ProcessState.ExitCode(), stderr.String()
}

// Whatever a run says where there is no terminal is a record of its log, up to the error with which it ends.
func TestWithoutATerminalARunSaysOnlyJSON(t *testing.T) {
	whole, out := read(t, demo), t.TempDir()
	cut := filepath.Join(out, "cut.mkv")
	err := errors.Join(os.WriteFile(cut, whole[:len(whole)-1000], 0o600), os.WriteFile(filepath.Join(out, "cam"), nil, 0o600)) // in place of a folder
	if err != nil {
		t.Fatal(err)
	}
	of := func(recording, folder string) string {
		return settings(t, "source: {type: file, paths: ['"+recording+"'], stream: cam}\n"+
			"sinks: [{name: thumbs, sample: {type: keyframes}, resize: {width: 64}, destination: {directory: '"+folder+"'}}]\n")
	}
	for name, c := range map[string]struct {
		args []string
		code int
		// status is that of the summary, "" without one. images are those of it.
		status string
		images float64
		// errors are parts of the errors of the last records, in order.
		errors []string
	}{
		"complete":       {[]string{of(demo, filepath.Join(out, "a"))}, exitDone, "complete", 7, nil},
		"gaps":           {[]string{of(cut, filepath.Join(out, "b"))}, exitGaps, "gaps", 7, nil},
		"failed":         {[]string{of(demo, out)}, exitFailed, "failed", 0, []string{"1 of 1 streams failed"}},
		"wrong settings": {[]string{of(demo, out), "--set", "sinks.thumbs.quality=0", "--set", "service.log.format=jsn"}, exitConfig, "", 0, []string{"(did you mean json?)", "sinks[0].quality: "}},
		"no settings":    {[]string{filepath.Join(out, "none.yaml")}, exitConfig, "", 0, []string{"read settings: open "}},
		"no summary":     {[]string{of(demo, filepath.Join(out, "c")), "--summary", "/dev/full"}, exitFailed, "complete", 7, []string{"write summary: write /dev/full: no space left on device"}},
	} {
		t.Run(name, func(t *testing.T) {
			code, said := unattended(t, append([]string{"run"}, c.args...)...)
			lines := logLines(t, said)
			if code != c.code || len(lines) < len(c.errors) {
				t.Fatalf("code %d:\n%s", code, said)
			}
			before := len(lines) - len(c.errors)
			for i, want := range c.errors {
				last := lines[before+i]
				if text, _ := last["error"].(string); last["msg"] != "run failed" || last["level"] != "ERROR" || last["exit_code"] != float64(code) || !strings.Contains(text, want) {
					t.Errorf("record %v, want the error %q", last, want)
				}
			}
			if c.status == "" {
				return
			}
			var s struct {
				Msg, Status, Level string
				Streams            map[string]struct {
					Status        string
					Fragments     float64
					FramesWritten map[string]float64 `json:"frames_written"`
					Gaps          float64
					Undelivered   struct{ Fragments float64 }
				}
				Sinks map[string]struct{ Objects float64 }
			}
			text, err := json.Marshal(lines[before-1])
			if err == nil {
				err = json.Unmarshal(text, &s)
			}
			level := map[string]string{"complete": "INFO", "gaps": "WARN", "failed": "ERROR"}[c.status]
			cam := s.Streams["cam"]
			if err != nil || s.Msg != "run ended" || s.Status != c.status || s.Level != level || cam.Status != c.status || cam.FramesWritten["thumbs"] != c.images ||
				(cam.Fragments > 0) != (c.images > 0) || (cam.Gaps > 0) != (c.status == "gaps") || (cam.Undelivered.Fragments > 0) != (c.status == "failed") || (s.Sinks["thumbs"].Objects > c.images) != (c.images > 0) {
				t.Errorf("summary %s, %v", text, err)
			}
		})
	}
}

// A signal is answered in the same form before the settings are read.
func TestASignalBeforeTheSettingsIsARecord(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipeline.yaml")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(logFormat, "auto")
	cmd, _, stderr := startProgram(t, nil, nil, "run", pipe)
	writer, err := os.OpenFile(pipe, os.O_WRONLY, 0) // waits until the program reads
	if err == nil {
		err = cmd.Process.Signal(syscall.SIGTERM)
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the code says it
	lines := logLines(t, stderr.String())
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || len(lines) != 1 || lines[0]["msg"] != "run interrupted" || lines[0]["exit_code"] != 130.0 {
		t.Errorf("code %d:\n%s", code, stderr)
	}
	if err := writer.Close(); err != nil {
		t.Error(err)
	}
}

// Errors of the command line are read by whoever typed that, and other commands say what they say as text.
func TestWhatAPersonTypesIsAnsweredAsText(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none.yaml")
	for _, args := range [][]string{{"run", "--no-such-flag"}, {"run", none, none}, {"validate", none}, {"plan", none}} {
		if code, said := unattended(t, args...); code == exitDone || !strings.HasPrefix(said, "kvsframes: ") {
			t.Errorf("%q: code %d:\n%s", args, code, said)
		}
	}
}

// On a terminal a run speaks to a person, unless its settings ask for JSON.
func TestTheTerminalGetsTextUnlessJSONIsSet(t *testing.T) {
	file := settings(t, "source: {type: file, paths: ['"+demo+"'], stream: cam, end: {fragments: 1}}\n"+sinkOf(t.TempDir()))
	term := onTerminal(t, 80, 24, []string{logFormat + "=auto"}, "run", file)
	if code, text := term.wait(); code != exitDone || !strings.Contains(text, "\ncam: 1 fragments, ") || strings.Contains(text, "{") {
		t.Errorf("code %d:\n%s", code, text)
	}
	url := emulator(t, kvstest.PaceMax, map[string][]byte{"cam": read(t, demo)})
	file = settings(t, "source: {streams: [cam], endpoint_url: '"+url+"', start_selector: {type: EARLIEST}}\n"+sinkOf(t.TempDir()))
	term = onTerminal(t, 10_000, 24, []string{logFormat + "=json"}, "run", file)
	term.until(func(text string) bool { return strings.Contains(text, `"msg":"stream opened"`) })
	time.Sleep(2 * redrawEvery) // so that progress would be drawn
	term.press("\x03")
	code, text := term.wait()
	text = strings.TrimSuffix(strings.ReplaceAll(text, "^C", ""), "\n")
	lines := logLines(t, text)
	if code != exitInterrupted || term.screen.commands > 0 || lines[len(lines)-1]["msg"] != "run ended" {
		t.Errorf("code %d, %d commands to the terminal:\n%s", code, term.screen.commands, text)
	}
}
