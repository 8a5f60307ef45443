package kvsframes

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"
)

// BenchmarkPixels compares the processor time of decoding every frame of a recording, and measuring it for samplers and filters, with that of decoding
// alone, for 2 workers and for 16. Few images are chosen: "all" measures the most that can be without encoding them. Runs alternate. It
// reports the ratio of the least times: other processes only add to a time. KVSFRAMES_BENCH_CLIP names the recording; the default is the demo's.
func BenchmarkPixels(b *testing.B) {
	clip := os.Getenv("KVSFRAMES_BENCH_CLIP")
	if clip == "" {
		clip = "testdata/demo.mkv"
	}
	const alone = "{name: keys, sample: {type: keyframes}, resize: {width: 320}, destination: {directory: %[1]q}}"
	for _, workers := range []int{2, 16} {
		for name, more := range map[string]string{
			"scene": "sample: {type: scene, threshold: 60}",
			"best":  "sample: {type: best, window: 1h}",
			"black": "sample: {type: all}, filters: {black: {amount: 0}}",
			"blur":  "sample: {type: all}, filters: {blur: {max: 0}}",
			"all":   "sample: {type: best, window: 1h}, filters: {black: {amount: 100}, blur: {max: 0}}",
		} {
			b.Run(fmt.Sprintf("%s, %d workers", name, workers), func(b *testing.B) {
				took := func(sinks string) time.Duration {
					folder := b.TempDir()
					p := benchPipeline(b, fmt.Sprintf("source: {type: file, paths: [%[2]q]}\ndecode: {workers: %[3]d, isolation: none, skip_frame: none}\nsinks: ["+sinks+"]\n", folder, clip, workers))
					began := processorTime(b)
					if _, err := p.Run(b.Context(), RunOptions{}); err != nil {
						b.Fatal(err)
					}
					return processorTime(b) - began
				}
				base, measured := time.Hour, time.Hour
				for b.Loop() {
					base = min(base, took(alone))
					measured = min(measured, took(alone+", {name: more, path: \"more/{fragment_number}_{frame_index}.{ext}\", resize: {width: 320}, "+more+", destination: {directory: %[1]q}}"))
				}
				b.ReportMetric(float64(measured)/float64(base), "measured/alone")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// processorTime returns the processor time that this process has used.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
