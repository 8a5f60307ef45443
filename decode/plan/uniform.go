package plan

import (
	"math"
	"time"

	"github.com/kvsframes/kvsframes/setting"
)

// Uniform chooses N frames at equal distances in each cell of a grid that starts at the Unix epoch: the first at the cell's
// beginning or after it. A cell with fewer frames gives all of them.
type Uniform struct {
	N      int           `key:"n,optional" doc:"How many frames at equal distances are taken in each window; it must be written." example:"8"`
	Window time.Duration `key:"window" doc:"The length of each cell of a grid from the Unix epoch on." example:"1m"`
}

// DefaultUniform returns the rule of a sampler that sets only the number.
func DefaultUniform() Uniform { return Uniform{Window: 10 * time.Second} }

// Validate implements Rule.
func (r Uniform) Validate() error {
	var p setting.Problems
	p.Check("", r, DefaultUniform())
	if r.N < 1 || r.N > math.MaxInt32 {
		p.Add("n", "uniform needs n, 1 or more")
	}
	if r.Window < time.Millisecond {
		p.Add("window", "%s is below 1ms, the precision of the clocks", r.Window)
	}
	return p.Err()
}

// Sampler implements Rule.
func (r Uniform) Sampler() Sampler { return &gridSampler{grid: r.grid()} }

// Points returns the number of points at or after from and before to.
func (r Uniform) Points(from, to time.Time) int64 { return r.grid().points(from, to) }

func (r Uniform) grid() grid { return reduced(uint64(2*r.Window.Nanoseconds()), uint64(r.N)) }
