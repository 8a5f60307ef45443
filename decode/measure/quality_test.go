//go:build cgo

package measure_test

import (
	"math/rand/v2"
	"testing"

	"github.com/kvsframes/kvsframes/decode/measure"
)

// TestQualityPrefers spoils pictures of each video: every way makes them worse, and more of it worse still.
func TestQualityPrefers(t *testing.T) {
	t.Parallel()
	for _, v := range videos(t) {
		switch v.name {
		case "moving", "the demo's camera", "street", "people", "stage with cuts":
		default:
			continue
		}
		planes := v.luma(t, 4)
		random := rand.New(rand.NewPCG(8, 9))
		good := planes[3]
		pixel := func(f func(v, x, y int) float64) measure.Plane {
			return plane(good.W, good.H, 8, false, func(x, y int) int {
				return int(min(max(f(int(good.Data[y*good.Stride+x]), x, y)+0.5, 16), 235))
			})
		}
		blurred := func(radius int) measure.Plane {
			return pixel(func(_, x, y int) float64 {
				sum, n := 0, 0
				for j := max(y-radius, 0); j <= min(y+radius, good.H-1); j++ {
					for i := max(x-radius, 0); i <= min(x+radius, good.W-1); i++ {
						sum += int(good.Data[j*good.Stride+i])
						n++
					}
				}
				return float64(sum) / float64(n)
			})
		}
		step := (v.w + 319) / 320
		for name, worse := range map[string][]measure.Plane{
			"blurred":     {blurred(step), blurred(3 * step)},
			"fade":        {pixel(func(v, _, _ int) float64 { return 16 + float64(v-16)*0.7 }), pixel(func(v, _, _ int) float64 { return 16 + float64(v-16)*0.2 })},
			"white":       {pixel(func(v, _, _ int) float64 { return 235 - float64(235-v)*0.6 }), pixel(func(v, _, _ int) float64 { return 235 - float64(235-v)*0.1 })},
			"overexposed": {pixel(func(v, _, _ int) float64 { return 16 + float64(v-16)*6 }), pixel(func(v, _, _ int) float64 { return 16 + float64(v-16)*12 })},
			"transition": {pixel(func(v, x, y int) float64 {
				return float64(v)*0.6 + 0.4*float64(good.Data[(good.H-1-y)*good.Stride+good.W-1-x])
			})},
			"black with noise": {pixel(func(_, _, _ int) float64 { return 16 + 3*random.NormFloat64() })},
		} {
			last := quality(t, good)
			for i, p := range worse {
				if q := quality(t, p); q >= last {
					t.Errorf("%s, %s: quality %.2f at level %d, %.2f before", v.name, name, q, i+1, last)
				} else {
					last = q
				}
			}
		}
	}
}

func quality(t *testing.T, p measure.Plane) float64 {
	t.Helper()
	return measure.Quality(shrunk(t, []measure.Plane{p})[0])
}
