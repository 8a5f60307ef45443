package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvsframes/kvsframes/kvstest"
)

// demoFragment is the number of the demo's nth fragment, from 0.
func demoFragment(n int) string {
	return fmt.Sprintf("9134385233318143239268206260774392014626409%04d", 4487+n)
}

// runDemo runs the program over the demo's recording, with these settings of the source, and returns
// what it says of the stream and the files.
func runDemo(t *testing.T, sourceSettings string, args ...string) (streamSummary, map[string][sha256.Size]byte) {
	t.Helper()
	url := emulator(t, kvstest.PaceMax, map[string][]byte{"cam": read(t, demo)})
	out, extra := t.TempDir(), t.TempDir()
	file := settings(t, "source: {streams: [cam], endpoint_url: \""+url+"\", "+sourceSettings+"}\n"+sinkOf(out))
	p, _, stderr := newProgram(nil)
	summary := filepath.Join(extra, "summary.json")
	if code := p.execute(append([]string{"run", file, "--summary", summary}, args...)); code != exitDone {
		t.Fatalf("code %d:\n%s", code, stderr)
	}
	return readSummary(t, summary)["cam"], digests(t, out)
}

func TestEveryModeGivesTheSameFiles(t *testing.T) {
	s, want := runDemo(t, "start_selector: {type: EARLIEST}, end: {fragments: 7}")
	if s.Fragments != 7 || len(want) != 14+7 {
		t.Fatalf("live: %+v, %d files", s, len(want))
	}
	for name, settings := range map[string]string{
		"archive from a time": "mode: archive, start_selector: {type: PRODUCER_TIMESTAMP, timestamp: 2026-01-01T12:00:00Z}",
		"archive of a range":  "mode: archive, start_selector: {type: PRODUCER_TIMESTAMP, timestamp: 2026-01-01T12:00:00Z}, end: {timestamp: 2026-01-01T13:00:00Z}",
		"auto":                "mode: auto, start_selector: {type: PRODUCER_TIMESTAMP, timestamp: 2026-01-01T12:00:00Z}, end: {fragments: 7}",
	} {
		t.Run(name, func(t *testing.T) {
			s, got := runDemo(t, settings)
			if s.Fragments != 7 || !maps.Equal(got, want) {
				t.Errorf("%+v, %d files of %d", s, len(got), len(want))
			}
		})
	}
}

func TestARangeIsTrimmedToTheFrame(t *testing.T) {
	// The fragments begin at even seconds: the range begins and ends inside of one.
	s, got := runDemo(t, "mode: archive, start_selector: {type: PRODUCER_TIMESTAMP, timestamp: 2026-01-01T12:00:03Z}, end: {timestamp: 2026-01-01T12:00:07Z}")
	var times []string
	for key := range got {
		if name, found := strings.CutPrefix(key, "cam/2026"); found {
			times = append(times, name[:16])
		}
	}
	if s.Fragments != 3 || len(times) != 4 {
		t.Errorf("%d fragments, images at %v", s.Fragments, times)
	}
	for _, at := range times {
		if at < "0101T120003_000Z" || at >= "0101T120007_000Z" {
			t.Errorf("an image at %s", at)
		}
	}
}

func TestRunReadsTheFragmentsThatAreNamed(t *testing.T) {
	s, got := runDemo(t, "end: {timestamp: 2020-01-01T00:00:00Z}", "--fragment", demoFragment(2), "--fragment", demoFragment(5))
	if s.Fragments != 2 || s.Last != demoFragment(5) || len(got) != 4+2 {
		t.Errorf("%+v, %d files", s, len(got))
	}
	for name, c := range map[string]struct {
		settings string
		args     []string
		code     int
		want     string
	}{
		"no number":       {"{streams: [a]}", []string{"--fragment", "x1"}, exitUsage, "--fragment \"x1\" is not a fragment number"},
		"several streams": {"{streams: [a, b]}", []string{"--fragment", "1"}, exitConfig, "source.streams: --fragment reads fragments of one stream"},
		"files":           {"{type: file, paths: [a.mkv]}", []string{"--fragment", "1"}, exitConfig, "source.type: --fragment reads fragments of a KVS stream"},
	} {
		t.Run(name, func(t *testing.T) {
			p, _, stderr := newProgram(bytes.NewReader(nil))
			file := settings(t, "source: "+c.settings+"\n"+sinkOf(t.TempDir()))
			if code := p.execute(append([]string{"run", file}, c.args...)); code != c.code || !strings.Contains(stderr.String(), c.want) {
				t.Errorf("code %d:\n%s", code, stderr)
			}
		})
	}
}

func TestPatternsFindTheirStreams(t *testing.T) {
	whole := read(t, demo)
	url := emulator(t, kvstest.PaceMax, map[string][]byte{"cam-1": whole, "cam-2": whole, "door": whole})
	out := t.TempDir()
	file := settings(t, "source: {streams: ['cam-*'], endpoint_url: \""+url+"\", start_selector: {type: EARLIEST}, end: {fragments: 7}}\n"+sinkOf(out))
	p, _, stderr := newProgram(nil)
	if code := p.execute([]string{"run", file}); code != exitDone || len(images(t, out)) != 28 {
		t.Errorf("code %d, %d images:\n%s", code, len(images(t, out)), stderr)
	}
}

// A camera that was silent for two seconds is no loss, and is told.
func TestAPauseOfTheProducerIsCountedAndNoGap(t *testing.T) {
	chunks := chunksOf(t, read(t, demo))
	url := emulator(t, kvstest.PaceMax, map[string][]byte{"cam": bytes.Join(append(chunks[:3:3], chunks[4:]...), nil)})
	out := t.TempDir()
	summary := filepath.Join(out, "summary.json")
	file := settings(t, "source: {streams: [cam], endpoint_url: \""+url+"\", start_selector: {type: EARLIEST}, end: {fragments: 6}}\n"+sinkOf(out))
	p, _, stderr := newProgram(nil)
	if code := p.execute([]string{"run", file, "--summary", summary}); code != exitDone {
		t.Fatalf("code %d:\n%s", code, stderr)
	}
	if s := readSummary(t, summary)["cam"]; s.Pauses != 1 || s.Fragments != 6 || !strings.Contains(stderr.String(), "the producer paused 1 time") {
		t.Errorf("%+v\n%s", s, stderr)
	}
}
