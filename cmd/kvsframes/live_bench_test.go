package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/kvsframes/kvsframes"
	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source"
	"github.com/kvsframes/kvsframes/source/kvs"
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

// BenchmarkLiveBesideFFmpeg reads one live stream three times at once: with the program, with curl on a signed request piped into ffmpeg, both making a
// 320-pixel picture of every frame, and with nothing behind it, which tells when the last byte of each picture was there. KVSTEST_FFMPEG is ffmpeg's
// program, KVSTEST_BENCH_LIVE the recording, in which each fragment has a key frame and no B-frames.
func BenchmarkLiveBesideFFmpeg(b *testing.B) {
	recording, ffmpeg := os.Getenv("KVSTEST_BENCH_LIVE"), os.Getenv("KVSTEST_FFMPEG")
	if recording == "" || ffmpeg == "" {
		b.Skip("KVSTEST_BENCH_LIVE or KVSTEST_FFMPEG is not set")
	}
	for b.Loop() {
		e := kvstest.New(b, kvstest.Options{AccessKey: "test", SecretKey: "test", Pace: kvstest.PaceRealtime})
		if err := e.AddFile("cam", recording); err != nil {
			b.Fatal(err)
		}
		folder := b.TempDir()
		file := filepath.Join(folder, "pipeline.yaml")
		text := fmt.Sprintf(`
source: {streams: [cam], endpoint_url: %q, start_selector: {type: EARLIEST}, deliver: frame, end: {idle_timeout: 5s}}
sinks: [{name: live, sample: {type: all}, resize: {width: 320}, path: "{fragment_number}_{frame_index}.{ext}", destination: {directory: %q}}]
checkpoint: {type: none}
service: {log: {level: warn}, progress: "off"}
`, e.URL(), filepath.Join(folder, "out"))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
		run := child(b, "run", file)
		request := child(b, "request", "cam", "--start", "EARLIEST", "--endpoint-url", e.URL(), "--curl")
		line, err := request.Output()
		if err != nil {
			b.Fatal(err)
		}
		piped := exec.CommandContext(b.Context(), "sh", "-c", strings.TrimSpace(string(line))+" -sN | '"+ffmpeg+"' -v error -fflags nobuffer -flags low_delay -i - -vf scale=320:-2 -pix_fmt gray -f rawvideo -")
		out, err := piped.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		start(b, run)
		start(b, piped)
		var theirs []time.Time
		var wg sync.WaitGroup
		wg.Go(func() {
			for picture := make([]byte, 320*180); ; {
				if _, err := io.ReadFull(out, picture); err != nil {
					return
				}
				theirs = append(theirs, time.Now())
			}
		})
		there := arrivalsOf(b, e.URL())
		if err := run.Wait(); err != nil {
			b.Fatal(err)
		}
		wg.Wait()
		_ = piped.Wait()
		images, err := filepath.Glob(filepath.Join(folder, "out", "*.jpg"))
		if err != nil || len(images) != len(there) {
			b.Fatalf("%d images of %d frames, %v", len(images), len(there), err)
		}
		var ours []time.Time
		for _, image := range images { // in the order of their names
			info, err := os.Stat(image)
			if err != nil {
				b.Fatal(err)
			}
			ours = append(ours, info.ModTime())
		}
		report := func(name string, took, there []time.Time) { // ffmpeg leaves out frames at the beginning
			var ms []float64
			for i := range min(len(took), len(there)) {
				ms = append(ms, float64(took[len(took)-1-i].Sub(there[len(there)-1-i]).Microseconds())/1000)
			}
			slices.Sort(ms)
			b.ReportMetric(ms[len(ms)/2], name+"-ms-p50")
			b.ReportMetric(ms[len(ms)*99/100], name+"-ms-p99")
			b.ReportMetric(float64(len(ms)), name+"-frames")
		}
		report("ours", ours, there)
		report("ffmpeg", theirs, there)
	}
}

// arrivalsOf returns when the last byte of each frame of a stream is there.
func arrivalsOf(b *testing.B, url string) (at []time.Time) {
	b.Helper()
	aws, err := kvs.LoadAWS(b.Context(), "us-east-1")
	if err != nil {
		b.Fatal(err)
	}
	aws.Credentials = credentials.NewStaticCredentialsProvider("test", "test", "")
	src, err := kvs.Open(b.Context(), kvs.Config{
		AWS: aws, Stream: "cam", EndpointURL: url, Start: source.StartSelector{Type: source.StartEarliest}, End: source.End{IdleTimeout: 5 * time.Second},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer src.Close()
	done, blocks := 0, 0 // of the fragments before, and of this one
	note := func(f *media.Fragment) {
		for blocks = len(f.Blocks); len(at) < done+blocks; {
			at = append(at, time.Now())
		}
	}
	for {
		f, err := src.Next(media.WithArrivals(b.Context(), note))
		if err != nil {
			return at
		}
		note(f)
		done += blocks
	}
}
