package main

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvsframes/kvsframes/checkpoint"
	"github.com/kvsframes/kvsframes/kvstest"
)

// kept are settings of a run over the demo's archive with a checkpoint.
type kept struct{ url, out, state string }

func newKept(t *testing.T) kept {
	t.Helper()
	awsEnvironment(t)
	return kept{serve(t, kvstest.Options{}, "cam", read(t, demo)), t.TempDir(), t.TempDir()}
}

// settings writes a settings file; change alters its text.
func (k kept) settings(t *testing.T, change ...string) string {
	text := "source: {streams: [cam], mode: archive, start_selector: {type: EARLIEST}, endpoint_url: '" + k.url + "'}\n" +
		"sinks:\n  - {name: a, sample: {type: stride, n: 9}, destination: {directory: '" + k.out + "'}}\n" +
		"checkpoint: {type: file, path: '" + k.state + "/{stream}.json'}\n"
	return settings(t, strings.NewReplacer(change...).Replace(text))
}

// run runs the program and returns its exit code and what it said.
func (k kept) run(t *testing.T, args ...string) (int, string) {
	t.Helper()
	p, _, stderr := newProgram(nil, os.Environ()...)
	code := p.execute(append([]string{"run"}, args...))
	return code, stderr.String()
}

// saved returns the state in the checkpoint.
func (k kept) saved(t *testing.T) string {
	t.Helper()
	return stateOf(t, string(read(t, filepath.Join(k.state, "cam.json"))))
}

// stateOf returns the state in a checkpoint, without its owner.
func stateOf(t *testing.T, content string) string {
	t.Helper()
	var stored struct{ State json.RawMessage }
	if err := json.Unmarshal([]byte(content), &stored); err != nil {
		t.Fatal(err)
	}
	return string(stored.State)
}

func TestACheckpointOfWhatWasReadWholeSaysSo(t *testing.T) {
	k := newKept(t)
	// Without an end in the settings there may be more the next time.
	if code, said := k.run(t, k.settings(t)); code != exitDone || !strings.Contains(said, "7 fragments") {
		t.Fatalf("code %d:\n%s", code, said)
	}
	if code, said := k.run(t, k.settings(t)); code != exitDone || strings.Contains(said, "nothing left") || !strings.Contains(said, "cam: 0 fragments") {
		t.Errorf("code %d:\n%s", code, said)
	}
	file := k.settings(t, "{type: EARLIEST}, endpoint", "{type: EARLIEST}, end: {timestamp: 2026-01-02T00:00:00Z}, endpoint")
	if code, said := k.run(t, file); code != exitDone || !strings.Contains(said, "cam: 0 fragments") {
		t.Fatalf("code %d:\n%s", code, said)
	}
	first, before := digests(t, k.out), k.saved(t)
	for _, test := range []struct {
		flag, says string
		rewritten  bool
	}{
		{"--gaps-exit-code=3", "nothing left to read; --restart reads it again", false},
		{"--ignore-checkpoint", "7 fragments", false},
		{"--restart", "7 fragments", true},
	} {
		if err := os.RemoveAll(filepath.Join(k.out, "cam")); err != nil {
			t.Fatal(err)
		}
		code, said := k.run(t, file, test.flag)
		if code != exitDone || !strings.Contains(said, test.says) {
			t.Errorf("%s: code %d:\n%s", test.flag, code, said)
		}
		again := strings.Contains(test.says, "7 fragments")
		if got := digests(t, k.out); again != maps.Equal(got, first) || !again && len(got) > 0 {
			t.Errorf("%s: %d files, at first %d", test.flag, len(got), len(first))
		}
		if after := k.saved(t); (after != before) != test.rewritten {
			t.Errorf("%s: the checkpoint is\n%swas\n%s", test.flag, after, before)
		}
	}
}

