package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvsframes/kvsframes"
)

// planSinks are one sink of each sampler.
const planSinks = `sinks:
  - {name: every, sample: {type: all}, manifest: {format: none}, destination: {directory: %[1]q}}
  - {name: keys, sample: {type: keyframes}, destination: {directory: %[1]q}, path: "k/{stream}/{fragment_number}_{frame_index}.{ext}", manifest: {path: "k/{stream}/{fragment_number}.jsonl"}}
  - {name: tenth, sample: {type: stride, n: 10}, manifest: {format: none}, destination: {directory: %[1]q}, path: "t/{stream}/{fragment_number}_{frame_index}.{ext}"}
  - {name: slow, sample: {type: interval, interval: 4s}, destination: {directory: %[1]q}, path: "s/{stream}/{fragment_number}_{frame_index}.{ext}", manifest: {path: "s/{stream}/{fragment_number}.jsonl"}}
  - {name: fast, sample: {type: interval, fps: 5/2}, manifest: {format: none}, destination: {directory: %[1]q}, path: "f/{stream}/{fragment_number}_{frame_index}.{ext}"}
  - {name: stamps, sample: {type: timestamps, at: [2026-01-01T11:59:59.9Z, 2026-01-01T12:00:02Z, 2026-01-01T12:00:04.5Z, 2026-01-01T12:00:14.2Z, 2026-01-01T12:00:20Z]}, destination: {directory: %[1]q}, path: "a/{stream}/{fragment_number}_{frame_index}.{ext}", manifest: {path: "a/{stream}/{fragment_number}.jsonl"}}
`

// plannedSinks are the numbers of images and objects of the sinks in planSinks, as text.
func plannedSinks(sp *kvsframes.StreamPlan) string {
	var parts []string
	for _, name := range []string{"every", "keys", "tenth", "slow", "fast", "stamps"} {
		s := sp.Sinks[name]
		parts = append(parts, fmt.Sprintf("%s %s/%s", name, count(s.Images, s.Estimate), count(s.Objects, s.Estimate)))
	}
	return strings.Join(parts, ", ")
}

// demoListed is the size of the demo's fragments as the archive lists them, in bytes:
// without the tags that GetMedia puts behind each.
const demoListed = 491_783

