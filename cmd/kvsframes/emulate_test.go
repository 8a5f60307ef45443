package main

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

func TestEmulateServesUntilASignalAndSaysItsURLFirst(t *testing.T) {
	cmd, url, stderr := serving(t, os.Environ(), "emulate", "cam="+demo)
	answer, err := http.Post(url+"/getDataEndpoint", "application/json", strings.NewReader(`{"StreamName":"cam"}`))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusForbidden {
		t.Errorf("a request without a signature got %s", answer.Status)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("ended with %v: %s", err, stderr.String())
	}
}

// serving starts the program as a server, and returns the URL of its first line.
func serving(t *testing.T, environ []string, args ...string) (cmd *exec.Cmd, url string, stderr *strings.Builder) {
	t.Helper()
	cmd, stderr = exec.CommandContext(t.Context(), os.Args[0], args...), &strings.Builder{}
	cmd.Env, cmd.Stderr = append(environ, asProgram+"=1"), stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	url, err = bufio.NewReader(stdout).ReadString('\n')
	if err != nil || !strings.HasPrefix(url, "http://127.0.0.1:") {
		t.Fatalf("first line %q, %v: %s", url, err, stderr)
	}
	return cmd, strings.TrimSpace(url), stderr
}

func TestEmulateRefusesWhatItCannotServe(t *testing.T) {
	for name, args := range map[string][]string{
		"a file that is not there": {"emulate", "none.mkv"},
		"two streams of one name":  {"emulate", demo, demo},
		"an address that is none":  {"emulate", "--listen", "nowhere", demo},
	} {
		t.Run(name, func(t *testing.T) {
			p, stdout, stderr := newProgram(nil)
			if code := p.execute(args); code != exitFailed || stdout.Len() > 0 || !strings.Contains(stderr.String(), "\nkvsframes: ") && !strings.HasPrefix(stderr.String(), "kvsframes: ") {
				t.Errorf("code %d, stdout %q, stderr %q", code, stdout, stderr)
			}
		})
	}
}

func TestNamesOfRecordings(t *testing.T) {
	for arg, want := range map[string]recording{
		"a/cam.front.mkv": {"cam.front", "a/cam.front.mkv"},
		"cam=a/x=y.mkv":   {"cam", "a/x=y.mkv"},
		"a/x=y.mkv":       {"x=y", "a/x=y.mkv"},
		"cam":             {"cam", "cam"},
	} {
		if got := parseRecording(arg); got != want {
			t.Errorf("%s: got %+v, want %+v", arg, got, want)
		}
	}
}

func TestWhatIsLoopback(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:0": true, "localhost:80": true, "[::1]:0": true, "127.9.9.9:1": true,
		":80": false, "0.0.0.0:0": false, "192.168.0.1:0": false, "example.com:80": false, "[::]:0": false, "nonsense": false,
	} {
		if got := onLoopback(address); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
}
