package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes"
)

// BenchmarkLive reads live streams of 1080p30, groups of 2 s without B-frames, from an emulator beside it that sends them frame by frame in real time, and
// reports how long images take from the last byte of their picture to the stored file, and the memory of the program with its decoders.
// KVSTEST_BENCH_LIVE is the recording. All streams are in step, which is the hardest case: their key frames come at once.
func BenchmarkLive(b *testing.B) {
	recording := os.Getenv("KVSTEST_BENCH_LIVE")
	if recording == "" {
		b.Skip("KVSTEST_BENCH_LIVE is not set")
	}
	for _, of := range []struct {
		name    string
		streams int
		sample  string
	}{
		{"1 stream, every frame", 1, "{type: all}"},
		{"20 streams, a frame a second", 20, "{type: interval, interval: 1s}"},
		{"50 streams, key frames", 50, "{type: keyframes}"},
	} {
		b.Run(of.name, func(b *testing.B) {
			for b.Loop() {
				live(b, recording, of.streams, of.sample)
			}
		})
	}
}

// live runs the program over so many streams, and reports the summary's latencies.
func live(b *testing.B, recording string, streams int, sample string) {
	b.Helper()
	emulator := child(b, append([]string{"emulate", "--pace", "realtime"}, sameRecording(streams, recording)...)...)
	out, err := emulator.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	start(b, emulator)
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	folder := b.TempDir()
	file, summary := filepath.Join(folder, "pipeline.yaml"), filepath.Join(folder, "summary.json")
	text := fmt.Sprintf(`
source: {streams: ['cam-*'], endpoint_url: %q, start_selector: {type: EARLIEST}, deliver: frame, end: {fragments: 14}}
sinks: [{name: live, sample: %s, resize: {width: 320}, destination: {directory: %q}}]
checkpoint: {type: none}
service: {log: {level: warn}, progress: "off"}
`, strings.TrimSpace(url), sample, filepath.Join(folder, "out"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	run := child(b, "run", file, "--summary", summary)
	var stderr bytes.Buffer
	run.Stderr = &stderr
	start(b, run)
	peak := make(chan int64, 1)
	go func() { // of the program and its decoders
		var most int64
		for ticker := time.NewTicker(200 * time.Millisecond); ; <-ticker.C {
			if resident(run.Process.Pid) == 0 {
				peak <- most
				return
			}
			most = max(most, proportional(run.Process.Pid))
		}
	}()
	if err := run.Wait(); err != nil {
		b.Fatalf("%v\n%s", err, stderr.Bytes())
	}
	_ = emulator.Process.Signal(os.Interrupt)
	_ = emulator.Wait()
	var s kvsframes.Summary
	data, err := os.ReadFile(summary)
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(s.Latency.ArrivalP50), "ms-p50")
	b.ReportMetric(float64(s.Latency.ArrivalP99), "ms-p99")
	b.ReportMetric(float64(s.Latency.Images), "images")
	b.ReportMetric(float64(<-peak)/(1<<20), "MiB")
	b.ReportMetric((run.ProcessState.UserTime() + run.ProcessState.SystemTime()).Seconds(), "cpu-s")
}

// proportional returns the memory of a process and its children in bytes: what several share counts once.
func proportional(pid int) (total int64) {
	for _, pid := range family(pid) {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid)) // a child may have ended
		for line := range strings.Lines(string(text)) {
			var kib int64
			if n, _ := fmt.Sscanf(line, "Pss: %d kB", &kib); n == 1 {
				total += kib << 10
			}
		}
	}
	return total
}
