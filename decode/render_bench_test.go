//go:build cgo

package decode

import (
	"math"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/asticode/go-astiav"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
)

// BenchmarkRender renders one picture of 1080p again and again, in the ways that are asked for
// most. user-ms is processor time per picture.
func BenchmarkRender(b *testing.B) {
	f, _ := noise(b, 1920, 1080, astiav.PixelFormatYuv420P, 8)
	f.SetColorSpace(astiav.ColorSpaceBt709)
	deep, _ := noise(b, 1920, 1080, astiav.PixelFormatYuv420P10Le, 10)
	for name, c := range map[string]struct {
		from frame
		to   Output
	}{
		"JPEG planes 320x180":         {f, jpegOf(plan.Sample{}, Resize{Width: 320})},
		"JPEG planes 1920x1080":       {f, jpegOf(plan.Sample{}, Resize{})},
		"RGB 224x224":                 {f, rawOf(PixelRGB24, Resize{Width: 224, Height: 224, Fit: FitStretch})},
		"RGB 1920x1080":               {f, rawOf(PixelRGB24, Resize{})},
		"RGB 1280x720":                {f, rawOf(PixelRGB24, Resize{Width: 1280})},
		"gray 1920x1080":              {f, rawOf(PixelGray, Resize{})},
		"RGB 224x224 of 10 bit":       {deep, rawOf(PixelRGB24, Resize{Width: 224, Height: 224, Fit: FitStretch})},
		"JPEG planes 320x180, 10 bit": {deep, jpegOf(plan.Sample{}, Resize{Width: 320})},
	} {
		b.Run(name, func(b *testing.B) {
			r := newTestRenderer(b)
			start := userTime(b)
			for b.Loop() {
				if _, err := r.render(c.from, c.to); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((userTime(b)-start).Microseconds())/1000/float64(b.N), "user-ms")
		})
	}
}

// BenchmarkCold is BenchmarkRender for pictures that are no longer in the processor's caches, as
// after a decoder.
func BenchmarkCold(b *testing.B) {
	var frames [64]frame
	for i := range frames {
		frames[i] = drawn(b, 1920, 1080, astiav.PixelFormatYuv420P, func(_, x, y int) uint16 { return uint16(x ^ y) })
	}
	s, err := newScaler(scalerKey{1920, 1080, astiav.PixelFormatYuv420P, 224, 224, astiav.PixelFormatRgb24})
	if err != nil {
		b.Fatal(err)
	}
	defer s.free()
	out, err := newPicture(224, 224, astiav.PixelFormatRgb24)
	if err != nil {
		b.Fatal(err)
	}
	defer out.free()
	r, o := newTestRenderer(b), rawOf(PixelRGB24, Resize{Width: 224, Height: 224, Fit: FitStretch})
	for name, draw := range map[string]func(frame) error{
		"ours":       func(f frame) error { _, err := r.render(f, o); return err },
		"libswscale": func(f frame) error { return s.frame(out, f) },
	} {
		b.Run(name, func(b *testing.B) {
			i, start := 0, userTime(b)
			for b.Loop() {
				if err := draw(frames[i%len(frames)]); err != nil {
					b.Fatal(err)
				}
				i++
			}
			b.ReportMetric(float64((userTime(b)-start).Microseconds())/1000/float64(b.N), "user-ms")
		})
	}
}

// BenchmarkScaler is what libswscale takes for the same as two of BenchmarkRender.
func BenchmarkScaler(b *testing.B) {
	f, _ := noise(b, 1920, 1080, astiav.PixelFormatYuv420P, 8)
	for _, k := range []scalerKey{
		{1920, 1080, astiav.PixelFormatYuv420P, 320, 180, astiav.PixelFormatYuv420P},
		{1920, 1080, astiav.PixelFormatYuv420P, 224, 224, astiav.PixelFormatRgb24},
	} {
		b.Run(k.df.String(), func(b *testing.B) {
			s, err := newScaler(k)
			if err != nil {
				b.Fatal(err)
			}
			defer s.free()
			out, err := newPicture(k.dw, k.dh, k.df)
			if err != nil {
				b.Fatal(err)
			}
			defer out.free()
			start := userTime(b)
			for b.Loop() {
				if err := s.frame(out, f); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((userTime(b)-start).Microseconds())/1000/float64(b.N), "user-ms")
		})
	}
}

// BenchmarkPipeline decodes and renders all frames of the clip that KVSTEST_CLIP names. user-ms is
// processor time per frame, decoding included.
func BenchmarkPipeline(b *testing.B) {
	clip := os.Getenv("KVSTEST_CLIP")
	if clip == "" {
		b.Skip("KVSTEST_CLIP names no clip")
	}
	frags := fragments(b, clip)
	for name, o := range map[string]Output{
		"JPEG 320":    jpegOf(plan.Sample{Rule: plan.All{}}, Resize{Width: 320}),
		"RGB 224x224": rawOf(PixelRGB24, Resize{Width: 224, Height: 224, Fit: FitStretch}),
		"gray 2x2":    rawOf(PixelGray, Resize{Width: 30, Height: 17, Fit: FitStretch}),
	} {
		b.Run(name, func(b *testing.B) {
			p := newTestPool(b, nil)
			frames, start := 0, userTime(b)
			for b.Loop() {
				images, _ := decodeAll(b, stream(b, p, o), frags)
				for _, i := range images {
					frames += len(i)
				}
			}
			b.ReportMetric(float64((userTime(b)-start).Microseconds())/1000/float64(frames), "user-ms")
		})
	}
}

// BenchmarkFast renders thumbnails of the clip that KVSTEST_CLIP names with and without the loop filter:
// user-ms is processor time per thumbnail of each, mean-dB and worst-dB how near they are.
func BenchmarkFast(b *testing.B) {
	clip := os.Getenv("KVSTEST_CLIP")
	if clip == "" {
		b.Skip("KVSTEST_CLIP names no clip")
	}
	frags := fragments(b, clip)
	for name, sample := range map[string]plan.Sample{
		"key frames":   {Rule: plan.Keyframes{}, Clock: media.ClockProducer},
		"one a second": {Rule: plan.Interval{Every: time.Second}, Clock: media.ClockProducer},
	} {
		b.Run(name, func(b *testing.B) {
			whole := rawOf(PixelRGB24, Resize{Width: 320})
			whole.Sample = sample
			fast := whole
			fast.Fast = true
			p := newTestPool(b, nil)
			var spent [2]time.Duration
			var sum float64
			frames, worst := 0, math.Inf(1)
			for b.Loop() {
				var images [2][][]media.Image
				for i, o := range []Output{whole, fast} {
					start := userTime(b)
					images[i], _ = decodeAll(b, stream(b, p, o), frags)
					spent[i] += userTime(b) - start
				}
				for i, some := range images[0] {
					for k, img := range some {
						db := min(psnr(img.Data, images[1][i][k].Data), 99)
						sum, worst, frames = sum+db, min(worst, db), frames+1
					}
				}
			}
			b.ReportMetric(sum/float64(frames), "mean-dB")
			b.ReportMetric(worst, "worst-dB")
			b.ReportMetric(float64(spent[0].Microseconds())/1000/float64(frames), "whole-user-ms")
			b.ReportMetric(float64(spent[1].Microseconds())/1000/float64(frames), "fast-user-ms")
		})
	}
}

func userTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano())
}
