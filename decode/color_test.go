package decode

import (
	"testing"
)

// TestConversionAgreesWithTheDefinition turns RGB colours into YCbCr of one kind,
// converts, and compares with YCbCr of the other kind.
func TestConversionAgreesWithTheDefinition(t *testing.T) {
	kinds := []colorimetry{{MatrixBT601, false}, {MatrixBT601, true}, {MatrixBT709, false}, {MatrixBT709, true}, {MatrixBT2020, false}, {matrix240M, false}, {matrixFCC, false}, {matrixYCgCo, false}, {matrixYCgCo, true}}
	for _, from := range kinds {
		for _, to := range kinds {
			if to.matrix == matrixYCgCo && from.matrix != matrixYCgCo { // no image is in its terms
				continue
			}
			m := conversion(from, to)
			for c := 0; c < 1<<24; c += 0x0b0d0f {
				rgb := RGB{uint8(c >> 16), uint8(c >> 8), uint8(c)}
				in, want := from.ycc(rgb), to.ycc(rgb)
				got := m.apply(in)
				for i := range got {
					// Rounded twice, once at each end, and spread by the gain.
					if d := int(got[i]) - int(want[i]); d < -2 || d > 2 {
						t.Fatalf("%v to %v: %v gives %v, want %v", from, to, rgb, got, want)
					}
				}
			}
		}
	}
}

// apply computes what color.c computes, in the same steps.
func (m yuvMatrix) apply(ycc [3]uint8) [3]uint8 {
	high := func(a, b int) int { return a * b >> 16 }
	level := func(v int) uint8 { return uint8(min(max(v>>levelBits+128, 0), 255)) }
	y, u, v := int(ycc[0])*128, (int(ycc[1])-128)*256, (int(ycc[2])-128)*256
	sum := func(fromU, fromV int16) int { return high(u, int(fromU)) + high(v, int(fromV)) }
	return [3]uint8{
		level(high(y, int(m.yGain)) + sum(m.yFromU, m.yFromV) + int(m.yBase)),
		level(sum(m.uFromU, m.uFromV) + 32),
		level(sum(m.vFromU, m.vFromV) + 32),
	}
}
