//go:build cgo

package measure_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/kvsframes/kvsframes/decode/measure"
	"github.com/kvsframes/kvsframes/internal/soaktest"
)

// TestHashTellsPeopleFromNoise adds noise to scenes of a camera that does not move: those are near each other, within the 4 bits that are the default of
// the filter. With a person of a third of the picture's height they are not, in at least half of the places.
func TestHashTellsPeopleFromNoise(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(12, 13))
	scenes := map[string]measure.Plane{
		"wall":  plane(1280, 720, 8, false, func(_, _ int) int { return 140 }),
		"night": plane(1280, 720, 8, false, func(x, _ int) int { return int(22 + 2*math.Sin(float64(x)/300)) }),
	}
	for _, v := range videos(t) {
		if v.name == "street" || v.name == "building site" && !soaktest.UnderRace {
			scenes[v.name] = v.luma(t, 4)[3]
		}
	}
	// taken is what the camera sees, with noise of 5 levels, and with somebody at x, y, if h is not 0.
	taken := func(scene measure.Plane, x0, y0, h float64, level float64) uint64 {
		p := plane(scene.W, scene.H, 8, false, func(x, y int) int {
			v := float64(scene.Data[y*scene.Stride+x])
			if dx, dy := (float64(x)-x0)/(h*0.175), (float64(y)-y0)/(h*0.5); h > 0 && dx*dx+dy*dy < 1 {
				v = 0.3*v + 0.7*level
			}
			return int(min(max(v+5*random.NormFloat64()+0.5, 0), 255))
		})
		return measure.Hash(shrunk(t, []measure.Plane{p})[0])
	}
	const tries = 20
	for name, scene := range scenes {
		w, h := float64(scene.W), float64(scene.H)
		empty, farthest, seen := taken(scene, 0, 0, 0, 0), 0, 0
		for range tries {
			farthest = max(farthest, measure.Distance(empty, taken(scene, 0, 0, 0, 0)))
			if measure.Distance(empty, taken(scene, random.Float64()*w, (0.3+0.4*random.Float64())*h, h/3, 200)) > 4 {
				seen++
			}
		}
		t.Logf("%s: noise changes %d bits at most, and a person more than 4 in %d of %d places", name, farthest, seen, tries)
		if farthest > 2 {
			t.Errorf("%s: noise changes %d bits", name, farthest)
		}
		if seen < tries/2 {
			t.Errorf("%s: a person is seen in %d of %d places", name, seen, tries)
		}
	}
}

// TestHashIsStated pins the hash: checkpoints hold it.
func TestHashIsStated(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		level func(x, y, i int) float64
		want  uint64
	}{
		"black":                   {func(_, _, _ int) float64 { return 0 }, 0},
		"white":                   {func(_, _, _ int) float64 { return 255 }, 0},
		"half a wave along rows":  {func(x, _, _ int) float64 { return 128 + 100*math.Cos(math.Pi*(float64(x)+0.5)/320) }, 1 << 1},
		"two waves along columns": {func(_, y, _ int) float64 { return 128 + 100*math.Cos(4*math.Pi*(float64(y)+0.5)/160) }, 1 << (8 * 4)},
		"less than a quarter":     {func(x, _, _ int) float64 { return float64(128 + (320-x)/300) }, 0},
		"negative":                {func(x, _, _ int) float64 { return 128 - 100*math.Cos(math.Pi*(float64(x)+0.5)/320) }, 0},
	} {
		if got := measure.Hash(drawn(320, 160, 1, test.level)[0]); got != test.want {
			t.Errorf("%s: %#x, want %#x", name, got, test.want)
		}
	}
}
