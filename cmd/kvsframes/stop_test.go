package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/internal/s3test"
	"github.com/kvsframes/kvsframes/kvstest"
)

// startProgram starts the program as a process of its own. Its standard error is a buffer, or
// what errors names.
func startProgram(t *testing.T, stdin io.Reader, errors *os.File, args ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	t.Helper()
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	cmd = exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
	if errors != nil {
		cmd.Stderr = errors
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, stdout, stderr
}

// Nothing has begun that could be finished: the settings are not even there.
func TestASignalEndsWhatWaitsForItsSettings(t *testing.T) {
	for _, command := range []string{"validate", "run"} {
		pipe := filepath.Join(t.TempDir(), "pipeline.yaml")
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd, _, stderr := startProgram(t, nil, nil, command, pipe)
		writer, err := os.OpenFile(pipe, os.O_WRONLY, 0) // waits until the program reads
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // the code says it
		if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || stderr.String() != "kvsframes: interrupted\n" {
			t.Errorf("%s: code %d, said %q", command, code, stderr)
		}
		if err := writer.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAnInterruptEndsAnInspectionOfStandardInput(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	cmd, stdout, stderr := startProgram(t, reader, nil, "inspect", "-")
	if _, err := writer.Write(read(t, demo)); err != nil { // more than a pipe holds: the program has read most of it
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the code says it
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || !strings.Contains(stdout.String(), "\ntotal: ") || stderr.Len() > 0 {
		t.Errorf("code %d, stderr %q:\n%s", code, stderr, stdout)
	}
}

// stuckRun starts a run whose drain never ends by itself, and waits until it writes.
func stuckRun(t *testing.T, timeout string, errors *os.File, more ...string) (cmd *exec.Cmd, stderr *bytes.Buffer) {
	t.Helper()
	url := emulator(t, kvstest.PaceMax, map[string][]byte{"cam": read(t, demo)})
	store, puts := stuck(t)
	file := settings(t, `
source: {streams: [cam], start_selector: {type: EARLIEST}, endpoint_url: "`+url+`"}
sinks: [{name: thumbs, destination: {type: s3, bucket: b, endpoint_url: "`+store+`", force_path_style: true}}]
service: {shutdown_timeout: `+timeout+`}
`+strings.Join(more, "\n"))
	cmd, _, stderr = startProgram(t, nil, errors, "run", file)
	<-puts
	return cmd, stderr
}

// withCheckpoint are settings of a checkpoint in a new folder.
func withCheckpoint(t *testing.T) string {
	t.Helper()
	return "checkpoint: {type: file, path: '" + t.TempDir() + "/{stream}.json'}\n"
}

// TestASecondInterruptLaterOnEndsAtOnce has images that are read and not delivered: with a checkpoint the next run delivers them.
func TestASecondInterruptLaterOnEndsAtOnce(t *testing.T) {
	for more, want := range map[string]int{"": exitFailed, withCheckpoint(t): exitInterrupted} {
		cmd, stderr := stuckRun(t, "1h", nil, more)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = cmd.Wait() // the code says it
		}()
		// The first ones come within a second, and count as one. After the one that counts as the second, another would kill the program: it has time to end.
		const together, apart, toEnd = 50 * time.Millisecond, 2 * time.Second, 30 * time.Second
		sent := 0
		for running, wait := true, together; running; {
			select {
			case <-ended:
				running = false
			case <-time.After(wait):
				_ = cmd.Process.Signal(os.Interrupt) // it may be gone by now
				switch sent++; sent {
				case 8:
					wait = apart
				case 9:
					wait = toEnd
				}
			}
		}
		if code := cmd.ProcessState.ExitCode(); code != want || !strings.HasSuffix(stderr.String(), "kvsframes: interrupted twice\n") || sent < 3 {
			t.Errorf("%q: code %d after %d signals, want %d:\n%s", more, code, sent, want, stderr)
		}
	}
}

func TestAClosedTerminalDrains(t *testing.T) {
	device, err := os.OpenFile("/dev/zero", os.O_WRONLY, 0) // a character device, as terminals are
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	cmd, _ := stuckRun(t, "1ms", device)
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the code says it
	if code := cmd.ProcessState.ExitCode(); code != exitFailed {
		t.Errorf("code %d, want that of a drain that took too long", code)
	}
}

// TestADrainThatTakesTooLongIsContinued has a checkpoint, so that nothing is lost when the time is over.
func TestADrainThatTakesTooLongIsContinued(t *testing.T) {
	for more, want := range map[string]int{"": exitFailed, withCheckpoint(t): exitInterrupted} {
		cmd, stderr := stuckRun(t, "1ms", nil, more)
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // the code says it
		if code := cmd.ProcessState.ExitCode(); code != want || !strings.Contains(stderr.String(), "service.shutdown_timeout is over (1ms)") || !strings.Contains(stderr.String(), "fragments were read and not delivered, from ") {
			t.Errorf("%q: code %d, want %d:\n%s", more, code, want, stderr)
		}
	}
}

// TestARunFromNowCoversWhatItHasRead has a store that hangs from the start, so that no sink has a place. The checkpoint is in S3,
// where it can or cannot be written: only then the next run knows what was read.
func TestARunFromNowCoversWhatItHasRead(t *testing.T) {
	server := s3test.Start(t)
	awsEnvironment(t)
	server.Setenv(t)
	for puts, want := range map[int]int{2: exitFailed, 100: exitInterrupted} { // a run begins with two
		e := kvstest.New(t, kvstest.Options{AccessKey: server.AccessKey, SecretKey: server.SecretKey, Pace: kvstest.PaceRealtime})
		if err := e.AddRecording("cam", bytes.NewReader(read(t, demo))); err != nil {
			t.Fatal(err)
		}
		state, front := newGate(t, server, puts)
		images, imagesFront := newGate(t, server, 0)
		bucket := server.Bucket(t)
		to := func(url string) string {
			return fmt.Sprintf("type: s3, bucket: %s, endpoint_url: %q, force_path_style: true", bucket, url)
		}
		text := "source: {streams: [cam], end: {fragments: 2, idle_timeout: 20s}, endpoint_url: '" + e.URL() + "'}\n" +
			"sinks: [{name: a, sample: {type: keyframes}, manifest: {format: none}, destination: {" + to(imagesFront) + "}}]\n" +
			"checkpoint: {path: '{stream}.json', " + to(front) + "}\nservice: {shutdown_timeout: 10ms}\n"
		cmd, _, stderr := startProgram(t, nil, nil, "run", settings(t, text))
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = cmd.Wait() // the code says it
		}()
		select {
		case <-images.held:
		case <-ended:
			t.Fatalf("%d puts: it ended, code %d:\n%s", puts, cmd.ProcessState.ExitCode(), stderr)
		}
		if want == exitInterrupted {
			for first := []byte(`"first":{"fragment_number":"9`); ; {
				if data, err := server.Get(t.Context(), bucket, "cam.json"); err != nil || bytes.Contains(data, first) {
					break
				}
			}
		} else {
			<-state.held
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		<-ended
		if code := cmd.ProcessState.ExitCode(); code != want || !strings.Contains(stderr.String(), "fragments were read and not delivered, from ") {
			t.Errorf("%d puts: code %d, want %d:\n%s", puts, code, want, stderr)
		}
		state.open()
		images.open()
		if want == exitInterrupted {
			next, _, said := startProgram(t, nil, nil, "run", settings(t, text))
			if err := next.Wait(); err != nil || !strings.Contains(said.String(), "beginning again with the first fragment") || !strings.Contains(said.String(), "cam: 2 fragments") {
				t.Errorf("the next run: %v\n%s", err, said)
			}
		}
	}
}

func TestASignalWithinASecondIsTheFirstOneAgain(t *testing.T) {
	signals := make(chan os.Signal)
	now := time.Now()
	p := &program{signals: signals, now: func() time.Time { return now }}
	var calls []string
	ended, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		p.await(ended, func() { calls = append(calls, "first") }, func() { calls = append(calls, "second at "+now.String()) })
	}()
	signals <- os.Interrupt
	signals <- os.Interrupt // received when the one before is dealt with
	signals <- os.Interrupt
	close(ended)
	<-gone
	if len(calls) != 1 || calls[0] != "first" {
		t.Errorf("three signals at once gave %q", calls)
	}
}
