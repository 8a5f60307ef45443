package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvsframes/kvsframes/internal/s3test"
	"github.com/kvsframes/kvsframes/kvstest"
)

// repairSinks are sinks whose gaps can be closed.
const repairSinks = `decode: {concealed: drop}
sinks:
  - {name: all, type: raw, sample: {type: all}, resize: {width: 32}, path: "{stream}/all/{fragment_number}_{frame_index}.{ext}", destination: %[1]s}
  - {name: keys, sample: {type: keyframes}, resize: {width: 64}, path: "{stream}/keys/{fragment_number}_{frame_index}.{ext}", destination: %[1]s}
  - {name: grid, sample: {type: interval, interval: 700ms}, resize: {width: 64}, path: "{stream}/grid/{fragment_number}_{frame_index}.{ext}", destination: %[1]s}
`

// damaged returns a recording with these fragments damaged: one lacks its second half, and one has other bytes inside.
func damaged(t *testing.T, recording []byte, cut, inside int) []byte {
	t.Helper()
	var all []byte
	for i, chunk := range chunksOf(t, recording) {
		switch i {
		case cut:
			chunk = chunk[:len(chunk)/2]
		case inside:
			chunk = bytes.Clone(chunk)
			for at := len(chunk) / 2; at < min(len(chunk), len(chunk)/2+2000); at++ {
				chunk[at] = 0xff
			}
		}
		all = append(all, chunk...)
	}
	return all
}

// runTo runs the program and returns what it says.
func runTo(t *testing.T, code int, file string, args ...string) string {
	t.Helper()
	p, _, stderr := newProgram(nil, os.Environ()...)
	if got := p.execute(append([]string{"run", file}, args...)); got != code {
		t.Fatalf("code %d, want %d:\n%s", got, code, stderr)
	}
	return stderr.String()
}

// viewed makes the page of a folder, and returns what the program says of it: how many frames and gaps it has.
func viewed(t *testing.T, folder string) string {
	t.Helper()
	p, _, stderr := newProgram(nil)
	if code := p.execute([]string{"view", folder, "-o", filepath.Join(t.TempDir(), "view.html")}); code != exitDone {
		t.Fatalf("code %d: %s", code, stderr)
	}
	return stderr.String()
}

// counted returns the objects that count: manifest parts with records, and the images that these name.
func counted(of map[string][]byte) map[string][sha256.Size]byte {
	count := map[string][sha256.Size]byte{}
	for key, body := range of {
		if !strings.Contains(key, "/manifest/") || len(body) == 0 {
			continue
		}
		count[key] = sha256.Sum256(body)
		for line := range bytes.Lines(body) {
			var r struct {
				Key string `json:"key"`
			}
			if json.Unmarshal(line, &r) != nil || r.Key == "" {
				panic("no record: " + string(line))
			}
			count[r.Key] = sha256.Sum256(of[r.Key])
		}
	}
	return count
}

// filesOf returns the files of a folder.
func filesOf(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	of := map[string][]byte{}
	for key := range digests(t, folder) {
		of[key] = read(t, filepath.Join(folder, key))
	}
	return of
}

// TestRepairGivesWhatAnUndisturbedRunWouldHaveStored from a recording that was damaged on its way, and the archive, where it is whole.
func TestRepairGivesWhatAnUndisturbedRunWouldHaveStored(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	t.Setenv("AWS_REGION", "us-east-1")
	chained, _ := cutBefore(packetsOf(t, read(t, "../../decode/testdata/bframes.mkv")), func(i int) bool { return i%3 == 0 })
	for name, c := range map[string]struct {
		recording   []byte
		cut, inside int
	}{
		"fragments that begin with key frames": {read(t, demo), 1, 5},
		"fragments that need those before":     {chained, 4, 12},
	} {
		t.Run(name, func(t *testing.T) { repairWhatWas(t, server, c.recording, damaged(t, c.recording, c.cut, c.inside)) })
	}
}

