package decode

// axis is one direction in which a plane is scaled: the window of size from off on, both
// in units of 1/unit of a sample, becomes dst pixels, and each step of these pixels (two
// for the chroma of 4:2:0) are one sample of the target. samples is how many the plane has.
type axis struct {
	off, size, unit int
	dst, step       int
	samples         int
}

// Limits of the area scaler.
const (
	// coarsest is the largest number of samples that are averaged to one: more than
	// that the 16-bit sums do not carry with enough precision.
	coarsest = 64
	// byteSum and wordSum are the largest sums of weights by which rows of bytes and of
	// longer samples are added up.
	byteSum, wordSum = 257, 1024
)

// count is the number of samples of the target.
func (a axis) count() int { return (a.dst + a.step - 1) / a.step }

// same reports whether samples pass as they are, from sample off/unit on.
func (a axis) same() bool { return a.step*a.size == a.dst*a.unit && a.off%a.unit == 0 }

// doubles reports whether each sample becomes two, from sample off/unit on.
func (a axis) doubles() bool {
	return a.step == 1 && 2*a.size == a.dst*a.unit && a.off%a.unit == 0
}

// shrinks reports whether the area scaler can do it.
func (a axis) shrinks() bool {
	return a.step*a.size >= a.dst*a.unit && a.step*a.size <= coarsest*a.dst*a.unit
}

// field is the axis over the lines of one field, first (the top one) or second.
func (a axis) field(second bool) axis {
	// Line i of the top field has its middle at 2i+1/2 lines of the frame, of the bottom
	// field at 2i+3/2: a quarter of a field's line before and after i+1/2.
	shift := a.unit
	if second {
		shift = -shift
		a.samples--
	}
	a.samples = (a.samples + 1) / 2
	a.off, a.size, a.unit = 2*a.off+shift, 2*a.size, 4*a.unit
	return a
}

// shifted is the axis with its window moved by num/4 of a sample.
func (a axis) shifted(num int) axis {
	a.off, a.size, a.unit = 4*a.off+num*a.unit, 4*a.size, 4*a.unit
	return a
}

// reduced is the axis in the largest units that do.
func (a axis) reduced() axis {
	if d := gcd(gcd(a.off, a.size), a.unit); d > 1 {
		a.off, a.size, a.unit = a.off/d, a.size/d, a.unit/d
	}
	return a
}

// at is where target sample j begins, times unit*dst.
func (a axis) at(j int) int {
	return min(max(a.off*a.dst+min(j*a.step, a.dst)*a.size, 0), a.samples*a.unit*a.dst)
}

// covers returns the samples from first up to end that the window touches.
func (a axis) covers() (first, end int) {
	den := a.unit * a.dst
	first = min(a.at(0)/den, a.samples-1)
	return first, max(first+1, (a.at(a.count())+den-1)/den)
}

// span selects the rows that make one row of the target: count from first on, the first one times
// head, the last one of several times tail, all others times inner. norm turns the
// sum into an average. The type is C's kvsf_span.
type span struct {
	first, count             int32
	head, inner, tail, norms uint32
}

// spans returns the rows of each target row, with a sum of weights of most at most.
// norm returns span.norms of a sum of weights.
func (a axis) spans(most int, norm func(sum int) uint32) []span {
	den := a.unit * a.dst
	// Weights are multiples of 1/k rows. The smallest k that is exact, or else the largest
	// that the sum allows; one less for rounding at both ends.
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

// columns selects the columns that make one column of the target: taps from start on (counted from the
// first that the window covers), by weights that sum up to weightSum. taps is a multiple of 8 and
// there are columns of no weight at the end, for loops over several.
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

// areaPlan is what the area scaler needs to know of one scaling.
type areaPlan struct {
	rows    []span
	columns columns
	// gain brings samples of more than 8 bits to 8; it is 0 where there are no more.
	gain uint32
}

func (areaPlan) free() {}

// newAreaPlan computes in whole numbers, so that it is the same everywhere. See area.c for
// the scales of the numbers.
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

// narrowing returns the factor that brings samples of depth bits to 8, with shift
// fraction bits. Limited range is the upper 8 bits; full range ends at 255.
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
