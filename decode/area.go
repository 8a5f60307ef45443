package decode

// axis is the scaling of a plane in one direction. The window of the given size that begins
// at off, both in 1/unit of a sample, becomes dst pixels. One sample of the target covers
// step pixels (two for the chroma of 4:2:0). The plane has samples samples.
type axis struct {
	off, size, unit int
	dst, step       int
	samples         int
}

// Limits of the area scaler.
const (
	// coarsest is the largest number of samples that are averaged to one. With more,
	// the 16-bit sums are not precise enough.
	coarsest = 64
	// byteSum and wordSum are the largest sums of row weights, for samples of one byte
	// and for longer ones.
	byteSum, wordSum = 257, 1024
)

// count returns the number of samples of the target.
func (a axis) count() int { return (a.dst + a.step - 1) / a.step }

// same reports whether samples are copied unchanged, from sample off/unit on.
func (a axis) same() bool { return a.step*a.size == a.dst*a.unit && a.off%a.unit == 0 }

// doubles reports whether each sample becomes two, from sample off/unit on.
func (a axis) doubles() bool {
	return a.step == 1 && 2*a.size == a.dst*a.unit && a.off%a.unit == 0
}

// shrinks reports whether the area scaler supports the axis.
func (a axis) shrinks() bool {
	return a.step*a.size >= a.dst*a.unit && a.step*a.size <= coarsest*a.dst*a.unit
}

// field returns the axis over the lines of one field: the top one or, if second, the bottom one.
func (a axis) field(second bool) axis {
	// The middle of line i is at 2i+1/2 lines of the frame in the top field, and at 2i+3/2 in
	// the bottom field: a quarter of a field's line before and after i+1/2.
	shift := a.unit
	if second {
		shift = -shift
		a.samples--
	}
	a.samples = (a.samples + 1) / 2
	a.off, a.size, a.unit = 2*a.off+shift, 2*a.size, 4*a.unit
	return a
}

// shifted returns the axis with its window moved by num/4 of a sample.
func (a axis) shifted(num int) axis {
	a.off, a.size, a.unit = 4*a.off+num*a.unit, 4*a.size, 4*a.unit
	return a
}

// reduced returns the same axis in the largest possible units.
func (a axis) reduced() axis {
	if d := gcd(gcd(a.off, a.size), a.unit); d > 1 {
		a.off, a.size, a.unit = a.off/d, a.size/d, a.unit/d
	}
	return a
}

// at returns where target sample j begins, in 1/(unit*dst) of a sample.
func (a axis) at(j int) int {
	return min(max(a.off*a.dst+min(j*a.step, a.dst)*a.size, 0), a.samples*a.unit*a.dst)
}

// covers returns the range of samples that the window touches, without end.
func (a axis) covers() (first, end int) {
	den := a.unit * a.dst
	first = min(a.at(0)/den, a.samples-1)
	return first, max(first+1, (a.at(a.count())+den-1)/den)
}

// span is a weighted sum of count rows, from first on, that makes one row of the target. The
// first row has the weight head, the last of several tail, all others inner. norms turns the
// sum into an average. The layout is that of kvsf_span.
type span struct {
	first, count             int32
	head, inner, tail, norms uint32
}

// spans returns the span of each target row, whose weights sum up to most or less.
// norm returns span.norms for a sum of weights.
func (a axis) spans(most int, norm func(sum int) uint32) []span {
	den := a.unit * a.dst
	// Weights are in 1/k of a row: the largest k that the sum allows, less one for rounding at
	// both ends, and if possible a multiple of the smallest k that is exact.
	exact := den / gcd(gcd(den, a.off*a.dst), gcd(a.step*a.size, a.dst*a.size))
	k := max(1, (most-1)*den/(a.step*a.size))
	if exact*a.step*a.size <= most*den {
		k = exact * max(1, k/exact)
	}
	spans := make([]span, a.count())
	edge := func(j int) int { return (2*k*a.at(j) + den) / (2 * den) }
	for j := range spans {
		from, to := edge(j), edge(j+1)
		from = min(from, k*a.samples-1)
		to = max(to, from+1)
		first, last := from/k, (to-1)/k
		s := span{first: int32(first), count: int32(last - first + 1), inner: uint32(k), norms: norm(to - from)}
		if s.head = uint32(to - from); first != last {
			s.head, s.tail = uint32((first+1)*k-from), uint32(to-last*k)
		}
		spans[j] = s
	}
	return spans
}

// columns holds the weighted sums of columns that make each column of the target: of taps columns from
// its start on (relative to the first that the window covers), with weights that sum up to weightSum.
// For vector instructions, taps is a multiple of 8, and target columns without weight are appended.
type columns struct {
	starts  []int32
	weights []int16
	taps    int
}

const weightSum = 1 << 14

func (a axis) columns() columns {
	den := a.unit * a.dst
	origin, end := a.covers()
	n := a.count()
	c := columns{taps: 8}
	begin := func(j int) int { return min(a.at(j)/den, end-1) }
	for j := range n {
		c.taps = max(c.taps, ((a.at(j+1)+den-1)/den-begin(j)+7)&^7)
	}
	padded := (n + 3) &^ 3
	c.starts, c.weights = make([]int32, padded), make([]int16, padded*c.taps)
	for j := range n {
		from, to, first := a.at(j), a.at(j+1), begin(j)
		c.starts[j] = int32(first - origin)
		w := c.weights[j*c.taps : (j+1)*c.taps]
		if to <= from {
			w[0] = weightSum
			continue
		}
		// The weights are differences of rounded sums, so that they sum up exactly.
		sum := 0
		for i := range w {
			part := min((first+i+1)*den, to) - from
			next := (2*weightSum*part + to - from) / (2 * (to - from))
			w[i], sum = int16(next-sum), next
		}
	}
	return c
}

// areaKey is everything that an areaPlan depends on.
type areaKey struct {
	x, y  axis
	depth int
	full  bool
}

// areaPlan holds the tables of the area scaler for one scaling.
type areaPlan struct {
	rows    []span
	columns columns
	// gain reduces samples of more than 8 bits to 8; it is 0 for samples of 8 bits.
	gain uint32
}

func (areaPlan) free() {}

// newAreaPlan computes with integers, so that the result is the same on every processor. area.c
// explains the scales of the numbers.
func newAreaPlan(k areaKey) (areaPlan, error) {
	p := areaPlan{columns: k.x.columns()}
	if k.depth == 8 {
		p.rows = k.y.spans(byteSum, func(sum int) uint32 { return uint32(((1 << 31) + sum/2) / sum) })
		return p, nil
	}
	p.rows = k.y.spans(wordSum, func(sum int) uint32 {
		return uint32(min(((1<<(48-k.depth))+sum/2)/sum, 1<<32-1))
	})
	p.gain = narrowing(k.depth, k.full, 15+k.depth)
	return p, nil
}

// narrowing returns the factor that reduces samples of depth bits to 8, with shift
// fraction bits. Limited range keeps the upper 8 bits; full range ends at 255.
func narrowing(depth int, full bool, shift int) uint32 {
	if !full {
		return 1 << (shift - (depth - 8))
	}
	most := 1<<depth - 1
	return uint32((255<<shift + most/2) / most)
}

func gcd(a, b int) int {
	if a < 0 {
		a = -a
	}
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
