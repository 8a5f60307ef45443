package pipeline

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/kvsframes/kvsframes/media"
)

// choice is the second decision about the images of an outlet, in stream order. One goroutine uses it.
type choice struct {
	media.Chooser
	// of is the fragment of the image that is held; nil for none. later are the items that have ended since then, that fragment and
	// later ones: they end at the sink when it is decided.
	of    *item
	later []*item
}

// choose passes the next image of a lane on to its sink if that gets all, or chooses it.
func (r *run) choose(ctx context.Context, group *errgroup.Group, it *item, img media.Image) error {
	size := int64(len(img.Data))
	release := func() { r.backlog.release(&it.lane, size) }
	o, err := r.outletOf(img.Sink)
	if err != nil {
		release()
		return err
	}
	if o.choice == nil {
		return r.writeNext(ctx, group, o, it, img, release)
	}
	c := o.choice.Choose(img)
	o.meter.leftOut(c.Filtered)
	if c.Decided {
		if err := r.decide(ctx, group, o, c.Earlier); err != nil {
			release()
			return err
		}
	}
	if c.Chosen != nil {
		return r.writeNext(ctx, group, o, it, *c.Chosen, release)
	}
	if c.Holds {
		o.choice.of = it
	}
	release() // also of an image that is held: there is one for each sink
	return nil
}

// decide writes the image that was held, unless it is nil, and ends at the sink what has ended since then.
func (r *run) decide(ctx context.Context, group *errgroup.Group, o *outlet, img *media.Image) error {
	of, later := o.choice.of, o.choice.later
	o.choice.of, o.choice.later = nil, nil
	if of != nil && img != nil {
		if err := r.writeNext(ctx, group, o, of, *img, func() {}); err != nil {
			return err
		}
	}
	for _, it := range later {
		r.endAt(o, it)
	}
	return ctx.Err()
}

// postpone reports whether the end of a fragment, or of what is in its place, waits for an image that is held. It notes what is chosen
// up to there.
func (o *outlet) postpone(it *item) bool {
	if o.choice == nil {
		return false
	}
	it.chosen[o.index] = o.choice.State()
	if o.choice.of == nil {
		return false
	}
	o.choice.later = append(o.choice.later, it)
	return true
}