func TestACheckpointThatDoesNotFitIsAnError(t *testing.T) {
	k := newKept(t)
	if code, said := k.run(t, k.settings(t)); code != exitDone {
		t.Fatalf("code %d:\n%s", code, said)
	}
	path := filepath.Join(k.state, "cam.json")
	good, state := string(read(t, path)), k.saved(t)
	for _, test := range []struct {
		name, settings string
		content        string
		says           string
	}{
		{"another sampler", k.settings(t, "n: 9", "n: 8"), good, "was written for other settings: sink a has changed"},
		{"another folder", k.settings(t, k.out, t.TempDir()), good, "was written for other settings: sink a has changed"},
		{"another start", k.settings(t, "{type: EARLIEST}", "{type: PRODUCER_TIMESTAMP, timestamp: 2026-01-01T12:00:05Z}"), good, "was written for other settings: source has changed"},
		{"another version", k.settings(t), strings.Replace(good, `"version":1`, `"version":2`, 1), "has version 2, and this program reads version 1"},
		{"another stream", k.settings(t), strings.Replace(good, `"stream":"cam"`, `"stream":"door"`, 1), `is that of stream "door", not of "cam"`},
		{"half of one", k.settings(t), good[:len(good)/2], "cannot be read: unexpected end of JSON input"},
		{"none", k.settings(t), "", "cannot be read: unexpected end of JSON input"},
		{"another state", k.settings(t), strings.Replace(good, state, `[]`, 1), "cannot be read: json: cannot unmarshal array"},
	} {
		if err := os.WriteFile(path, []byte(test.content), 0o600); err != nil {
			t.Fatal(err)
		}
		code, said := k.run(t, test.settings)
		if code != exitFailed || !strings.Contains(said, test.says) || !strings.Contains(said, "--restart") {
			t.Errorf("%s: code %d:\n%s", test.name, code, said)
		}
		if left := string(read(t, path)); left != test.content && (!json.Valid([]byte(test.content)) || k.saved(t) != stateOf(t, test.content)) {
			t.Errorf("%s: the checkpoint was changed to\n%s", test.name, left)
		}
	}
}

// TestALaterEndLosesNothing ends a run inside a fragment, and then continues it.
func TestALaterEndLosesNothing(t *testing.T) {
	k := newKept(t)
	end := func(at string) string {
		return k.settings(t, "{type: EARLIEST}, endpoint", "{type: EARLIEST}, end: {timestamp: 2026-01-01T12:00:"+at+"Z}, endpoint")
	}
	for at, want := range map[string]int{"05": 14 + 3, "11": 31 + 6} { // of 25 frames a second, each ninth; fragments of 2 s
		if code, said := k.run(t, end(at), "--restart"); code != exitDone || len(digests(t, k.out)) < want {
			t.Fatalf("code %d:\n%s", code, said)
		}
		if code, said := k.run(t, end(at)); code != exitDone || !strings.Contains(said, "nothing left to read") {
			t.Errorf("code %d:\n%s", code, said)
		}
		if code, said := k.run(t, k.settings(t)); code != exitDone || strings.Contains(said, "nothing left to read") {
			t.Errorf("code %d:\n%s", code, said)
		}
		if got := len(digests(t, k.out)); got != 39+7 {
			t.Errorf("ended at %s and continued: %d objects, want 46", at, got)
		}
		if err := os.RemoveAll(filepath.Join(k.out, "cam")); err != nil {
			t.Fatal(err)
		}
	}
}

// TestChangedSettingsMayBeAccepted changes the sampler of a run whose end was after four of seven fragments.
func TestChangedSettingsMayBeAccepted(t *testing.T) {
	k := newKept(t)
	short := []string{"{type: EARLIEST}, endpoint", "{type: EARLIEST}, end: {fragments: 4}, endpoint"}
	if code, said := k.run(t, k.settings(t, short...)); code != exitDone {
		t.Fatalf("code %d:\n%s", code, said)
	}
	first := len(digests(t, k.out)) // 23 of 200 frames, and 4 parts
	changed := k.settings(t, "n: 9", "n: 10")
	if code, said := k.run(t, changed); code != exitFailed || !strings.Contains(said, "--accept-changes") {
		t.Errorf("code %d:\n%s", code, said)
	}
	if code, said := k.run(t, changed, "--accept-changes"); code != exitDone || !strings.Contains(said, "continuing after what is delivered") {
		t.Errorf("code %d:\n%s", code, said)
	}
	if got := len(digests(t, k.out)); first != 23+4 || got != first+15+3 { // 15 of 150 frames
		t.Errorf("%d objects, and then %d", first, got)
	}
	if code, _ := k.run(t, changed); code != exitDone {
		t.Errorf("the checkpoint does not have the new settings: code %d", code)
	}
	if code, _ := k.run(t, changed, "--accept-changes", "--restart"); code != exitUsage {
		t.Errorf("two flags that exclude each other: code %d", code)
	}
}

