package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kvsframes/kvsframes/decode/decodetest"
	"github.com/kvsframes/kvsframes/kvstest"
)

// TestFramesOfRecordsAreLibavs asks for frames by their places, in each way, and compares them with those that libav counts.
func TestFramesOfRecordsAreLibavs(t *testing.T) {
	url := emulator(t, kvstest.PaceMax, map[string][]byte{"cam": read(t, demo)})
	fragments := fragmentsOf(t, url, 7)
	// The demo has a frame each 40 ms. The second fragment's frame of 1.25 s is the 32nd, of 0 to 39; the fifth has another size.
	type frame struct{ fragment, index int }
	want := map[frame]string{{1, 31}: "2026-01-01T12:00:03.250Z", {1, 0}: "2026-01-01T12:00:02.000Z", {4, 49}: "2026-01-01T12:00:09.999Z"}
	offsets := map[frame]string{{1, 31}: "1.25", {1, 0}: "0", {4, 49}: "1.999"}
	var places, flat, nested, list []string
	for f, offset := range offsets {
		n := demoFragment(f.fragment)
		places = append(places, "--fragment", n+"@"+offset+"s")
		list = append(list, n+"@"+offset+"s")
		flat = append(flat, fmt.Sprintf(`{"FragmentNumber": %q, "FrameOffsetInSeconds": %s, "label": "at %s"}`, n, offset, offset))
		nested = append(nested, fmt.Sprintf(`{"InputInformation": {"KinesisVideo": {"StreamArn": "arn:aws:kinesisvideo:us-east-1:1:stream/cam/1", "FragmentNumber": %q, "ProducerTimestamp": 1, "FrameOffsetInSeconds": %s}}, "label": "at %s"}`, n, offset, offset))
	}
	records := filepath.Join(t.TempDir(), "records.jsonl")
	if err := os.WriteFile(records, []byte(strings.Join(nested, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args          []string
		stdin, source string
		sample        string
		label         bool
	}{
		"arguments":       {args: places, sample: "type: all"},
		"a list":          {args: []string{"--fragment", strings.Join(list, ",")}, sample: "type: keyframes"},
		"flat records":    {args: []string{"--fragment", "-"}, stdin: strings.Join(flat, "\n"), sample: "type: all", label: true},
		"nested records":  {args: []string{"--fragment", "-"}, stdin: strings.Join(nested, "\n"), sample: "type: interval", label: true},
		"a file, live":    {source: ", start_selector: {type: EARLIEST}, end: {fragments: 7}", sample: "type: timestamps, file: " + records, label: true},
		"a file, archive": {source: ", start_selector: {type: EARLIEST}, mode: archive", sample: "type: timestamps, file: " + records, label: true},
	} {
		t.Run(name, func(t *testing.T) {
			out := t.TempDir()
			file := settings(t, fmt.Sprintf("source: {streams: [cam], endpoint_url: %q%s}\nsinks: [{name: raw, type: raw, pixel_format: yuv420p, sample: {%s}, destination: {directory: %q}}]\n", url, c.source, c.sample, out))
			p, _, stderr := newProgram(strings.NewReader(c.stdin))
			if code := p.execute(append([]string{"run", file}, c.args...)); code != exitDone {
				t.Fatalf("code %d:\n%s", code, stderr)
			}
			if said := strings.Contains(stderr.String(), "stand in for what the sinks' samplers would choose"); said != (c.args != nil) {
				t.Errorf("it is said: %v", said)
			}
			seen := 0
			for _, part := range found(t, out, "cam/manifest/raw/*.jsonl") {
				for line := range strings.Lines(string(read(t, part))) {
					var r struct {
						Fragment string   `json:"fragment_number"`
						Index    int      `json:"frame_index"`
						Key      string   `json:"key"`
						Answers  []string `json:"answers"`
						Label    string   `json:"label"`
					}
					if err := json.Unmarshal([]byte(line), &r); err != nil {
						t.Fatal(err)
					}
					i := slices.IndexFunc(slices.Collect(func(yield func(string) bool) {
						for n := range 7 {
							if !yield(demoFragment(n)) {
								return
							}
						}
					}), func(n string) bool { return n == r.Fragment })
					at := frame{i, r.Index}
					label := ""
					if c.label {
						label = "at " + offsets[at]
					}
					if !slices.Equal(r.Answers, []string{want[at]}) || r.Label != label {
						t.Errorf("frame %v answers %q, label %q, want %q", at, r.Answers, r.Label, want[at])
					}
					if !bytes.Equal(read(t, filepath.Join(out, r.Key)), decodetest.Frames(t, fragments[i].MKV)[r.Index]) {
						t.Errorf("frame %v is not libav's", at)
					}
					seen++
				}
			}
			if seen != len(want) {
				t.Errorf("%d frames, want %d", seen, len(want))
			}
		})
	}
}

// TestAFrameThatIsNotThereIsAGap: its fragment has expired, or is shorter.
func TestAFrameThatIsNotThereIsAGap(t *testing.T) {
	chunks := chunksOf(t, read(t, demo))
	url := emulator(t, kvstest.PaceMax, map[string][]byte{"cam": bytes.Join(chunks[2:], nil)})
	for name, c := range map[string]struct {
		places []string
		frames int
	}{
		"some":        {[]string{demoFragment(0) + "@1s", demoFragment(3) + "@1s", demoFragment(3) + "@2.1s"}, 1},
		"none at all": {[]string{demoFragment(0) + "@1s", demoFragment(1) + "@1s"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			out, summary := t.TempDir(), filepath.Join(t.TempDir(), "summary.json")
			file := settings(t, fmt.Sprintf("source: {streams: [cam], endpoint_url: %q}\nsinks: [{name: thumbs, destination: {directory: %q}}]\n", url, out))
			p, _, stderr := newProgram(nil)
			if code := p.execute([]string{"run", file, "--summary", summary, "--fragment", strings.Join(c.places, ",")}); code != exitGaps {
				t.Fatalf("code %d:\n%s", code, stderr)
			}
			if s := readSummary(t, summary)["cam"]; s.FramesWritten["thumbs"] != c.frames {
				t.Errorf("%+v", s)
			}
			asked := map[string]string{} // by place, the fragment
			for _, part := range found(t, out, "cam/gaps/thumbs/*.jsonl") {
				for line := range strings.Lines(string(read(t, part))) {
					var g struct {
						Stream, Reason string
						Fragment       string   `json:"fragment_number"`
						AskedFor       []string `json:"asked_for"`
					}
					if err := json.Unmarshal([]byte(line), &g); err != nil {
						t.Fatal(err)
					}
					for _, place := range g.AskedFor {
						if asked[place] = g.Fragment; g.Stream != "cam" || g.Reason != "no_frame" || !strings.HasPrefix(place, g.Fragment+"@") {
							t.Errorf("gap %+v", g)
						}
					}
				}
			}
			want := slices.DeleteFunc(slices.Clone(c.places), func(place string) bool { return place == demoFragment(3)+"@1s" })
			for _, place := range want {
				if _, named := asked[place]; !named {
					t.Errorf("the ledger does not name %s: %v", place, asked)
				}
			}
			if len(asked) != len(want) {
				t.Errorf("the ledger names %v, want %v", asked, want)
			}
		})
	}
}

func TestBadFramesAreWrongUsage(t *testing.T) {
	for _, c := range []struct{ stdin, args, want string }{
		{"", "--fragment=1@soon", "is no frame of a fragment: write NUMBER@OFFSET"},
		{"", "--fragment=1@1s,2", "names fragments with an offset and without"},
		{"", "--fragment=-,2@1s", "name no other"},
		{"", "--fragment=-", "standard input: holds no request"},
		{"{}\n2026-11-01T00:00:00Z\n", "--fragment=-", "standard input: line 1: asks for nothing: want timestamp, or FragmentNumber with FrameOffsetInSeconds; line 2: names no fragment"},
	} {
		p, _, stderr := newProgram(strings.NewReader(c.stdin))
		if code := p.execute([]string{"run", settings(t, "source: {streams: [a]}\n"+sinkOf(t.TempDir())), c.args}); code != exitUsage || !strings.Contains(stderr.String(), c.want) {
			t.Errorf("%s: code %d: %s", c.args, code, stderr)
		}
	}
}
