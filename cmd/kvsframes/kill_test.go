package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
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

// manySinks are sinks with every sampler, below the folder or prefix that %s names.
const manySinks = `sinks:
  - {name: all, type: raw, sample: {type: all}, resize: {width: 32}, path: "{sink}/{fragment_number}_{frame_index}.{ext}", destination: %[1]s}
  - {name: keys, sample: {type: keyframes}, resize: {width: 32}, path: "{sink}/{fragment_number}_{frame_index}.{ext}", destination: %[1]s}
  - {name: stride, sample: {type: stride, n: 7}, resize: {width: 32}, path: "{sink}/{run_id}/{fragment_number}_{frame_index}.{ext}", destination: %[1]s}
  - {name: grid, sample: {type: interval, interval: 280ms}, resize: {width: 32}, path: "{sink}/{fragment_number}_{frame_index}.{ext}", destination: %[1]s}
  - {name: asked, sample: {type: timestamps, file: %[2]s, tolerance: 5s}, resize: {width: 32}, path: "{sink}/{fragment_number}_{frame_index}.{ext}", destination: %[1]s}
`

// killable is a stream to kill runs of.
type killable struct {
	name      string
	fragments int
	times     string // a file of times that are asked for
}

// killables are streams whose fragments need others: groups cut over fragments of three and of seven packets.
func killables(t *testing.T, o kvstest.Options) (url string, streams []killable) {
	t.Helper()
	e := kvstest.New(t, o)
	for clip, each := range map[string]int{"opengop": 3, "hevc-open": 3, "bframes": 7, "no-b": 3} {
		whole := packetsOf(t, read(t, filepath.Join("../../decode/testdata", clip+".mkv")))
		saved, n := cutBefore(whole, func(i int) bool { return i%each == 0 })
		if err := e.AddRecording(clip, bytes.NewReader(saved)); err != nil {
			t.Fatal(err)
		}
		var asked strings.Builder
		for at := whole.ProducerTime; at.Before(whole.ProducerTime.Add(5 * time.Second)); at = at.Add(330 * time.Millisecond) {
			fmt.Fprintln(&asked, at.Format(time.RFC3339Nano))
		}
		times := filepath.Join(t.TempDir(), clip+".txt")
		if err := os.WriteFile(times, []byte(asked.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		streams = append(streams, killable{clip, n, times})
	}
	return e.URL(), streams
}

// sourceOf are the settings of a stream in a mode.
func sourceOf(s killable, mode, url string) string {
	start := "start_selector: {type: EARLIEST}, end: {fragments: " + fmt.Sprint(s.fragments) + "}"
	if mode == "archive" {
		start = "start_selector: {type: EARLIEST}"
	}
	return fmt.Sprintf("source: {streams: [%s], mode: %s, %s, endpoint_url: '%s'}\n", s.name, mode, start, url)
}

// withoutRun takes the IDs of runs out of keys.
func withoutRun(digests map[string][sha256.Size]byte) map[string][sha256.Size]byte {
	all := map[string][sha256.Size]byte{}
	for key, digest := range digests {
		if parts := strings.Split(key, "/"); parts[0] == "stride" {
			key = parts[0] + "/" + parts[len(parts)-1]
		}
		if strings.Contains(key, "/manifest/stride/") {
			continue // whose records name the keys
		}
		if strings.Contains(key, "/.kvsframes-tmp-") {
			continue // is removed by a run an hour later
		}
		all[key] = digest
	}
	return all
}

// TestRunsThatAreKilledLoseAndRepeatNothing kills or interrupts runs at random moments and starts them again until one ends: what is stored
// then equals what an undisturbed run stores.
func TestRunsThatAreKilledLoseAndRepeatNothing(t *testing.T) {
	kills, rounds := 5, 1 // kills of one case, at most
	if soaking() {
		kills, rounds = 80, 14
	}
	server := s3test.Start(t)
	server.Setenv(t)
	o := kvstest.Options{AccessKey: server.AccessKey, SecretKey: server.SecretKey}
	url, streams := killables(t, o)
	rng := seeded(t)
	total, midway := 0, 0 // midway are kills of runs that had a place to continue from
	for i, s := range streams {
		folder := t.TempDir()
		want := run(t, settings(t, sourceOf(s, "archive", url)+fmt.Sprintf(manySinks, "{directory: '"+folder+"'}", s.times)), folder)
		modes := []string{"live", "archive", "auto"}
		for j := range rounds * len(modes) {
			mode := modes[j%len(modes)]
			t.Run(s.name+" "+mode, func(t *testing.T) {
				folder, state, bucket := t.TempDir(), t.TempDir(), ""
				to := "{directory: '" + folder + "'}"
				if (i+j)%2 == 0 {
					bucket = server.Bucket(t)
					to = fmt.Sprintf("{type: s3, bucket: %s, endpoint_url: %q, force_path_style: true}", bucket, server.Endpoint)
				}
				file := settings(t, sourceOf(s, mode, url)+fmt.Sprintf(manySinks, to, s.times)+
					"checkpoint: {type: file, every: 1ms, path: '"+state+"/{stream}.json'}\n")
				killed := 0
				for {
					cmd := exec.CommandContext(t.Context(), os.Args[0], "run", file)
					cmd.Env = append(os.Environ(), asProgram+"=1")
					var said bytes.Buffer
					cmd.Stderr = &said
					if err := cmd.Start(); err != nil {
						t.Fatal(err)
					}
					if killed < kills {
						time.Sleep(time.Duration(20+rng.IntN(250)) * time.Millisecond) // the moment is what is tested
						if rng.IntN(3) == 0 {
							_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
						} else {
							_ = cmd.Process.Kill()
						}
					}
					err := cmd.Wait()
					if err == nil {
						break
					}
					if data, _ := os.ReadFile(filepath.Join(state, s.name+".json")); bytes.Contains(data, []byte(`"place":{"fragment_number":"0`)) {
						midway++
					}
					if code := cmd.ProcessState.ExitCode(); code != -1 && code != exitInterrupted {
						t.Fatalf("code %d:\n%s", code, said.String())
					}
					if killed++; killed > kills {
						t.Fatalf("the last run: %v\n%s", err, said.String())
					}
				}
				total += killed
				got := withoutRun(digests(t, folder))
				if bucket != "" {
					got = withoutRun(stored(t, server, bucket))
				}
				if !maps.Equal(got, want) {
					for key := range want {
						if got[key] != want[key] {
							t.Errorf("%s is not there, or differs", key)
						}
					}
					for key := range got {
						if _, ok := want[key]; !ok {
							t.Errorf("%s is there", key)
						}
					}
				}
			})
		}
	}
	if t.Logf("%d kills, %d of them midway", total, midway); midway < len(streams) {
		t.Error("these are too few")
	}
}

// run runs the program once, and returns what is in the folder then.
func run(t *testing.T, file, folder string) map[string][sha256.Size]byte {
	t.Helper()
	p, _, stderr := newProgram(nil, os.Environ()...)
	if code := p.execute([]string{"run", file}); code != exitDone && code != exitGaps {
		t.Fatalf("code %d:\n%s", code, stderr)
	}
	all := withoutRun(digests(t, folder))
	if len(all) < 50 {
		t.Fatalf("an undisturbed run stores %d objects:\n%s", len(all), stderr)
	}
	return all
}
