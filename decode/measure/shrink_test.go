//go:build cgo

package measure_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/kvsframes/kvsframes/decode/measure"
	"github.com/kvsframes/kvsframes/internal/soaktest"
)

// plane returns a plane whose samples are those that level returns. Its rows have padding, and it begins at an odd address if it may.
func plane(w, h, depth int, full bool, level func(x, y int) int) measure.Plane {
	if depth == 8 {
		p := measure.Plane{Stride: w + 7, W: w, H: h, Depth: depth, Full: full}
		p.Data = bytes.Repeat([]byte{0xa5}, p.Stride*h+1)[1:][:p.Stride*(h-1)+w]
		for y := range h {
			row := p.Data[y*p.Stride:]
			for x := range w {
				row[x] = byte(level(x, y))
			}
		}
		return p
	}
	stride := w + 3
	samples := make([]uint16, stride*h)
	for i := range samples {
		samples[i] = 0xa5a5
	}
	for y := range h {
		for x := range w {
			samples[y*stride+x] = uint16(level(x, y))
		}
	}
	data := unsafe.Slice((*byte)(unsafe.Pointer(&samples[0])), 2*len(samples))
	return measure.Plane{Data: data[:2*(stride*(h-1)+w)], Stride: 2 * stride, W: w, H: h, Depth: depth, Full: full}
}

// exactly shrinks a plane as Shrink promises to.
func exactly(p measure.Plane) measure.Picture {
	w, h, factor := measure.Size(p.W, p.H)
	out := measure.Picture{W: w, H: h, Pix: make([]byte, w*h)}
	black, white := 16<<(p.Depth-8), 235<<(p.Depth-8)
	if p.Full {
		black, white = 0, 1<<p.Depth-1
	}
	for i := range out.Pix {
		sum, n := 0, 0
		top := i / w * factor
		bottom := min(top+factor, p.H)
		for y := top; y < bottom; y++ {
			if quarter := (bottom - top) / 4; quarter > 0 && y != top+quarter && y != bottom-1-quarter {
				continue
			}
			for x := i % w * factor; x < min((i%w+1)*factor, p.W); x++ {
				if n++; p.Depth == 8 {
					sum += int(p.Data[y*p.Stride+x])
				} else {
					sum += int(*(*uint16)(unsafe.Pointer(&p.Data[y*p.Stride+2*x])))
				}
			}
		}
		// 255 * (sum/n - black) / (white - black), and a half that rounds up.
		if num, den := 2*255*(sum-black*n)+(white-black)*n, 2*(white-black)*n; num > 0 {
			out.Pix[i] = byte(min(num/den, 255))
		}
	}
	return out
}

// sets are the sets of loops; of those that the processor lacks, the next best is used.
var sets = []int{measure.LoopsPlain, measure.LoopsAVX2, measure.LoopsAVX512}

// TestShrinkIsExact compares with integer arithmetic, with and without vector instructions.
func TestShrinkIsExact(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	defer measure.SetLoops(measure.LoopsAVX512)
	for _, size := range [][2]int{
		{1, 1},
		{1, 2},
		{2, 1},
		{15, 3},
		{319, 7},
		{320, 180},
		{321, 5},
		{5, 321},
		{352, 288},
		{639, 481},
		{640, 360},
		{641, 359},
		{720, 576},
		{961, 541},
		{1080, 1920},
		{1279, 720},
		{1366, 768},
		{1920, 1080},
		{2047, 33},
		{2048, 64},
		{2049, 31},
		{3840, 2160},
		{4097, 17},
		{2304, 1296},
		{7680, 400},
		{7679, 99},
		{7680, 1},
		{1, 7680},
		{3, 5120},
		{16383, 60},
		{40961, 130},
		{57920, 3},
		{2, 57920},
		{57600, 40},
	} {
		w, h := size[0], size[1]
		if soaktest.UnderRace && w*h > 1<<20 {
			continue
		}
		for _, depth := range []int{8, 9, 10, 12, 16} {
			most := 1<<depth - 1
			_, _, factor := measure.Size(w, h)
			for name, level := range map[string]func(x, y int) int{
				"random":            func(_, _ int) int { return random.IntN(most + 1) },
				"white":             func(_, _ int) int { return most },
				"black and beneath": func(x, _ int) int { return (16<<(depth-8) + 1 - x%3) },
				"halves":            func(x, y int) int { return most/3 + (x/factor+y/factor)%97 + (x+y)%2 },
				"smooth":            func(x, y int) int { return (x + y) * most / (w + h) },
			} {
				if w*h > 1<<17 && (name != "random" || depth == 9 || depth == 12) {
					continue
				}
				for _, full := range []bool{false, true} {
					p := plane(w, h, depth, full, level)
					want := exactly(p)
					for _, loops := range sets {
						measure.SetLoops(loops)
						got, err := measure.Shrink(nil, p)
						if err != nil {
							t.Fatalf("%dx%d: %v", w, h, err)
						}
						if err := same(got, want); err != nil {
							t.Fatalf("%dx%d of %d bits, full %t, %s, loops %d: %v", w, h, depth, full, name, loops, err)
						}
					}
				}
			}
		}
	}
}

