//go:build cgo

package decode

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/asticode/go-astiav"
	"github.com/kvsframes/kvsframes/decode/plan"
)

// drawn returns a picture whose samples are those of value, by plane.
func drawn(t testing.TB, w, h int, format astiav.PixelFormat, value func(plane, x, y int) uint16) frame {
	t.Helper()
	f, err := newPicture(w, h, format)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.free)
	said := f.facts()
	for i, p := range planesOf(f, int(said.planes)) {
		for y := range int(p.h) {
			for x := range int(p.w) {
				if said.depth > 8 {
					*(*uint16)(unsafe.Pointer(part(p, x, y, 1, 1, 2).data)) = value(i, x, y)
				} else {
					*(*uint8)(unsafe.Pointer(part(p, x, y, 1, 1, 1).data)) = uint8(value(i, x, y))
				}
			}
		}
	}
	return f
}

func noise(t testing.TB, w, h int, format astiav.PixelFormat, depth int) (f frame, value func(plane, x, y int) uint16) {
	t.Helper()
	random := rand.New(rand.NewPCG(uint64(w), uint64(h)))
	samples := make([]uint16, 3*w*h)
	for i := range samples {
		samples[i] = uint16(random.IntN(1 << depth))
	}
	value = func(plane, x, y int) uint16 { return samples[(plane*h+y)*w+x] }
	return drawn(t, w, h, format, value), value
}

func newTestRenderer(t testing.TB) *renderer {
	t.Helper()
	r := newRenderer(DefaultConfig())
	t.Cleanup(r.free)
	return r
}

// rendered returns the bytes of a frame as o asks for them.
func rendered(t testing.TB, r *renderer, f frame, o Output) (data []byte, w, h int) {
	t.Helper()
	out, err := r.render(f, o)
	if err != nil {
		t.Fatal(err)
	}
	data, err = raw(out)
	if err != nil {
		t.Fatal(err)
	}
	return data, out.w, out.h
}

// average is the mean of a plane of w x h samples over the window of target sample x, y, where step of
// dw x dh target pixels are a sample. It is computed as it is defined.
func average(value func(x, y int) uint16, w, h, dw, dh, step, x, y int, subsampled float64) float64 {
	cover := func(samples, size, dst, at int) (from, to float64) {
		unit := float64(size) / subsampled / float64(dst)
		return float64(at*step) * unit, math.Min(float64(min((at+1)*step, dst))*unit, float64(samples))
	}
	size := func(n int) int { return int(math.Ceil(float64(n) / subsampled)) }
	x0, x1 := cover(size(w), w, dw, x)
	y0, y1 := cover(size(h), h, dh, y)
	sum, area := 0.0, 0.0
	for j := int(y0); float64(j) < y1-1e-9; j++ {
		for i := int(x0); float64(i) < x1-1e-9; i++ {
			a := (math.Min(x1, float64(i+1)) - math.Max(x0, float64(i))) * (math.Min(y1, float64(j+1)) - math.Max(y0, float64(j)))
			sum, area = sum+a*float64(value(i, j)), area+a
		}
	}
	return sum / area
}

// TestShrinkingIsTheAverageOfTheArea compares all samples of shrunk noise, which is the
// hardest there is, with averages in double precision.
func TestShrinkingIsTheAverageOfTheArea(t *testing.T) {
	sizes := [][4]int{
		{1920, 1080, 224, 224},
		{1920, 1080, 320, 180},
		{640, 360, 639, 359},
		{161, 91, 33, 17},
		{333, 777, 100, 100},
		{640, 480, 10, 8},
		{1279, 719, 641, 401},
		{97, 64, 97, 13},
		{64, 97, 13, 97},
		{3, 3, 1, 1},
		{17, 2048, 16, 33},
	}
	for format, depth := range map[astiav.PixelFormat]int{
		astiav.PixelFormatYuv420P: 8, astiav.PixelFormatYuv422P: 8, astiav.PixelFormatYuv420P10Le: 10, astiav.PixelFormatYuv444P12Le: 12,
	} {
		for _, s := range sizes {
			t.Run(fmt.Sprintf("%s %dx%d to %dx%d", format, s[0], s[1], s[2], s[3]), func(t *testing.T) {
				w, h, dw, dh := s[0], s[1], s[2], s[3]
				f, value := noise(t, w, h, format, depth)
				got, gw, gh := rendered(t, newTestRenderer(t), f, rawOf(PixelYUV420P, Resize{Width: dw, Height: dh, Fit: FitStretch}))
				if gw != dw || gh != dh {
					t.Fatalf("size %dx%d", gw, gh)
				}
				worst, square := 0.0, 0.0
				check := func(got byte, want float64) {
					d := math.Abs(float64(got) - want/float64(int(1)<<(depth-8)))
					worst, square = math.Max(worst, d), square+d*d
				}
				for i := range dw * dh {
					check(got[i], average(func(x, y int) uint16 { return value(0, x, y) }, w, h, dw, dh, 1, i%dw, i/dw, 1))
				}
				if format == astiav.PixelFormatYuv420P || format == astiav.PixelFormatYuv420P10Le {
					cw, ch := (dw+1)/2, (dh+1)/2
					for i := range 2 * cw * ch {
						p, k := 1+i/(cw*ch), i%(cw*ch)
						check(got[dw*dh+i], average(func(x, y int) uint16 { return value(p, x, y) }, w, h, dw, dh, 2, k%cw, k/cw, 2))
					}
				}
				// Half a level is rounding.
				if rms := math.Sqrt(square / float64(len(got))); worst > 1 || rms > 0.4 {
					t.Errorf("off by %.3f levels at most, %.3f in the root mean square", worst, rms)
				}
			})
		}
	}
}