// The demo has 7 fragments of 2 s from 12:00:00 on, with 50 frames each, the first of
// them a key frame.
func TestPlanCountsWhatARunWouldRead(t *testing.T) {
	payload := read(t, demo)
	url := faulty(t, payload)
	archive := "source: {streams: [cam], mode: archive, start_selector: {type: %s}, end: {%s}}\n"
	for _, test := range []struct {
		name, source string
		args         []string
		fragments    int
		media        float64
		frames       string
		sinks        string
	}{
		{
			"a file", "source: {type: file, paths: [" + demo + "], stream: cam}\n", nil, 7, 14, "350",
			"every 350/350, keys 7/14, tenth 35/35, slow 4/8, fast 35/35, stamps 4/8",
		},
		{
			"a file until an end", "source: {type: file, paths: [" + demo + "], stream: cam, end: {duration: 5s}}\n", nil, 3, 5, "125",
			"every 125/125, keys 3/6, tenth 13/13, slow 2/4, fast 13/13, stamps 3/6",
		},
		{
			"an archive", fmt.Sprintf(archive, "EARLIEST", ""), nil, 7, 14, "unknown",
			"every unknown/unknown, keys about 7/about 14, tenth unknown/unknown, slow about 4/about 8, fast about 35/about 35, stamps about 4/about 7",
		},
		{
			"an archive whose frame rate is told", fmt.Sprintf(archive, "EARLIEST", ""),
			[]string{"--fps-of-source", "25"},
			7, 14, "about 350",
			"every about 350/about 350, keys about 7/about 14, tenth about 35/about 35, slow about 4/about 8, fast about 35/about 35, stamps about 4/about 7",
		},
		{
			"a part of an archive", fmt.Sprintf(archive, "PRODUCER_TIMESTAMP, timestamp: 2026-01-01T12:00:03Z", "timestamp: 2026-01-01T12:00:09Z"),
			[]string{"--fps-of-source", "25"},
			4, 6, "about 150",
			"every about 150/about 150, keys about 3/about 6, tenth about 15/about 15, slow about 2/about 4, fast about 15/about 15, stamps about 1/about 2",
		},
		{
			"so many fragments", fmt.Sprintf(archive, "EARLIEST", "fragments: 2"),
			[]string{"--fps-of-source", "25"},
			2, 4, "about 100",
			"every about 100/about 100, keys about 2/about 4, tenth about 10/about 10, slow about 1/about 2, fast about 10/about 10, stamps about 2/about 4",
		},
		{
			"so much media", fmt.Sprintf(archive, "EARLIEST", "duration: 5s"),
			[]string{"--fps-of-source", "25"},
			3, 5, "about 125",
			"every about 125/about 125, keys about 3/about 6, tenth about 13/about 13, slow about 2/about 4, fast about 13/about 13, stamps about 3/about 6",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			args := []string{"plan", settings(t, test.source+fmt.Sprintf(planSinks, out)), "--json"}
			if strings.Contains(test.source, "streams:") {
				args = append(args, "--set", "source.endpoint_url="+url)
			}
			p, stdout, stderr := newProgram(nil)
			if code := p.execute(append(args, test.args...)); code != exitDone {
				t.Fatalf("code %d:\n%s", code, stderr)
			}
			var got kvsframes.Plan
			if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			sp := got.Streams["cam"]
			if sp == nil {
				t.Fatalf("no stream cam:\n%s", stdout)
			}
			if sp.Fragments != test.fragments || math.Abs(sp.MediaS-test.media) > 1e-3 || count(sp.Frames, sp.Estimate) != test.frames {
				t.Errorf("%d fragments, %v s, %s frames; want %d, %v, %s", sp.Fragments, sp.MediaS, count(sp.Frames, sp.Estimate), test.fragments, test.media, test.frames)
			}
			if got := plannedSinks(sp); got != test.sinks {
				t.Errorf("got  %s\nwant %s", got, test.sinks)
			}
			want := int64(demoListed)
			if test.name == "a file" {
				want = int64(len(payload))
			}
			if test.fragments == 7 && sp.Bytes != want {
				t.Errorf("%d bytes, want %d", sp.Bytes, want)
			}
			if _, err := os.Stat(out); !os.IsNotExist(err) {
				t.Errorf("the sink's folder was made: %v", err)
			}
		})
	}
}

func TestPlanForAPerson(t *testing.T) {
	url := faulty(t, read(t, demo))
	file := settings(t, "source: {streams: ['c*'], mode: auto, start_selector: {type: EARLIEST}}\nsinks: [{name: a}]\n")
	p, stdout, stderr := newProgram(nil)
	if code := p.execute([]string{"plan", file, "--set", "source.endpoint_url=" + url, "--price-per-gb", "1000"}); code != exitDone {
		t.Fatalf("code %d:\n%s", code, stderr)
	}
	for _, want := range []string{
		"cam\n", "media             14s (0.00 hours)\n", "frames            unknown\n", fmt.Sprintf("about %.2f US$\n", float64(demoListed)/1e6),
		"note: mode auto continues live", "note: the listing has no frame rate",
	} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("lacks %q:\n%s", want, stdout)
		}
	}
}

func TestPlanOfAStreamThatIsNotThere(t *testing.T) {
	url := faulty(t, read(t, demo))
	file := settings(t, "source: {streams: [none], mode: archive, start_selector: {type: EARLIEST}}\nsinks: [{name: a}]\n")
	p, stdout, stderr := newProgram(nil)
	if code := p.execute([]string{"plan", file, "--set", "source.endpoint_url=" + url}); code != exitFailed || stdout.Len() > 0 || !strings.Contains(stderr.String(), "ResourceNotFoundException") {
		t.Errorf("code %d, %q:\n%s", code, stdout, stderr)
	}
}
