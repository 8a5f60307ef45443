package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes"
	"github.com/kvsframes/kvsframes/internal/logtest"
	"github.com/kvsframes/kvsframes/kvstest"
)

// keyFrames is a camera that sends a fragment of one key frame each 50 ms, for a minute.
func keyFrames(t *testing.T) (saved []byte) {
	t.Helper()
	c := packetsOf(t, read(t, "../../decode/testdata/no-b.mkv"))
	c.Blocks = c.Blocks[:1]
	for i := range 1200 {
		c.FragmentNumber = fmt.Sprintf("%047d", i+1)
		c.ContinuationToken = c.FragmentNumber
		c.ProducerTime = time.Date(2026, 1, 1, 12, 0, 0, i*50e6, time.UTC)
		c.ServerTime = c.ProducerTime.Add(time.Second)
		saved = kvstest.AppendChunk(saved, c)
	}
	return saved
}

// reloadable is a run whose settings change.
type reloadable struct {
	t            *testing.T
	file, folder string
	source, keep string
	said         *logtest.Buffer
	cmd          *exec.Cmd
	ended        chan struct{}
}

// newReloadable starts a run of one sink, of frames 32 pixels wide.
func newReloadable(t *testing.T, keep string, flags ...string) *reloadable {
	t.Helper()
	folder := t.TempDir()
	camera := kvstest.New(t, kvstest.Options{Pace: kvstest.PaceRealtime})
	if err := camera.AddRecording("cam", bytes.NewReader(keyFrames(t))); err != nil {
		t.Fatal(err)
	}
	r := &reloadable{
		t: t, file: filepath.Join(folder, "pipeline.yaml"), folder: filepath.Join(folder, "out"), said: &logtest.Buffer{}, ended: make(chan struct{}),
		source: fmt.Sprintf("source: {streams: [cam], start_selector: {type: EARLIEST}, endpoint_url: %q}\n", camera.URL()),
		keep:   strings.ReplaceAll(keep, "FOLDER", folder),
	}
	r.write(r.source + r.sink("a", 32) + r.keep)
	r.cmd = exec.CommandContext(t.Context(), os.Args[0], append([]string{"run", r.file, "--summary", filepath.Join(folder, "summary.json")}, flags...)...)
	r.cmd.Env = append(asProgramOfEmulator(), logFormat+"=json")
	r.cmd.Stderr = r.said
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(r.ended)
		_ = r.cmd.Wait() // the code says it
	}()
	r.more("a")
	return r
}

func (r *reloadable) sink(name string, width int) string {
	text := fmt.Sprintf("  - {name: %s, type: raw, sample: {type: all}, resize: {width: %d}, path: '{sink}/{fragment_number}_{width}_{frame_index}', destination: {directory: '%s'}}\n", name, width, r.folder)
	if name == "a" {
		text = "sinks:\n" + text
	}
	return text
}

// write replaces the settings, as a Kubernetes volume does: by a rename.
func (r *reloadable) write(text string) {
	r.t.Helper()
	if err := os.WriteFile(r.file+".new", []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(r.file+".new", r.file); err != nil {
		r.t.Fatal(err)
	}
}

// after waits until the program has said something more often than before.
func (r *reloadable) after(what string, do func()) {
	r.t.Helper()
	before := strings.Count(r.said.String(), what)
	do()
	r.until(what, func() bool { return strings.Count(r.said.String(), what) > before })
}

func (r *reloadable) until(what string, come func() bool) {
	r.t.Helper()
	late := time.After(time.Minute) // the camera has nothing more then
	until(r.t, what, func() bool {
		select {
		case <-late:
			r.t.Fatalf("waited in vain for %s:\n%s", what, r.said)
		case <-r.ended:
			r.t.Fatalf("the run has ended before %s:\n%s", what, r.said)
		default:
		}
		return come()
	})
}

// hangUp writes the settings and sends SIGHUP, and waits until the program says something.
func (r *reloadable) hangUp(text, what string) {
	r.t.Helper()
	r.after(what, func() {
		r.write(text)
		if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			r.t.Fatal(err)
		}
	})
}

// names returns those of the images of a sink, in order.
func (r *reloadable) names(sink string) []string {
	r.t.Helper()
	entries, err := os.ReadDir(filepath.Join(r.folder, sink))
	if err != nil && !os.IsNotExist(err) {
		r.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names
}

// more waits for more images of a sink.
func (r *reloadable) more(sink string) {
	r.t.Helper()
	n := len(r.names(sink))
	r.until("more images", func() bool { return len(r.names(sink)) > n+2 })
}

// end interrupts the run and holds what it has stored: of each sink each fragment once, in these widths one after the other.
func (r *reloadable) end(code int, widths map[string][]int) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		r.t.Fatal(err)
	}
	<-r.ended
	var sum kvsframes.Summary
	if err := json.Unmarshal(read(r.t, filepath.Join(filepath.Dir(r.file), "summary.json")), &sum); err != nil {
		r.t.Fatal(err)
	}
	cam := sum.Streams["cam"]
	if got := r.cmd.ProcessState.ExitCode(); got != code || sum.ExitCode != code || cam.Gaps > 0 || cam.Undelivered.Fragments > 0 || cam.Fragments != len(r.names("a")) {
		r.t.Errorf("code %d, want %d, summary %+v:\n%s", got, code, sum, r.said)
	}
	for sink, widths := range widths {
		names := r.names(sink)
		var came []int
		for i, name := range names {
			var number, width int
			if _, err := fmt.Sscanf(name, "%d_%d", &number, &width); err != nil {
				r.t.Fatal(err)
			}
			if i > 0 && !strings.HasPrefix(name, fmt.Sprintf("%047d_", atoi(r.t, names[i-1])+1)) {
				r.t.Errorf("%s follows %s", name, names[i-1])
			}
			if len(came) == 0 || came[len(came)-1] != width {
				came = append(came, width)
			}
		}
		if !slices.Equal(came, widths) || cam.FramesWritten[sink] != len(names) {
			r.t.Errorf("sink %s has images of widths %d, want %d; %d images, the summary has %d:\n%s", sink, came, widths, len(names), cam.FramesWritten[sink], r.said)
		}
	}
}

