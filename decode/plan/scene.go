package plan

import (
	"time"

	"github.com/kvsframes/kvsframes/setting"
)

// Scene chooses the first frame of each scene, by its pixels: every frame is decoded, and package pick decides.
type Scene struct {
	Threshold setting.Level `key:"threshold" doc:"The score from which a frame begins a scene, 0 to 100, as in scdet of ffmpeg." example:"7.5"`
	MinGap    time.Duration `key:"min_gap" doc:"The least time between two samples." example:"3s"`
}

// DefaultScene returns the rule of a sampler that sets only its type.
func DefaultScene() Scene { return Scene{Threshold: setting.NewLevel(10)} }

// Validate implements Rule.
func (r Scene) Validate() error {
	var p setting.Problems
	p.Check("", r, DefaultScene())
	if v, set := r.Threshold.Get(); !set || v > 100 {
		p.Add("threshold", "is a score of 0 to 100: 10 is a common one")
	}
	return p.Err()
}

// Sampler implements Rule. All frames are candidates.
func (Scene) Sampler() Sampler { return allSampler{} }

// Best chooses the best frame of each cell of a grid in time, which starts at the Unix epoch, by its pixels: every frame is decoded,
// and package pick decides.
type Best struct {
	Window time.Duration `key:"window" doc:"The length of each cell of a grid from the Unix epoch on, which gives its best frame." example:"1m"`
}

// DefaultBest returns the rule of a sampler that sets only its type.
func DefaultBest() Best { return Best{Window: 10 * time.Second} }

// Validate implements Rule.
func (r Best) Validate() error {
	var p setting.Problems
	if p.Check("", r, DefaultBest()); r.Window < time.Millisecond {
		p.Add("window", "%s is below 1ms, the precision of the clocks", r.Window)
	}
	return p.Err()
}

// Sampler implements Rule. All frames are candidates.
func (r Best) Sampler() Sampler { return windowSampler{window: r.Window} }

// windowSampler picks every frame, in windows.
type windowSampler struct {
	allSampler
	window time.Duration
}
