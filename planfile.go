package kvsframes

import (
	"context"
	"slices"
	"time"

	"github.com/kvsframes/kvsframes/config"
	"github.com/kvsframes/kvsframes/decode"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source"
)

// fileCount counts what a run would read and write of one file. It plans the fragments as a run does, and
// decodes nothing.
type fileCount struct {
	*StreamPlan
	decode  decode.Config
	planner *plan.Planner
	// waiting are the plans from the oldest pending one on: a later fragment may still change that one.
	waiting []*plan.Plan
}

// readFile counts the fragments, frames and images of a file.
func (sp *StreamPlan) readFile(ctx context.Context, in source.Input, c *config.Config) error {
	src, err := in.Open(ctx)
	if err != nil {
		return err
	}
	end := c.Source.End
	src = source.WithTags(src, c.Source.FragmentTags)
	src = source.WithEnd(src, source.End{Timestamp: end.Timestamp, Duration: end.Duration, Fragments: end.Fragments}, c.Source.EndClock())
	src = source.WithVideo(src, c.Source.Track)
	count := fileCount{StreamPlan: sp, decode: c.Decode}
	var outputs []plan.Output
	for _, s := range c.Sinks {
		outputs = append(outputs, plan.Output{Sink: s.Name, Sample: s.Sample})
	}
	count.planner = plan.NewPlanner(c.Decode.SkipFrame, outputs)
	err = source.Each(func() (*media.Fragment, error) { return src.Next(ctx) }, count.fragment, func(media.Gap) {
		sp.Gaps++
		count.planner.Lost()
	})
	count.planner.End()
	count.decided()
	sp.Bytes = src.Stats().BytesRead
	if closeErr := src.Close(); err == nil {
		err = closeErr
	}
	return err
}

// fragment plans a fragment and counts the plans that are final.
func (c *fileCount) fragment(f *media.Fragment) error {
	pl := c.planner.Plan(f)
	if !f.Unwanted {
		length, frames := played(f, pl)
		c.add(f.ProducerTime, length, frames)
	}
	c.waiting = append(c.waiting, pl)
	c.decided()
	return nil
}

// decided counts the images of the plans that are final, up to the first pending one.
func (c *fileCount) decided() {
	for len(c.waiting) > 0 && !c.waiting[0].Pending() {
		pl := c.waiting[0]
		c.waiting = c.waiting[1:]
		images := make([]int64, len(c.order))
		if c.decode.Refusal(pl) == nil {
			for _, k := range pl.InOrder {
				for _, a := range pl.Frames[k].Outputs {
					images[a.Output]++
				}
			}
		}
		for i, name := range c.order {
			c.Sinks[name].add(images[i])
		}
		if !pl.Skipped {
			pl.GiveUp()
		}
	}
}

// played returns the duration and the number of a fragment's wanted frames.
func played(f *media.Fragment, pl *plan.Plan) (length time.Duration, frames int64) {
	var all, wanted []time.Duration
	for _, frame := range pl.Frames {
		all = append(all, frame.Info.PTS)
		if plan.Within(f, frame.Info) {
			wanted = append(wanted, frame.Info.PTS)
		}
	}
	if len(wanted) == 0 {
		return 0, 0
	}
	distance := pl.Track.DefaultDuration
	if n := len(all) - 1; n > 0 && slices.Max(all) > slices.Min(all) {
		distance = (slices.Max(all) - slices.Min(all)) / time.Duration(n)
	}
	return slices.Max(wanted) - slices.Min(wanted) + distance, int64(len(wanted))
}