// atoi returns the number of the fragment in the name of an image.
func atoi(t *testing.T, name string) int {
	t.Helper()
	number, _, _ := strings.Cut(name, "_")
	n, err := strconv.Atoi(strings.TrimLeft(number, "0"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestSettingsChangeBetweenTwoFragments changes the settings of a live run by SIGHUP: to wrong ones, to some that need a restart, to another level, to
// another width, and a second sink.
func TestSettingsChangeBetweenTwoFragments(t *testing.T) {
	t.Parallel()
	r := newReloadable(t, "checkpoint: {type: file, path: 'FOLDER/{stream}.json'}\n")
	first := r.source + r.sink("a", 32) + r.keep
	r.hangUp(first, "the settings have not changed")
	r.hangUp(first+"nonsense: 1\n", "the settings are wrong")
	r.hangUp(strings.Replace(r.source, "streams", "max_fragment_size: 1MB, streams", 1)+r.sink("a", 16)+r.keep, `"changed":["source.max_fragment_size"]`)
	r.hangUp(first+"service: {log: {level: debug}}\n", "are in force")
	r.more("a")
	r.hangUp(r.source+r.sink("a", 16)+r.keep, "are in force")
	r.more("a")
	r.hangUp(r.source+r.sink("a", 16)+r.sink("b", 48)+r.keep, "are in force")
	r.more("b")
	r.end(exitInterrupted, map[string][]int{"a": {32, 16}, "b": {48}})
}

// TestAFailedSinkGetsAnotherTry adds a sink that cannot write, and changes it when that has failed. It continues where it began.
func TestAFailedSinkGetsAnotherTry(t *testing.T) {
	t.Parallel()
	r := newReloadable(t, "checkpoint: {type: file, path: 'FOLDER/{stream}.json'}\n")
	obstacle := filepath.Join(r.folder, "b")
	if err := os.WriteFile(obstacle, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.hangUp(r.source+r.sink("a", 32)+r.sink("b", 48)+r.keep, "sink failed; the others continue")
	r.more("a")
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	r.hangUp(r.source+r.sink("a", 32)+r.sink("b", 64)+r.keep, "are in force")
	r.more("b")
	began := regexp.MustCompile(`"a new sink begins where the others are".*"after":"(\d+)"`).FindStringSubmatch(r.said.String())
	r.end(exitFailed, map[string][]int{"a": {32}, "b": {64}})
	if a, b := r.names("a"), r.names("b"); began == nil || atoi(t, b[0]) != atoi(t, began[1])+1 || atoi(t, b[len(b)-1]) != atoi(t, a[len(a)-1]) {
		t.Errorf("sink b has %s to %s, and a %s:\n%s", b[0], b[len(b)-1], a[len(a)-1], r.said)
	}
}

// TestAFileThatChangesIsTaken has --watch look at the file.
func TestAFileThatChangesIsTaken(t *testing.T) {
	t.Parallel()
	r := newReloadable(t, "checkpoint: {type: file, path: 'FOLDER/{stream}.json'}\n", "--watch")
	r.after("are in force", func() { r.write(r.source + r.sink("a", 16) + r.keep) })
	r.more("a")
	r.end(exitInterrupted, map[string][]int{"a": {32, 16}})
}

// TestWithoutACheckpointSinksStay changes a sink whose fragments another run would read again, or not at all.
func TestWithoutACheckpointSinksStay(t *testing.T) {
	t.Parallel()
	r := newReloadable(t, "checkpoint: {type: none}\n")
	r.hangUp(r.source+r.sink("a", 16)+r.keep, "without a checkpoint the sinks cannot change")
	r.more("a")
	r.end(exitInterrupted, map[string][]int{"a": {32}})
}

// TestNoChangeOfTheFileIsMissed looks at a file that changes, is being written, and changes while the run before ends.
func TestNoChangeOfTheFileIsMissed(t *testing.T) {
	s := &succession{load: kvsframes.LoadOptions{Path: filepath.Join(t.TempDir(), "pipeline.yaml")}, taken: []byte("a"), seen: []byte("a")}
	for i, step := range []struct {
		holds string
		want  bool
	}{{"a", false}, {"b", false}, {"b", true}, {"b", false}, {"c", false}, {"cd", false}, {"cd", true}, {"", false}, {"", true}, {"b", false}, {"cd", false}, {"b", false}, {"b", true}} {
		if err := os.WriteFile(s.load.Path, []byte(step.holds), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := s.look(); got != step.want {
			t.Errorf("look %d at %q: %v", i+1, step.holds, got)
		}
	}
	if err := os.Remove(s.load.Path); err != nil || s.look() || s.look() {
		t.Errorf("without a file: %v", err)
	}
}
