package kvsframes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kvsframes/kvsframes/decode"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// BenchmarkDelivery compares runs that write each frame of a recording to a folder with decoding and encoding alone, for 2 workers and
// for 16. It reports the median ratio of their times, and the images that a run writes in a second. KVSFRAMES_BENCH_CLIP names
// the recording; the default is the demo's.
func BenchmarkDelivery(b *testing.B) {
	clip := cmp.Or(os.Getenv("KVSFRAMES_BENCH_CLIP"), "testdata/demo.mkv")
	for _, workers := range []int{2, 16} {
		for name, sink := range map[string]string{
			"raw 224x224":    "type: raw, pixel_format: rgb24, resize: {width: 224, height: 224, fit: stretch}",
			"full-size JPEG": "type: image, quality: 80",
		} {
			b.Run(fmt.Sprintf("%s, %d workers", name, workers), func(b *testing.B) {
				var ratios, rates []float64
				for b.Loop() {
					folder := b.TempDir()
					p := benchPipeline(b, fmt.Sprintf("source: {type: file, paths: [%q]}\ndecode: {workers: %d}\nsinks: [{name: a, sample: {type: all}, %s, destination: {directory: %q}}]\n", clip, workers, sink, folder))
					begin := time.Now()
					sum, err := p.Run(b.Context(), RunOptions{})
					whole := time.Since(begin)
					if err != nil {
						b.Fatal(err)
					}
					begin = time.Now()
					images, err := decodeAndEncode(b.Context(), p, clip)
					if err != nil {
						b.Fatal(err)
					}
					alone := time.Since(begin)
					for _, stream := range sum.Streams {
						if stream.FramesWritten["a"] != images {
							b.Fatalf("%d images are written and %d encoded", stream.FramesWritten["a"], images)
						}
					}
					ratios, rates = append(ratios, float64(whole)/float64(alone)), append(rates, float64(images)/whole.Seconds())
					_ = os.RemoveAll(folder)
				}
				slices.Sort(ratios)
				slices.Sort(rates)
				b.ReportMetric(ratios[len(ratios)/2], "whole/alone")
				b.ReportMetric(rates[len(rates)/2], "images/s")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

func benchPipeline(b *testing.B, text string) *Pipeline {
	b.Helper()
	file := filepath.Join(b.TempDir(), "pipeline.yaml")
	if err := os.WriteFile(file, []byte("version: 1\n"+text), 0o600); err != nil {
		b.Fatal(err)
	}
	p, err := Load(b.Context(), LoadOptions{Path: file})
	if err != nil {
		b.Fatal(err)
	}
	return p
}

// decodeAndEncode makes the images of a recording and throws them away. It returns their number.
func decodeAndEncode(ctx context.Context, p *Pipeline, clip string) (images int, err error) {
	pool, err := decode.NewPool(p.Config.Decode, nil)
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	var outputs []decode.Output
	for _, s := range p.Config.Sinks {
		outputs = append(outputs, s.Output())
	}
	planner, err := pool.Stream(outputs)
	if err != nil {
		return 0, err
	}
	f, err := os.Open(clip)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	counts := make(chan int)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(pool.Workers() + 1)
	total := make(chan int)
	go func() {
		sum := 0
		for n := range counts {
			sum += n
		}
		total <- sum
	}()
	split := payload.NewSplitter(f, payload.Config{Stream: "bench"})
	for {
		fragment, err := split.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, err
		}
		work := planner.Plan(fragment)
		group.Go(func() error {
			n := 0
			_, err := work(ctx, func(media.Image) error { n++; return nil })
			counts <- n
			return err
		})
	}
	planner.End()
	err = group.Wait()
	close(counts)
	return <-total, err
}

// BenchmarkForms compares runs that write the images of a recording as tars and as tables with runs that write each as a file, all to a
// folder. It reports the median ratios of their times and of the processor's. Runs of the three forms alternate. KVSFRAMES_BENCH_CLIP names the
// recording; the default is the demo's.
func BenchmarkForms(b *testing.B) {
	clip := cmp.Or(os.Getenv("KVSFRAMES_BENCH_CLIP"), "testdata/demo.mkv")
	forms := []string{"image", "webdataset", "parquet"}
	for name, keys := range map[string]string{
		"a frame a second, 320-wide JPEG": "sample: {interval: 1s}, resize: {width: 320}",
		"every frame, full-size JPEG":     "sample: {type: all}",
	} {
		b.Run(name, func(b *testing.B) {
			wall, cpu := map[string][]float64{}, map[string][]float64{}
			for b.Loop() {
				var single, singleCPU time.Duration
				for _, form := range forms {
					folder := b.TempDir()
					// In one process, whose time is counted.
					p := benchPipeline(b, fmt.Sprintf("source: {type: file, paths: [%q]}\ndecode: {workers: 2, isolation: none}\nsinks: [{name: a, type: %s, %s, destination: {directory: %q}}]\n", clip, form, keys, folder))
					begin, used := time.Now(), processorTime(b)
					if _, err := p.Run(b.Context(), RunOptions{}); err != nil {
						b.Fatal(err)
					}
					whole, used := time.Since(begin), processorTime(b)-used
					if form == forms[0] {
						single, singleCPU = whole, used
					}
					wall[form] = append(wall[form], float64(whole)/float64(single))
					cpu[form] = append(cpu[form], float64(used)/float64(singleCPU))
					_ = os.RemoveAll(folder)
				}
			}
			for _, form := range forms[1:] {
				slices.Sort(wall[form])
				slices.Sort(cpu[form])
				b.ReportMetric(wall[form][len(wall[form])/2], form+"/single")
				b.ReportMetric(cpu[form][len(cpu[form])/2], form+"/single-cpu")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}