func TestFlatPicturesStayAsTheyAre(t *testing.T) {
	r := newTestRenderer(t)
	random := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		w, h := 2+random.IntN(500), 2+random.IntN(500)
		resize := Resize{Width: 1 + random.IntN(w), Height: 1 + random.IntN(h), Fit: FitStretch}
		for format, depth := range map[astiav.PixelFormat]int{astiav.PixelFormatYuv420P: 8, astiav.PixelFormatYuv420P10Le: 10} {
			level := uint16(random.IntN(256))
			f := drawn(t, w, h, format, func(int, int, int) uint16 { return level << (depth - 8) })
			got, _, _ := rendered(t, r, f, rawOf(PixelYUV420P, resize))
			if n := bytes.Count(got, []byte{byte(level)}); n != len(got) {
				t.Fatalf("%dx%d to %dx%d: %d of %d samples are not %d", w, h, resize.Width, resize.Height, len(got)-n, len(got), level)
			}
		}
	}
}

// TestAllProcessorsGiveTheSamePixels compares the loops for this processor with those for any.
func TestAllProcessorsGiveTheSamePixels(t *testing.T) {
	t.Cleanup(func() { setPlainLoops(false) })
	for _, c := range []struct {
		format astiav.PixelFormat
		depth  int
	}{{astiav.PixelFormatYuv420P, 8}, {astiav.PixelFormatYuv420P10Le, 10}, {astiav.PixelFormatGray8, 8}} {
		f, _ := noise(t, 333, 211, c.format, c.depth)
		for _, o := range []Output{
			jpegOf(plan.Sample{}, Resize{}), jpegOf(plan.Sample{}, Resize{Width: 101}),
			rawOf(PixelRGB24, Resize{}), rawOf(PixelRGB24, Resize{Width: 50}), rawOf(PixelBGR24, Resize{Width: 200}),
			rawOf(PixelGray, Resize{}), rawOf(PixelNV12, Resize{}), rawOf(PixelYUV420P, Resize{Width: 7}),
		} {
			for _, space := range []astiav.ColorSpace{astiav.ColorSpaceBt709, astiav.ColorSpaceSmpte170M} {
				f.SetColorSpace(space)
				setPlainLoops(false)
				fast, _, _ := rendered(t, newTestRenderer(t), f, o)
				setPlainLoops(true)
				plain, _, _ := rendered(t, newTestRenderer(t), f, o)
				if !bytes.Equal(fast, plain) {
					t.Errorf("%s to %s %s %+v differs", c.format, o.Format, o.PixelFormat, o.Resize)
				}
			}
		}
	}
}

func TestTheWhitestSamplesOfMoreBitsStayWhite(t *testing.T) {
	for format, most := range map[astiav.PixelFormat]uint16{
		astiav.PixelFormatYuv420P: 255, astiav.PixelFormatYuv420P10Le: 1023, astiav.PixelFormatYuv420P12Le: 4095,
	} {
		f := drawn(t, 64, 64, format, func(int, int, int) uint16 { return most })
		for _, side := range []int{64, 63, 32, 10} {
			data, _, _ := rendered(t, newTestRenderer(t), f, rawOf(PixelYUV420P, Resize{Width: side, Height: side}))
			for i, v := range data {
				if v != 255 {
					t.Fatalf("%s at %d pixels: byte %d is %d", format, side, i, v)
				}
			}
		}
	}
}

// TestAPictureOfTwiceTheSizeIsNotShifted enlarges pictures that are their own mirror images.
func TestAPictureOfTwiceTheSizeIsNotShifted(t *testing.T) {
	const w, h = 40, 20
	mirrored := func(plane, x, y int) uint16 { return uint16(40*plane + 8*min(x, w-1-x)) }
	for format, o := range map[astiav.PixelFormat]Output{
		astiav.PixelFormatYuv420P: rawOf(PixelGray, Resize{Width: 2 * w, Upscale: true}),
		astiav.PixelFormatYuv444P: rawOf(PixelRGB24, Resize{Width: 2 * w, Upscale: true}),
	} {
		data, dw, dh := rendered(t, newTestRenderer(t), drawn(t, w, h, format, mirrored), o)
		size := len(data) / (dw * dh)
		worst := 0
		for i := range data {
			x, rest := i/size%dw, i-i/size%dw*size
			d := int(data[i]) - int(data[rest+(dw-1-x)*size])
			worst = max(worst, d, -d)
		}
		if worst > 2 {
			t.Errorf("%s: pixels and their mirror images differ by up to %d levels", format, worst)
		}
	}
}

func TestAnImageThatNoJPEGHoldsIsRefused(t *testing.T) {
	f := drawn(t, 512, 2, astiav.PixelFormatYuv420P, func(int, int, int) uint16 { return 128 })
	for _, fit := range []Fit{FitContain, FitCover, FitPad, FitStretch} {
		o := jpegOf(plan.Sample{}, Resize{Height: 300, Upscale: true, Fit: fit})
		if out, err := newTestRenderer(t).render(f, o); err == nil {
			t.Errorf("%s: an image of %dx%d was made", fit, out.w, out.h)
		}
	}
}