func same(got, want measure.Picture) error {
	if got.W != want.W || got.H != want.H || len(got.Pix) != len(want.Pix) {
		return fmt.Errorf("%dx%d and %d pixels, want %dx%d", got.W, got.H, len(got.Pix), want.W, want.H)
	}
	for i := range want.Pix {
		if got.Pix[i] != want.Pix[i] {
			return fmt.Errorf("pixel %d, %d is %d, want %d", i%want.W, i/want.W, got.Pix[i], want.Pix[i])
		}
	}
	return nil
}

func TestSize(t *testing.T) {
	t.Parallel()
	for _, test := range [][5]int{
		{1, 1, 1, 1, 1},
		{320, 180, 320, 180, 1},
		{321, 180, 161, 90, 2},
		{1920, 1080, 320, 180, 6},
		{1080, 1920, 180, 320, 6},
		{3840, 2160, 320, 180, 12},
		{1280, 720, 320, 180, 4},
		{704, 576, 235, 192, 3},
		{2304, 1296, 288, 162, 8},
		{7680, 1, 320, 1, 24},
		{0, 5, 0, 0, 1},
		{5, -1, 0, 0, 1},
	} {
		if w, h, factor := measure.Size(test[0], test[1]); w != test[2] || h != test[3] || factor != test[4] {
			t.Errorf("%dx%d becomes %dx%d by %d, want %v", test[0], test[1], w, h, factor, test[2:])
		}
	}
}

// TestShrinkRefuses gives planes that are not what they say.
func TestShrinkRefuses(t *testing.T) {
	t.Parallel()
	good := measure.Plane{Data: make([]byte, 100*9+99), Stride: 100, W: 99, H: 10, Depth: 8}
	if _, err := measure.Shrink(nil, good); err != nil {
		t.Error(err)
	}
	for i, change := range []func(*measure.Plane){
		func(p *measure.Plane) { p.Data = p.Data[:len(p.Data)-1] },
		func(p *measure.Plane) { p.Data = nil },
		func(p *measure.Plane) { p.Stride = 98 },
		func(p *measure.Plane) { p.Stride = -100 },
		func(p *measure.Plane) { p.Stride = 0 },
		func(p *measure.Plane) { p.W = 0 },
		func(p *measure.Plane) { p.H = 0 },
		func(p *measure.Plane) { p.H = 11 },
		func(p *measure.Plane) { p.H = 1 << 62 },
		func(p *measure.Plane) { p.Depth = 7 },
		func(p *measure.Plane) { p.Depth = 10 },
		func(p *measure.Plane) { p.Depth, p.W, p.H, p.Stride = 10, 3, 3, 7 },
		func(p *measure.Plane) { p.Depth = 17 },
		func(p *measure.Plane) { p.W, p.H, p.Stride, p.Data = 57921, 1, 57921, make([]byte, 57921) },
	} {
		bad := good
		if change(&bad); true {
			if _, err := measure.Shrink(nil, bad); err == nil {
				t.Errorf("change %d is not refused", i)
			}
		}
	}
}

// FuzzMeasures tries planes of all shapes: Shrink is exact, and no number depends on vector instructions, is beyond its range, or panics.
func FuzzMeasures(f *testing.F) {
	f.Add(uint16(1920), uint16(4), uint8(8), false, []byte{1, 2, 3, 200, 17})
	f.Add(uint16(7), uint16(333), uint8(10), true, []byte{255, 0})
	f.Add(uint16(0), uint16(0), uint8(9), false, []byte{})
	f.Fuzz(func(t *testing.T, w, h uint16, depth uint8, full bool, samples []byte) {
		p := measure.Plane{W: int(w%8192) + 1, H: int(h), Depth: int(depth%9) + 8, Full: full}
		p.H = p.H%(1<<18/p.W+1) + 1
		random := rand.New(rand.NewPCG(uint64(len(samples)), uint64(w)))
		p = plane(p.W, p.H, p.Depth, p.Full, func(x, y int) int {
			v := random.IntN(3)
			if len(samples) > 0 {
				v += int(samples[(x/3+y/2*5)%len(samples)]) << (p.Depth - 8)
			}
			return min(v, 1<<p.Depth-1)
		})
		want := exactly(p)
		var all [3][5]float64
		for i, loops := range sets {
			measure.SetLoops(loops)
			got, err := measure.Shrink(nil, p)
			if err != nil {
				t.Fatal(err)
			}
			if err := same(got, want); err != nil {
				t.Fatalf("%dx%d of %d bits, loops %d: %v", p.W, p.H, p.Depth, loops, err)
			}
			all[i] = [5]float64{
				measure.Black(got, 40), measure.Blur(got), measure.Quality(got), float64(measure.Hash(got)),
				measure.Difference(got, measure.Picture{W: got.W, H: got.H, Pix: make([]byte, len(got.Pix))}),
			}
		}
		measure.SetLoops(measure.LoopsAVX512)
		if all[1] != all[0] || all[2] != all[0] {
			t.Errorf("%v without vector instructions, %v with AVX2, %v with AVX-512", all[0], all[1], all[2])
		}
		for i, most := range []float64{100, 100, 1442, 1 << 64, 100} {
			if v := all[0][i]; !(v >= 0 && v <= most) {
				t.Errorf("number %d is %v", i, v)
			}
		}
	})
}
