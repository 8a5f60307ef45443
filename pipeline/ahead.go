package pipeline

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/kvsframes/kvsframes/media"
)

// arriving is a fragment that is decoded while it arrives.
type arriving struct {
	media.Arrival
	it     *item
	number string
	done   chan struct{} // closed when Decode has returned
}

// telling returns the context of the source's Next, with which it tells what arrives.
func (r *run) telling(ctx context.Context, group *errgroup.Group) context.Context {
	planner, ok := r.Planner.(Advance)
	if !r.Ahead || !ok {
		return ctx
	}
	return media.WithArrivals(ctx, func(f *media.Fragment) {
		if r.arriving != nil && r.arriving.number != f.Number {
			r.drop(ctx)
		}
		if r.arriving == nil {
			r.arrive(ctx, group, planner, f)
		}
		if r.arriving.Arrival != nil {
			r.arriving.More(f)
		}
	})
}

// arrive begins a fragment of which the first blocks are there.
func (r *run) arrive(ctx context.Context, group *errgroup.Group, planner Advance, f *media.Fragment) {
	it := r.item(lane{}, nil)
	it.fragment = withoutMedia(f)
	again := func(ctx context.Context) error {
		r.forget(it)
		return ctx.Err()
	}
	a := planner.Ahead(f, r.takesAhead, again)
	r.arriving = &arriving{Arrival: a, it: it, number: f.Number, done: make(chan struct{})}
	if a == nil {
		close(r.arriving.done)
		return
	}
	done := r.arriving.done
	group.Go(func() error {
		defer close(done)
		return a.Decode(ctx, func(img media.Image) error { return r.emit(ctx, group, it, img) })
	})
}

// takesAhead reports whether a sink takes images before the end of their fragment.
func (r *run) takesAhead(sink string) bool {
	o, err := r.outletOf(sink)
	if err != nil || o.ordered() {
		return false
	}
	_, forgets := o.sink.(Forgetter)
	return forgets
}

// isArriving reports whether a fragment is the one that is arriving.
func (r *run) isArriving(number string) bool { return r.arriving != nil && r.arriving.number == number }

// itemOf returns the item of a fragment that is there as a whole.
func (r *run) itemOf(ctx context.Context, f *media.Fragment) *item {
	if r.isArriving(f.Number) {
		it := r.arriving.it
		r.arriving = nil
		it.fragment = f
		return it
	}
	r.drop(ctx)
	it := r.item(lane{}, nil)
	it.fragment = f
	return it
}

// drop gives up the fragment that is arriving. The sinks forget its images: they have no record, and do not count.
func (r *run) drop(ctx context.Context) {
	a := r.arriving
	r.arriving = nil
	if a == nil || a.Arrival == nil {
		return
	}
	a.Close()
	<-a.done
	if ctx.Err() == nil {
		r.forget(a.it)
	}
}

// forget makes the sinks forget the images of a fragment, none of which is on its way to be emitted.
func (r *run) forget(it *item) {
	for _, o := range r.outlets {
		it.writes[o.index].Wait()
		if s, ok := o.sink.(Forgetter); ok {
			s.Forget(it.fragment.Stream, it.fragment.Number)
		}
	}
}
