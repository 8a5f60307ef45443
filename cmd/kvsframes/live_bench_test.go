package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source"
	"github.com/kvsframes/kvsframes/source/kvs"
)

// BenchmarkLive reads live streams from an emulator beside it that sends them frame by frame in real time, and reports how long images take from the last
// byte of their picture to the stored file, and the memory of the program with its decoders. The streams begin one after the other, at equal distances
// within the 2 s of a fragment, or all at once. KVSTEST_BENCH_LIVE is the recording, of 1080p30 in groups of 2 s without B-frames; the demo's has 640x360 and 1280x720.
func BenchmarkLive(b *testing.B) {
	recording := os.Getenv("KVSTEST_BENCH_LIVE")
	if recording == "" {
		b.Skip("KVSTEST_BENCH_LIVE is not set")
	}
	small, _ := longDemo(b, 3)
	for _, of := range []struct {
		name      string
		recording string
		streams   int
		apart     time.Duration
		sample    string
		memory    string
	}{
		{"1 stream, every frame", recording, 1, 0, "{type: all}", "1GiB"},
		{"20 streams, a frame a second", recording, 20, 100 * time.Millisecond, "{type: interval, interval: 1s}", "1GiB"},
		{"20 small streams, a frame a second", small, 20, 100 * time.Millisecond, "{type: interval, interval: 1s}", "1GiB"},
		{"20 small streams, a frame a second, more memory", small, 20, 100 * time.Millisecond, "{type: interval, interval: 1s}", "4GiB"},
		{"50 streams, key frames", recording, 50, 40 * time.Millisecond, "{type: keyframes}", "1GiB"},
		{"50 streams, key frames, all at once", recording, 50, 0, "{type: keyframes}", "1GiB"},
	} {
		b.Run(of.name, func(b *testing.B) {
			for b.Loop() {
				live(b, of.recording, of.streams, of.apart, of.sample, of.memory)
			}
		})
	}
}

// live runs the program over so many streams, which begin so far apart, and reports the latencies of its metrics.
func live(b *testing.B, recording string, streams int, apart time.Duration, sample, memory string) {
	b.Helper()
	e := kvstest.New(b, kvstest.Options{AccessKey: "test", SecretKey: "test", Pace: kvstest.PaceRealtime})
	for i := range streams {
		if err := e.AddFile(fmt.Sprintf("cam-%03d", i), recording); err != nil {
			b.Fatal(err)
		}
		time.Sleep(apart)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	address := free.Addr().String()
	_ = free.Close() // for the program
	run := child(b, "run", settings(b, fmt.Sprintf(`
source: {streams: ['cam-*'], endpoint_url: %q, start_selector: {type: EARLIEST}, deliver: frame, end: {fragments: 14}}
decode: {max_memory: %s}
sinks: [{name: live, sample: %s, resize: {width: 320}, destination: {directory: %q}}]
service: {log: {level: warn}, progress: "off", http: %q}
`, e.URL(), memory, sample, b.TempDir(), address)))
	var stderr bytes.Buffer
	run.Stderr = &stderr
	start(b, run)
	const warm = 5 * time.Second // until the pictures are stored that were there when the program began
	began := time.Now()
	var peak int64
	var first, last map[string]float64
	for ticker := time.NewTicker(200 * time.Millisecond); resident(run.Process.Pid) > 0; <-ticker.C {
		peak = max(peak, proportional(run.Process.Pid))
		if counts := arrivalCounts(address); len(counts) > 0 {
			if last = counts; time.Since(began) < warm {
				first = counts
			}
		}
	}
	if err := run.Wait(); err != nil {
		b.Fatalf("%v\n%s", err, stderr.Bytes())
	}
	images := last["+Inf"] - first["+Inf"]
	bound := func(q float64) float64 { // that a share q does not exceed
		least := math.Inf(1)
		for le, n := range last {
			if seconds, err := strconv.ParseFloat(le, 64); err == nil && n-first[le] >= q*images {
				least = min(least, seconds)
			}
		}
		return 1000 * least
	}
	b.ReportMetric(bound(0.5), "ms-p50")
	b.ReportMetric(bound(0.99), "ms-p99")
	b.ReportMetric(images, "images")
	b.ReportMetric(float64(peak)/(1<<20), "MiB")
	b.ReportMetric((run.ProcessState.UserTime() + run.ProcessState.SystemTime()).Seconds(), "cpu-s")
}

// arrivalCounts returns the buckets of the program's histogram of arrivals, by their bounds in seconds.
func arrivalCounts(address string) map[string]float64 {
	client := http.Client{Timeout: time.Second}
	resp, err := client.Get("http://" + address + "/metrics")
	if err != nil {
		return nil // it has not begun, or has ended
	}
	defer resp.Body.Close()
	page, _ := io.ReadAll(resp.Body)
	counts := map[string]float64{}
	for line := range strings.Lines(string(page)) {
		rest, ok := strings.CutPrefix(line, "kvsframes_image_arrival_seconds_bucket{le=\"")
		le, n, _ := strings.Cut(strings.TrimSpace(rest), "\"} ")
		if count, err := strconv.ParseFloat(n, 64); ok && err == nil {
			counts[le] = count
		}
	}
	return counts
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
		run := child(b, "run", settings(b, fmt.Sprintf(`
source: {streams: [cam], endpoint_url: %q, start_selector: {type: EARLIEST}, deliver: frame, end: {idle_timeout: 5s}}
sinks: [{name: live, sample: {type: all}, resize: {width: 320}, path: "{fragment_number}_{frame_index}.{ext}", destination: {directory: %q}}]
service: {log: {level: warn}, progress: "off"}
`, e.URL(), folder)))
		request := child(b, "request", "cam", "--start", "EARLIEST", "--endpoint-url", e.URL(), "--curl")
		line, err := request.Output()
		if err != nil {
			b.Fatal(err)
		}
		piped := exec.CommandContext(b.Context(), "sh", "-c", strings.TrimSpace(string(line))+" -sN | '"+ffmpeg+"' -v error -fflags nobuffer -flags low_delay -y -i /dev/stdin -vf scale=320:-2 -pix_fmt gray -f rawvideo /dev/stdout")
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
		images, err := filepath.Glob(filepath.Join(folder, "*.jpg"))
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