func TestTwoRunsDoNotShareACheckpoint(t *testing.T) {
	k := newKept(t)
	other, err := checkpoint.NewFile(filepath.Join(k.state, "cam.json")).Acquire(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Release(context.Background()) }()
	if code, said := k.run(t, k.settings(t)); code != exitFailed || !strings.Contains(said, "another run reads stream cam: ") || !strings.Contains(said, "is owned by ") || len(digests(t, k.out)) > 0 {
		t.Errorf("code %d:\n%s", code, said)
	}
}

// TestANewSinkBeginsWhereTheOthersAre adds a sink to a run whose end was earlier.
func TestANewSinkBeginsWhereTheOthersAre(t *testing.T) {
	k := newKept(t)
	short := []string{"{type: EARLIEST}, endpoint", "{type: EARLIEST}, end: {fragments: 4}, endpoint"}
	if code, said := k.run(t, k.settings(t, short...)); code != exitDone {
		t.Fatalf("code %d:\n%s", code, said)
	}
	b := "  - {name: b, sample: {type: all}, path: \"b/{fragment_number}_{frame_index}.{ext}\", destination: {directory: '" + k.out + "'}}\n"
	code, said := k.run(t, k.settings(t, "checkpoint:", b+"checkpoint:"))
	images, err := filepath.Glob(filepath.Join(k.out, "b", "*.jpg"))
	if code != exitDone || err != nil || len(images) != 3*50 || !strings.Contains(said, "a new sink begins where the others are") {
		t.Errorf("code %d, %d images, %v:\n%s", code, len(images), err, said)
	}
	if strided, err := filepath.Glob(filepath.Join(k.out, "cam", "*.jpg")); err != nil || len(strided) != 39 { // of 350
		t.Errorf("the other sink has %d images, %v", len(strided), err)
	}
}

// TestASinkThatFailedCatchesUpAlone has a sink that cannot write at first, because a file stands where its folder goes.
func TestASinkThatFailedCatchesUpAlone(t *testing.T) {
	k := newKept(t)
	bad := t.TempDir()
	block := filepath.Join(bad, "cam")
	if err := os.WriteFile(block, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	file := k.settings(t, "checkpoint:", "  - {name: b, sample: {type: interval, fps: 5}, destination: {directory: '"+bad+"'}}\ncheckpoint:")
	if code, said := k.run(t, file); code != exitFailed || !strings.Contains(said, "write to sink b: ") {
		t.Fatalf("code %d:\n%s", code, said)
	}
	good := filepath.Join(k.out, "cam")
	first := digests(t, k.out)
	before, err := os.Stat(good)
	if err != nil || len(first) != 39+7 {
		t.Fatalf("the other sink has %d objects, %v", len(first), err)
	}
	if err := os.Remove(block); err != nil {
		t.Fatal(err)
	}
	if code, said := k.run(t, file); code != exitDone {
		t.Fatalf("code %d:\n%s", code, said)
	}
	if got := digests(t, bad); len(got) != 70+7 { // 5 frames of each of 14 s, and the records
		t.Errorf("the sink that failed has %d objects", len(got))
	}
	after, err := os.Stat(good)
	if err != nil || !after.ModTime().Equal(before.ModTime()) || !maps.Equal(digests(t, k.out), first) {
		t.Errorf("the other sink has written again: %v", err)
	}
}
