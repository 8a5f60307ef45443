package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/internal/s3test"
	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/source/payload"
)

// BenchmarkManyStreams reads many streams of 2 s fragments live, as fast as they are produced, in one process: 200 with a thumbnail of each key frame
// in a folder, and 50 with all frames in groups in S3, which stay open to the end. It reports the memory of that process while it ran (the largest,
// and what the second half added to the first) and its processor time. The emulator is a process of its own.
func BenchmarkManyStreams(b *testing.B) {
	recording, fragments := longDemo(b, 4)
	b.Run("200 streams, thumbnails of key frames", func(b *testing.B) {
		for b.Loop() {
			folder := b.TempDir()
			readMany(b, 200, "test", "test", recording, fragments, fmt.Sprintf("{name: keys, sample: {type: keyframes}, resize: {width: 320}, destination: {directory: %q}}", folder))
			if got := len(images(b, folder)); got != 200*fragments {
				b.Fatalf("%d images, want %d", got, 200*fragments)
			}
		}
	})
	for _, form := range []string{"webdataset", "parquet", "batch"} {
		b.Run("50 streams, "+form+" in S3", func(b *testing.B) {
			server := s3test.Start(b)
			for b.Loop() {
				bucket := server.Bucket(b)
				readMany(b, 50, server.AccessKey, server.SecretKey, recording, fragments, fmt.Sprintf("{name: all, type: %s, sample: {type: all}, resize: {width: 160}, destination: {type: s3, bucket: %s, endpoint_url: %q, force_path_style: true}}", form, bucket, server.Endpoint))
				keys, err := server.Keys(b.Context(), bucket)
				if parts := 50 * fragments; err != nil || len(keys) < parts+50 {
					b.Fatalf("%d objects, want %d manifest parts and a group of each stream: %v", len(keys), parts, err)
				}
			}
		})
	}
}

// readMany runs a process with a sink over so many streams, each a recording in real time, and reports its memory. The keys are those of all services.
func readMany(b *testing.B, streams int, accessKey, secretKey, recording string, fragments int, sink string) {
	b.Helper()
	emulator := child(b, append([]string{"emulate", "--pace", "realtime", "--access-key", accessKey, "--secret-key", secretKey}, sameRecording(streams, recording)...)...)
	out, err := emulator.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	start(b, emulator)
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	run := child(b, "run", settings(b, fmt.Sprintf(`
source: {streams: ['cam-*'], endpoint_url: %q, start_selector: {type: EARLIEST}, end: {fragments: %d}}
sinks: [%s]
service: {log: {level: warn}, progress: "off"}
`, strings.TrimSpace(url), fragments, sink)))
	run.Env = append(run.Env, "AWS_ACCESS_KEY_ID="+accessKey, "AWS_SECRET_ACCESS_KEY="+secretKey)
	var stderr bytes.Buffer
	run.Stderr = &stderr
	start(b, run)
	memory := watchMemory(b, run)
	if err := run.Wait(); err != nil {
		b.Fatalf("%v\n%s", err, stderr.Bytes())
	}
	samples := <-memory
	reportMemory(b, samples, run.ProcessState.UserTime()+run.ProcessState.SystemTime())
	_ = emulator.Process.Signal(os.Interrupt)
	_ = emulator.Wait()
}

func child(b *testing.B, args ...string) *exec.Cmd {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_REGION=us-east-1",
		"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "NO_PROXY=127.0.0.1")
	return cmd
}

func start(b *testing.B, cmd *exec.Cmd) {
	b.Helper()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
}

// longDemo writes the demo's recording several times over, as one stream that runs on,
// and returns its path and the number of its fragments.
func longDemo(b *testing.B, loops int) (path string, fragments int) {
	b.Helper()
	saved, err := os.ReadFile(demo)
	if err != nil {
		b.Fatal(err)
	}
	var out []byte
	for loop := range loops {
		split := payload.NewSplitter(bytes.NewReader(saved), payload.Config{Stream: "demo"})
		for {
			f, err := split.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			shift := time.Duration(loop) * demoLength
			c := kvstest.Chunk{
				FragmentNumber: fmt.Sprintf("%047d", fragments+1), ContinuationToken: fmt.Sprintf("%047d", fragments+1),
				ProducerTime: f.ProducerTime.Add(shift), ServerTime: f.ServerTime.Add(shift), Tracks: f.Tracks,
			}
			for _, k := range f.Blocks {
				c.Blocks = append(c.Blocks, kvstest.Block{Track: k.Track, Time: k.Time, Key: k.Key, Data: f.MKV[k.Offset : k.Offset+k.Size]})
			}
			out = kvstest.AppendChunk(out, c)
			fragments++
		}
	}
	path = filepath.Join(b.TempDir(), "long.mkv")
	if err := os.WriteFile(path, out, 0o600); err != nil {
		b.Fatal(err)
	}
	return path, fragments
}

// demoLength is how long the demo's recording is.
const demoLength = 14 * time.Second

// sameRecording names one recording as n streams.
func sameRecording(n int, path string) (args []string) {
	for i := range n {
		args = append(args, fmt.Sprintf("cam-%03d=%s", i, path))
	}
	return args
}

// watchMemory samples the resident memory of a process, in bytes, ten times a second
// until it ends.
func watchMemory(b *testing.B, cmd *exec.Cmd) <-chan []int64 {
	b.Helper()
	done := make(chan []int64, 1)
	go func() {
		var samples []int64
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		for range ticker.C {
			n := resident(cmd.Process.Pid)
			if n == 0 { // a process that has ended has none
				break
			}
			samples = append(samples, n)
		}
		done <- samples
	}()
	return done
}

// resident returns the resident memory of a process in bytes, 0 when there is none.
func resident(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	line, _, _ := strings.Cut(rest, " kB")
	kib, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}

func reportMemory(b *testing.B, samples []int64, cpu time.Duration) {
	b.Helper()
	if len(samples) < 20 {
		b.Fatalf("only %d samples of its memory", len(samples))
	}
	var peaks [2]int64
	for i, n := range samples {
		half := i * 2 / len(samples)
		peaks[half] = max(peaks[half], n)
	}
	b.ReportMetric(float64(max(peaks[0], peaks[1]))/(1<<20), "peak-MiB")
	b.ReportMetric(float64(peaks[1]-peaks[0])/(1<<20), "growth-MiB")
	b.ReportMetric(cpu.Seconds(), "cpu-s")
}
