package pick

import "github.com/kvsframes/kvsframes/decode/plan"

// Needs are the measures that a sink chooses by. The zero value is none: the sink gets every sample.
type Needs struct {
	// Black is the level of luma below which pixels are dark; 0 does not measure.
	Black int `json:",omitempty"`
	// MaxBlack is the percentage of dark pixels from which a picture is left out.
	MaxBlack float64 `json:",omitempty"`
	Blur     bool    `json:",omitempty"`
	// MaxBlur is the width of edges above which a picture is left out.
	MaxBlur   float64 `json:",omitempty"`
	Duplicate bool    `json:",omitempty"`
	// Scene asks for the change from one frame to the next. One below LeastChange begins no scene.
	Scene       bool    `json:",omitempty"`
	LeastChange float64 `json:",omitempty"`
	// Best asks for the quality.
	Best bool `json:",omitempty"`
}

// NeedsOf returns what a sink needs that samples and filters so.
func NeedsOf(s plan.Sample, f Filters) (n Needs) {
	var on bool
	if n.MaxBlack, on = f.Black.Amount.Get(); on {
		n.Black = f.Black.threshold()
	}
	n.MaxBlur, n.Blur = f.Blur.Max.Get()
	_, n.Duplicate = f.Duplicate.Distance.Get()
	switch rule := s.Rule.(type) {
	case plan.Scene:
		n.Scene = true
		n.LeastChange, _ = rule.Threshold.Get()
	case plan.Best:
		n.Best = true
	}
	return n
}

// Any reports whether anything is measured.
func (n Needs) Any() bool { return n != Needs{} }
