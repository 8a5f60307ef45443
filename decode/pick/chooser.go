// Package pick chooses among decoded frames by their pixels: the samplers scene and best, and the filters black, blur and duplicate.
// It is the second decision about a frame, after that of package plan, and like that one it is made in the order of the stream. What
// it decides by was measured when the frame was decoded.
package pick

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/kvsframes/kvsframes/decode/measure"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
)

// Chooser is the media.Chooser of a sink.
type Chooser struct {
	needs   Needs
	filters Filters
	clock   media.Clock
	minGap  time.Duration // of scenes
	window  time.Duration // of the best
	state   state
	// image is the one that is held; nil if there is none, or if an earlier run has delivered it.
	image *media.Image
}

// state is what a Chooser remembers. Its JSON goes into checkpoints.
type state struct {
	// Luma is the last frame of the last fragment, if it is known, and Change what had changed in the last frame.
	Luma   *media.Luma `json:"luma,omitempty"`
	Change float64     `json:"change,omitempty"`
	// Latest is the time of the last scene.
	Latest time.Time `json:"latest,omitzero"`
	// Cell is the window of the last frame, and Score the highest quality in it.
	Cell  *int64  `json:"cell,omitempty"`
	Score float64 `json:"score,omitempty"`
	// Held is the image that has that quality.
	Held *look `json:"held,omitempty"`
	// Last is the last picture that the filter duplicate let through.
	Last *look `json:"last,omitempty"`
}

// look is how a picture looks, and the cell of max_gap that it lies in.
type look struct {
	Hash uint64 `json:"hash"`
	Cell int64  `json:"cell"`
}

// New returns the Chooser of a sink that samples and filters so, or nil if it gets every sample.
func New(s plan.Sample, f Filters) *Chooser {
	c := &Chooser{needs: NeedsOf(s, f), filters: f, clock: s.Clock}
	if !c.needs.Any() {
		return nil
	}
	switch rule := s.Rule.(type) {
	case plan.Scene:
		c.minGap = rule.MinGap
	case plan.Best:
		c.window = rule.Window
	}
	return c
}

// Restore makes the Chooser continue where State was called. Empty JSON is the beginning.
func (c *Chooser) Restore(from json.RawMessage) error {
	c.state, c.image = state{}, nil
	if len(from) == 0 {
		return nil
	}
	if err := json.Unmarshal(from, &c.state); err != nil {
		return fmt.Errorf("read what was chosen last: %w", err)
	}
	if l := c.state.Luma; l != nil && (l.Width < 1 || l.Height < 1 || len(l.Pix)/l.Width != l.Height || len(l.Pix)%l.Width != 0) {
		return fmt.Errorf("read what was chosen last: a picture of %d bytes is not %dx%d", len(l.Pix), l.Width, l.Height)
	}
	return nil
}

// State implements media.Chooser.
func (c *Chooser) State() json.Marshaler { return c.state }

// MarshalJSON implements json.Marshaler.
func (s state) MarshalJSON() ([]byte, error) {
	type plain state
	return json.Marshal(plain(s))
}

// Choose implements media.Chooser.
func (c *Chooser) Choose(img media.Image) (choice media.Choice) {
	m := img.Measured
	if m == nil {
		return media.Choice{Chosen: &img}
	}
	at := img.At(c.clock)
	begins := true
	if c.needs.Scene {
		begins = c.scene(&img, m, at)
	}
	if c.needs.Best {
		if cell := media.Cell(at, c.window); c.state.Cell == nil || *c.state.Cell != cell {
			choice = c.decide()
			c.state.Cell, c.state.Score = &cell, -1
		}
	}
	filter := c.filterOf(&img, m)
	if filter != "" && begins {
		choice.Filtered = append(choice.Filtered, filter)
	}
	if filter != "" || !begins || len(img.Data) == 0 {
		return choice
	}
	l := look{m.Hash, media.Cell(at, c.filters.Duplicate.maxGap())}
	if c.needs.Best {
		if m.Quality <= c.state.Score {
			return choice
		}
		img.Scores = append(img.Scores, score("best", m.Quality))
		if c.state.Held != nil { // which has less
			choice.Decided = true
		}
		c.state.Score, c.state.Held, c.image = m.Quality, &l, &img
		choice.Holds = true
		return choice
	}
	if c.resembles(l, &img) {
		choice.Filtered = append(choice.Filtered, filterDuplicate)
		return choice
	}
	c.state.Latest = at
	choice.Chosen = &img
	return choice
}

// scene reports whether an image begins a scene.
func (c *Chooser) scene(img *media.Image, m *media.Measured, at time.Time) bool {
	change, before := m.Change, c.state.Change
	if change < 0 { // the first frame of a fragment
		change = 0
		if before := c.state.Luma; before != nil && m.Luma != nil {
			change = measure.Difference(picture(before), picture(m.Luma))
		}
	}
	c.state.Change, c.state.Luma = change, m.Luma
	value := measure.Scene(change, before)
	img.Scores = append(img.Scores, score("scene", value))
	elapsed := at.Sub(c.state.Latest)
	return value >= c.needs.LeastChange && (elapsed >= c.minGap || elapsed < 0)
}

// filterOf returns which of the filters black and blur leaves out a picture, the first if both do, or "".
func (c *Chooser) filterOf(img *media.Image, m *media.Measured) (filter string) {
	if c.needs.Black > 0 {
		img.Scores = append(img.Scores, score(filterBlack, m.Black))
		if m.Black >= c.needs.MaxBlack {
			filter = filterBlack
		}
	}
	if c.needs.Blur {
		img.Scores = append(img.Scores, score(filterBlur, m.Blur))
		if filter == "" && m.Blur > c.needs.MaxBlur {
			filter = filterBlur
		}
	}
	return filter
}

// resembles reports whether the filter duplicate leaves out an image, which may be one that an earlier run has delivered.
func (c *Chooser) resembles(l look, img *media.Image) bool {
	most, on := c.filters.Duplicate.Distance.Get()
	if !on {
		return false
	}
	distance := -1 // to nothing
	if last := c.state.Last; last != nil {
		distance = measure.Distance(last.Hash, l.Hash)
		if last.Cell == l.Cell && distance <= int(most) {
			return true
		}
	}
	c.state.Last = &l
	if img != nil {
		img.Scores = append(img.Scores, score(filterDuplicate, float64(distance)))
	}
	return false
}

// decide decides about the image that is held, if there is one.
func (c *Chooser) decide() (choice media.Choice) {
	h, img := c.state.Held, c.image
	if h == nil {
		return choice
	}
	choice.Decided = true
	c.state.Held, c.image = nil, nil
	switch same := c.resembles(*h, img); {
	case !same:
		choice.Earlier = img
	case img != nil: // otherwise an earlier run has counted it
		choice.Filtered = []string{filterDuplicate}
	}
	return choice
}

// End implements media.Chooser.
func (c *Chooser) End() media.Choice { return c.decide() }

// score returns a score with the digits that a record keeps.
func score(name string, value float64) media.Score {
	return media.Score{Name: name, Value: math.Round(value*1e4) / 1e4}
}

func picture(l *media.Luma) measure.Picture {
	return measure.Picture{W: l.Width, H: l.Height, Pix: l.Pix}
}
