//go:build !cgo

package measure

// absolute returns the sum of absolute differences of two pictures of one size.
func absolute(a, b Picture) (sum uint64) {
	for i, v := range a.Pix {
		sum += uint64(max(v, b.Pix[i]) - min(v, b.Pix[i]))
	}
	return sum
}