// repairWhatWas stores what was damaged, repairs that from the archive, which has the whole, and compares.
func repairWhatWas(t *testing.T, server s3test.Server, whole, damaged []byte) {
	url := serve(t, kvstest.Options{AccessKey: server.AccessKey, SecretKey: server.SecretKey}, "cam", whole)
	broken := filepath.Join(t.TempDir(), "broken.mkv")
	if err := os.WriteFile(broken, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	fromFile := fmt.Sprintf("source: {type: file, paths: [%q], stream: cam}\n", broken)
	fromStream := fmt.Sprintf("source: {streams: [cam], mode: archive, start_selector: {type: EARLIEST}, endpoint_url: %q}\n", url)
	undisturbed := t.TempDir()
	runTo(t, exitDone, settings(t, fromStream+fmt.Sprintf(repairSinks, fmt.Sprintf("{directory: %q}", undisturbed))))
	want := counted(filesOf(t, undisturbed))

	for _, destination := range []string{"file", "s3"} {
		t.Run(destination, func(t *testing.T) {
			folder := t.TempDir()
			to, where := fmt.Sprintf("{directory: %q}", folder), folder
			stored := func() map[string][]byte { return filesOf(t, folder) }
			if destination == "s3" {
				bucket := server.Bucket(t)
				to, where = fmt.Sprintf("{type: s3, bucket: %s, prefix: x, endpoint_url: %q, force_path_style: true, region: us-east-1}", bucket, server.Endpoint), "s3://"+bucket+"/x"
				stored = func() map[string][]byte {
					found := map[string][]byte{}
					keys, err := server.Keys(t.Context(), bucket)
					if err != nil {
						t.Fatal(err)
					}
					for _, key := range keys {
						body, err := server.Get(t.Context(), bucket, key)
						if err != nil {
							t.Fatal(err)
						}
						found[strings.TrimPrefix(key, "x/")] = body
					}
					return found
				}
			}
			sinks := fmt.Sprintf(repairSinks, to)
			runTo(t, exitGaps, settings(t, fromFile+sinks))
			before := stored()
			if maps.Equal(counted(before), want) {
				t.Fatal("nothing is missing")
			}
			if destination == "file" && strings.HasSuffix(viewed(t, folder), " 0 gaps\n") {
				t.Error("the page has no gaps")
			}
			said := runTo(t, exitDone, settings(t, fromStream+sinks), "--gaps", where)
			after := stored()
			if got := counted(after); !maps.Equal(got, want) {
				t.Errorf("after the repair: %v\n%s", difference(got, want), said)
			}
			if destination == "file" && !strings.HasSuffix(viewed(t, folder), " 0 gaps\n") {
				t.Errorf("the page of what is repaired has %s", viewed(t, folder))
			}
			closing := 0
			for key, body := range before {
				if strings.Contains(key, "/gaps/") && !bytes.Equal(after[key], body) {
					t.Errorf("%s has changed", key)
				}
			}
			for key := range after {
				if strings.HasSuffix(key, "-repaired.jsonl") {
					closing++
				}
			}
			if closing == 0 {
				t.Error("no record closes a gap")
			}
			if said = runTo(t, exitDone, settings(t, fromStream+sinks), "--gaps", where); !maps.EqualFunc(stored(), after, bytes.Equal) || !strings.Contains(said, "closed=0 open=0") {
				t.Errorf("a second repair changes what is stored: %s", said)
			}
		})
	}
}

// difference names the objects in which two stores differ.
func difference(a, b map[string][sha256.Size]byte) (keys []string) {
	for key, digest := range a {
		if b[key] != digest {
			keys = append(keys, "+"+key)
		}
	}
	for key := range b {
		if _, there := a[key]; !there {
			keys = append(keys, "-"+key)
		}
	}
	return keys
}

// TestRepairLeavesOpenWhatItCannotClose: fragments that have expired or are damaged in the archive, too, and samplers that look at the whole stream.
func TestRepairLeavesOpenWhatItCannotClose(t *testing.T) {
	both := damaged(t, read(t, demo), -1, 3)
	chunks := chunksOf(t, both)
	url := emulator(t, kvstest.PaceMax, map[string][]byte{"cam": bytes.Join(chunks[2:], nil)})
	folder := t.TempDir()
	broken := filepath.Join(t.TempDir(), "broken.mkv")
	if err := os.WriteFile(broken, damaged(t, both, 1, 5), 0o600); err != nil {
		t.Fatal(err)
	}
	sinks := fmt.Sprintf(repairSinks+`  - {name: stride, type: raw, sample: {type: stride, n: 2}, resize: {width: 32}, path: "{stream}/stride/{fragment_number}_{frame_index}.{ext}", destination: %[1]s}
`, fmt.Sprintf("{directory: %q}", folder))
	runTo(t, exitGaps, settings(t, fmt.Sprintf("source: {type: file, paths: [%q], stream: cam}\n", broken)+sinks))
	before := digests(t, folder)
	summary := filepath.Join(t.TempDir(), "summary.json")
	file := settings(t, fmt.Sprintf("source: {streams: [cam], endpoint_url: %q}\n", url)+sinks)
	said := runTo(t, exitGaps, file, "--gaps", folder, "--summary", summary)
	if !strings.Contains(said, "sink=stride") || !strings.Contains(said, "which frames its sampler chooses depends on the whole stream") {
		t.Errorf("it is not said why gaps stay open: %s", said)
	}
	after := digests(t, folder)
	for key, digest := range before {
		if after[key] != digest && !strings.Contains(key, demoFragment(5)) && !strings.Contains(key, "grid/"+demoFragment(6)) {
			t.Errorf("%s has changed", key)
		}
	}
	for key := range after {
		_, old := before[key]
		if closes := strings.HasSuffix(key, "-repaired.jsonl"); !old && !strings.Contains(key, demoFragment(5)) || closes && strings.Contains(key, "stride") {
			t.Errorf("new: %s", key)
		}
	}
	s := readSummary(t, summary)["cam"]
	left := map[string]bool{}
	for _, g := range s.GapList {
		left[g.Sink+" "+g.FragmentNumber] = true
	}
	for _, sink := range []string{"all", "grid", "stride"} {
		if !left[sink+" "+demoFragment(1)] {
			t.Errorf("the gap of sink %s is not in the summary: %v", sink, left)
		}
	}
	if !left["all "+demoFragment(3)] || !left["grid "+demoFragment(3)] {
		t.Errorf("the gaps of a fragment that is damaged in the archive are not in the summary: %v", left)
	}
	if !left["stride "+demoFragment(5)] || left["all "+demoFragment(5)] || s.Gaps != len(s.GapList) {
		t.Errorf("gaps %v of %d", left, s.Gaps)
	}
	runTo(t, exitGaps, file, "--gaps", folder)
	if again := digests(t, folder); !maps.Equal(again, after) {
		t.Errorf("a second repair changes %v", difference(again, after))
	}
}

// TestRepairFillsHoles: a run began anew at a later fragment, and another one repairs what it left out.
func TestRepairFillsHoles(t *testing.T) {
	url := emulator(t, kvstest.PaceMax, map[string][]byte{"cam": read(t, demo)})
	folder, undisturbed := t.TempDir(), t.TempDir()
	stream := func(start string) string {
		return fmt.Sprintf("source: {streams: [cam], mode: archive, start_selector: {%s}, endpoint_url: %q", start, url)
	}
	into := func(folder string) string {
		return fmt.Sprintf(repairSinks, fmt.Sprintf("{directory: %q}", folder)) + fmt.Sprintf("checkpoint: {type: file, path: %q}\n", filepath.Join(folder, "state/{stream}.json"))
	}
	runTo(t, exitDone, settings(t, stream("type: EARLIEST")+"}\n"+into(undisturbed)))
	runTo(t, exitDone, settings(t, stream("type: EARLIEST")+", end: {fragments: 3}}\n"+into(folder)))
	runTo(t, exitGaps, settings(t, stream("type: FRAGMENT_NUMBER, after_fragment_number: '"+demoFragment(4)+"'")+"}\n"+into(folder)), "--restart")
	images := func(folder string) map[string][sha256.Size]byte {
		return counted(filesOf(t, folder))
	}
	state := read(t, filepath.Join(folder, "state/cam.json"))
	said := runTo(t, exitDone, settings(t, stream("type: EARLIEST")+"}\n"+into(folder)), "--gaps", folder)
	if got, want := images(folder), images(undisturbed); !maps.Equal(got, want) {
		t.Errorf("%v\n%s", difference(got, want), said)
	}
	if !bytes.Equal(read(t, filepath.Join(folder, "state/cam.json")), state) {
		t.Error("the checkpoint has changed")
	}
	var g struct {
		Reason string `json:"reason"`
		Number string `json:"fragment_number"`
		Until  string `json:"until_fragment"`
	}
	part := read(t, filepath.Join(folder, "cam/gaps/all", demoFragment(2)+"-after-repaired.jsonl"))
	if err := json.Unmarshal(part, &g); err != nil || g.Reason != "repaired" || g.Number != demoFragment(2) || g.Until != demoFragment(5) {
		t.Errorf("%s: %v", part, err)
	}
}
