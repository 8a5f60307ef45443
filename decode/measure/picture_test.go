package measure_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/kvsframes/kvsframes/decode/measure"
)

func TestDifference(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(10, 11))
	for n := range 200 {
		a := measure.Picture{W: n, H: 3, Pix: make([]byte, 3*n)}
		b := measure.Picture{W: n, H: 3, Pix: make([]byte, 3*n)}
		sum := 0.0
		for i := range a.Pix {
			a.Pix[i], b.Pix[i] = byte(random.IntN(256)), byte(random.IntN(256))
			sum += math.Abs(float64(a.Pix[i]) - float64(b.Pix[i]))
		}
		want := 0.0
		if n > 0 {
			want = sum * 100 / float64(3*n) / 256
		}
		if got := measure.Difference(a, b); math.Abs(got-want) > 1e-12 || measure.Difference(b, a) != got || measure.Difference(a, a) != 0 {
			t.Errorf("%d columns: %v, want %v", n, got, want)
		}
	}
	wide, high := measure.Picture{W: 2, H: 1, Pix: make([]byte, 2)}, measure.Picture{W: 1, H: 2, Pix: make([]byte, 2)}
	if got := measure.Difference(wide, high); got != 100 {
		t.Errorf("pictures of other sizes differ by %v, want 100", got)
	}
}

func TestScene(t *testing.T) {
	t.Parallel()
	for _, test := range [][3]float64{{30, 2, 28}, {30, 0, 30}, {2, 30, 2}, {10, 9, 1}, {0, 0, 0}, {100, 1, 99}} {
		if got := measure.Scene(test[0], test[1]); got != test[2] {
			t.Errorf("Scene(%v, %v) is %v, want %v", test[0], test[1], got, test[2])
		}
	}
}

func TestDistance(t *testing.T) {
	t.Parallel()
	if got := measure.Distance(0b1011, 1<<63|0b0010); got != 3 {
		t.Errorf("distance %d, want 3", got)
	}
}
