//go:build cgo

package measure_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/decode/measure"
)

// BenchmarkShrink reads planes that are no longer in the processor's caches, as after a decoder. user-us is processor time per picture.
func BenchmarkShrink(b *testing.B) {
	for _, test := range []struct{ w, h, depth int }{{1280, 720, 8}, {1920, 1080, 8}, {3840, 2160, 8}, {1920, 1080, 10}, {3840, 2160, 10}} {
		b.Run(fmt.Sprintf("%dx%d of %d bits", test.w, test.h, test.depth), func(b *testing.B) {
			planes := make([]measure.Plane, 1<<28/(test.w*test.h))
			for i := range planes {
				planes[i] = plane(test.w, test.h, test.depth, false, func(x, y int) int { return 16 + (x^y+i)&0x7f })
			}
			buf := make([]byte, 320*320)
			i, start := 0, userTime(b)
			for b.Loop() {
				if _, err := measure.Shrink(buf, planes[i%len(planes)]); err != nil {
					b.Fatal(err)
				}
				i++
			}
			report(b, start)
		})
	}
}

// BenchmarkMeasures measures the pictures of some videos. user-us is processor time per picture.
func BenchmarkMeasures(b *testing.B) {
	for _, v := range videos(b) {
		if v.name != "people" && v.name != "building site" && v.name != "the demo's camera" {
			continue
		}
		pictures := shrunk(b, v.luma(b, 60))
		for name, f := range map[string]func(i int){
			"black":      func(i int) { measure.Black(pictures[i], threshold) },
			"blur":       func(i int) { measure.Blur(pictures[i]) },
			"difference": func(i int) { measure.Difference(pictures[i], pictures[i/2]) },
			"hash":       func(i int) { measure.Hash(pictures[i]) },
			"quality":    func(i int) { measure.Quality(pictures[i]) },
		} {
			b.Run(v.name+" "+name, func(b *testing.B) {
				i, start := 0, userTime(b)
				for b.Loop() {
					f(i % len(pictures))
					i++
				}
				report(b, start)
			})
		}
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

// report gives the processor time since start, of each round.
func report(b *testing.B, start time.Duration) {
	b.ReportMetric(float64((userTime(b)-start).Nanoseconds())/1000/float64(b.N), "user-us")
}
