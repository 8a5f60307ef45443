package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/kvsframes/kvsframes/kvstest"
)

// emulator serves recordings with the credentials that it puts into the process's
// environment.
func emulator(t *testing.T, pace kvstest.Pace, recordings map[string][]byte) (url string) {
	t.Helper()
	awsEnvironment(t)
	server := kvstest.New(t, kvstest.Options{Pace: pace, Quotas: kvstest.Quotas{GetMediaCalls: -1}})
	for name, data := range recordings {
		if err := server.AddRecording(name, bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
	}
	return server.URL()
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// sinkOf is a sink of the file destination below a folder.
func sinkOf(folder string) string {
	return fmt.Sprintf("sinks: [{name: thumbs, sample: {type: interval, interval: 1s}, resize: {width: 64}, destination: {directory: %q}}]\n", folder)
}

func images(t testing.TB, folder string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(folder, "*", "*.jpg"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestRunReadsStreamsAndTellsHowTheyEnded(t *testing.T) {
	whole := read(t, demo)
	url := emulator(t, kvstest.PaceMax, map[string][]byte{"cam": whole, "cut": whole[:len(whole)-1000], "Cam.2": whole})
	for _, test := range []struct {
		name    string
		streams string
		code    int
		images  int
		gaps    map[string]int
		stderr  []string
	}{
		{"one stream", "cam", exitDone, 14, map[string]int{"cam": 0}, []string{"cam: 7 fragments", "thumbs: 14 images"}},
		{"two side by side", "cam, Cam.2", exitDone, 28, map[string]int{"cam": 0, "Cam.2": 0}, nil},
		{"one that was cut", "cut", exitGaps, 14, map[string]int{"cut": 1}, []string{"gap: fragment 9134"}},
		{"one that is refused beside a good one", "none, cam", exitFailed, 14, map[string]int{"none": 0, "cam": 0}, []string{"failed: ", "ResourceNotFoundException", "kvsframes: 1 of 2 streams failed"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			out := t.TempDir()
			summaryFile := filepath.Join(out, "summary.json")
			file := settings(t, "source: {streams: ["+test.streams+"], start_selector: {type: EARLIEST}, end: {idle_timeout: 1s}}\n"+sinkOf(out))
			p, _, stderr := newProgram(nil, "KVSFRAMES_SOURCE_ENDPOINT_URL="+url)
			if code := p.execute([]string{"run", file, "--summary", summaryFile}); code != test.code {
				t.Fatalf("code %d, want %d:\n%s", code, test.code, stderr)
			}
			if got := len(images(t, out)); got != test.images {
				t.Errorf("%d images, want %d", got, test.images)
			}
			gaps := map[string]int{}
			for name, s := range readSummary(t, summaryFile) {
				gaps[name] = s.Gaps
				if _, ok := s.FramesWritten["thumbs"]; !ok || s.GapList == nil {
					t.Errorf("%s: incomplete: %+v", name, s)
				}
			}
			if !reflect.DeepEqual(gaps, test.gaps) {
				t.Errorf("gaps %v, want %v", gaps, test.gaps)
			}
			for _, want := range test.stderr {
				if !strings.Contains(stderr.String(), want) {
					t.Errorf("stderr lacks %q:\n%s", want, stderr)
				}
			}
		})
	}
}

func TestRunReadsStandardInputAndFiles(t *testing.T) {
	out := t.TempDir()
	file := settings(t, "source: {type: file, paths: ['-'], end: {fragments: 2}}\n"+sinkOf(out))
	p, _, stderr := newProgram(bytes.NewReader(read(t, demo)))
	if code := p.execute([]string{"run", file}); code != exitDone || len(images(t, out)) != 4 {
		t.Errorf("code %d, %d images:\n%s", code, len(images(t, out)), stderr)
	}
}

func TestRunRefusesSettingsThatDoNotFitTheFiles(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"a.mkv", "b.mkv"} {
		if err := os.WriteFile(filepath.Join(folder, name), read(t, demo), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct{ name, settings, want string }{
		{"a pattern without a match", "source: {type: file, paths: [" + folder + "/*.mp4]}\nsinks: [{name: a}]", "1:30: source.paths[0]: no file matches "},
		{"two streams that would write the same key", "source: {type: file, paths: [" + folder + "/*.mkv]}\nsinks: [{name: a, path: 'x/{fragment_number}_{frame_index}', manifest: {format: none}}]", "2:25: sinks[0].path: needs {stream}: the run reads several streams"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, _, stderr := newProgram(nil)
			file := settings(t, test.settings)
			if code := p.execute([]string{"run", file}); code != exitConfig || !strings.HasPrefix(stderr.String(), file+":"+test.want) {
				t.Errorf("code %d:\n%s", code, stderr)
			}
		})
	}
}

// A real process, a real signal: a live stream is left after the fragment that
// was being read when the signal came, with all that was read in place.
func TestInterruptDrains(t *testing.T) {
	url := emulator(t, kvstest.PaceRealtime, map[string][]byte{"cam": read(t, demo)})
	out := t.TempDir()
	summaryFile := filepath.Join(out, "summary.json")
	file := settings(t, "source: {streams: [cam], start_selector: {type: EARLIEST}, endpoint_url: '"+url+"'}\nservice: {log: {level: debug}}\n"+sinkOf(out))
	cmd := exec.CommandContext(t.Context(), os.Args[0], "run", file, "--summary", summaryFile)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said []string
	manifests := 0
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		said = append(said, lines.Text())
		if !strings.Contains(lines.Text(), `"wrote manifest"`) {
			continue
		}
		// Standard error is no terminal, so that SIGHUP is nothing; and GNU timeout sends its signal twice.
		for _, s := range [][]os.Signal{{syscall.SIGHUP}, {syscall.SIGTERM, syscall.SIGINT}}[min(manifests, 1)] {
			if err := cmd.Process.Signal(s); err != nil {
				t.Fatal(err)
			}
		}
		manifests++
	}
	_ = cmd.Wait() // the code says it
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
		t.Fatalf("code %d:\n%s", code, strings.Join(said, "\n"))
	}
	s := readSummary(t, summaryFile)["cam"]
	if s.Status != "interrupted" || s.Fragments < 2 || s.Fragments > 6 || s.Gaps > 0 || s.FramesWritten["thumbs"] != 2*s.Fragments || len(images(t, out)) != 2*s.Fragments {
		t.Errorf("summary %+v, %d images", s, len(images(t, out)))
	}
}

// stuck is an S3 server that takes a bucket for granted and never finishes a put.
// It tells each put on the channel.
func stuck(t *testing.T) (url string, puts <-chan struct{}) {
	t.Helper()
	begun := make(chan struct{}, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPut {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body) // the server sees a lost connection only then
		begun <- struct{}{}
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	return server.URL, begun
}

func TestADrainThatHangsEnds(t *testing.T) {
	for _, test := range []struct {
		name, timeout string
		signals       int
		code          int
		want          string
	}{
		{"at the second interrupt", "1h", 2, exitFailed, "kvsframes: interrupted twice\n"},
		{"after the shutdown timeout", "1ms", 1, exitFailed, "kvsframes: finish the work in progress: service.shutdown_timeout is over (1ms)\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			url := emulator(t, kvstest.PaceMax, map[string][]byte{"cam": read(t, demo)})
			store, puts := stuck(t)
			file := settings(t, `
source: {streams: [cam], start_selector: {type: EARLIEST}, endpoint_url: "`+url+`", end: {idle_timeout: 1s}}
sinks: [{name: thumbs, destination: {type: s3, bucket: b, endpoint_url: "`+store+`", force_path_style: true}}]
service: {shutdown_timeout: `+test.timeout+`}
`)
			signals := make(chan os.Signal)
			p, _, stderr := newProgram(nil)
			p.signals = signals
			code := make(chan int)
			go func() { code <- p.execute([]string{"run", file}) }()
			<-puts
			for range test.signals {
				signals <- os.Interrupt
			}
			if got := <-code; got != test.code || !strings.HasSuffix(stderr.String(), test.want) {
				t.Errorf("code %d, want %d:\n%s", got, test.code, stderr)
			}
		})
	}
}

// TestARunNeedsNoSettingsFile compares runs over a file and a stream with those of settings in a file.
func TestARunNeedsNoSettingsFile(t *testing.T) {
	awsEnvironment(t)
	recording := read(t, demo)
	url := serve(t, kvstest.Options{}, "cam", recording)
	t.Chdir(t.TempDir())
	if err := os.WriteFile("cam.mkv", recording, 0o600); err != nil {
		t.Fatal(err)
	}
	const sinks = "sinks: [{name: image, sample: {type: stride, n: 9}, resize: {width: 64}, destination: {directory: want}}]\ncheckpoint: {type: none}\n"
	for source, args := range map[string][]string{
		"{type: file, paths: [cam.mkv]}": {"cam.mkv"},
		"{streams: [cam], mode: archive, start_selector: {type: EARLIEST}, endpoint_url: '" + url + "'}": {"cam", "--set", "source.mode=archive", "--set", "source.start_selector.type=EARLIEST", "--set", "source.endpoint_url=" + url},
	} {
		run := func(args ...string) {
			t.Helper()
			p, _, stderr := newProgram(nil, os.Environ()...)
			if code := p.execute(append([]string{"run"}, args...)); code != exitDone {
				t.Fatalf("code %d:\n%s", code, stderr)
			}
		}
		if err := os.WriteFile("p.yaml", []byte("source: "+source+"\n"+sinks), 0o600); err != nil {
			t.Fatal(err)
		}
		run("p.yaml")
		run(append([]string{"--sink", "sample=stride,n=9,width=64,directory=got"}, args...)...)
		if got, want := digests(t, "got"), digests(t, "want"); len(want) < 10 || !maps.Equal(got, want) {
			t.Errorf("%s: %d files, which are not the %d of a run with settings in a file", source, len(got), len(want))
		}
		if left, _ := filepath.Glob(".kvsframes*"); left != nil {
			t.Errorf("%s: a checkpoint was written: %v", source, left)
		}
	}
	p, _, stderr := newProgram(nil, os.Environ()...)
	if code := p.execute([]string{"run", "--sink", "interval=1s"}); code != exitUsage {
		t.Errorf("nothing to read: code %d:\n%s", code, stderr)
	}
}
