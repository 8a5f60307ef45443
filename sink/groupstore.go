package sink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// there is what was found in place of a group: an object that is kept, and whether that is another one.
type there struct{ skipped, differs bool }

// replaces reports whether objects replace those that are there.
func (g *group) replaces() bool { return g.w.sink.config.Destination.IfExists == IfExistsOverwrite }

// growing returns the pack of the open group if the object is stored while it grows, and so replaced.
func (g *group) growing() (GrowingPack, bool) {
	p, grows := g.open.pack.(GrowingPack)
	return p, grows && g.replaces()
}

// publish makes the open group visible. Companions become visible before it, but after an object that grows.
func (g *group) publish(ctx context.Context, beside []Companion) (there, error) {
	if !g.replaces() {
		return g.create(ctx, beside)
	}
	commit := func(ctx context.Context) error {
		return g.call(ctx, func() error { return g.open.object.Commit(ctx) })
	}
	if _, grows := g.growing(); grows {
		if err := commit(ctx); err != nil {
			return there{}, err
		}
		return there{}, g.putBeside(ctx, beside)
	}
	if err := g.putBeside(ctx, beside); err != nil {
		return there{}, err
	}
	return there{}, commit(ctx)
}

// create makes the open group visible unless its name, or that of a companion, is taken. It looks for the object before it puts companions, since
// they would tell of an object that is not theirs. If another process is faster all the same, it is so with all of them or with none: both put the
// same names in the same order.
func (g *group) create(ctx context.Context, beside []Companion) (there, error) {
	ours := g.w.continued // whether an object that equals the group may be of this run, or of the one that it continues
	var err error
	for range maxVanished {
		same := false
		looked := g.call(ctx, func() (err error) {
			same, err = g.open.object.Same(ctx)
			return err
		})
		switch {
		case looked == nil, errors.Is(looked, ErrUnseen) && errors.Is(err, ErrExist):
			return g.keep(ctx, same, ours, beside)
		case !errors.Is(looked, fs.ErrNotExist) && !errors.Is(looked, ErrUnseen):
			return there{}, looked
		}
		switch err = g.putBeside(ctx, beside); {
		case errors.Is(err, ErrExist):
			return g.keep(ctx, false, false, nil)
		case err != nil:
			return there{}, err
		}
		err = g.call(ctx, func() error {
			err := g.open.object.Commit(ctx)
			ours = ours || err != nil && !errors.Is(err, ErrExist) // what fails may have been done
			return err
		})
		if !errors.Is(err, ErrExist) {
			return there{}, err
		}
	}
	return there{}, err
}

// keep discards what was written if an object that is there may stay in its place, or what has the name of a companion. same reports whether the object equals the group, and ours
// whether it is no older one then.
func (g *group) keep(ctx context.Context, same, ours bool, beside []Companion) (there, error) {
	skips := g.w.sink.config.Destination.IfExists == IfExistsSkip
	if !skips && !(same && ours) {
		return there{}, fmt.Errorf("%s: %w", g.open.key, ErrExist)
	}
	if err := g.open.object.Abandon(); err != nil { // what is left does no harm, and the next writer of the key removes it
		g.w.sink.log.WarnContext(ctx, "could not remove what was written of a group that is not stored", "key", g.open.key, "error", err)
	}
	if !same {
		return there{skipped: true, differs: true}, nil
	}
	err := g.putBeside(ctx, beside)
	if skips && errors.Is(err, ErrExist) {
		g.w.sink.log.WarnContext(ctx, "kept what is beside an existing object, which it may not belong to", "key", g.open.key, "error", err)
		err = nil
	}
	return there{skipped: !ours}, err
}

// putBeside stores the companions of the open group. The error is ErrExist if there is another one that may not be replaced.
func (g *group) putBeside(ctx context.Context, all []Companion) error {
	for i, c := range all {
		if err := g.putCompanion(ctx, g.beside(g.open.key, g.Layout.Beside()[i]), c); err != nil {
			return fmt.Errorf("write beside group: %w", err)
		}
	}
	return nil
}

func (g *group) putCompanion(ctx context.Context, key string, c Companion) error {
	if err := g.w.sink.enter(ctx); err != nil {
		return err
	}
	defer g.w.sink.leave()
	var err error
	for range maxVanished {
		err = g.w.put(ctx, key, c.Body, PutOptions{ContentType: c.ContentType, IfAbsent: !g.replaces()})
		if !errors.Is(err, ErrExist) {
			return err
		}
		same, lookErr := g.w.sink.holds(ctx, key, c.Body)
		switch {
		case same: // whoever put it
			return nil
		case lookErr == nil:
			return err
		case !errors.Is(lookErr, fs.ErrNotExist):
			return lookErr
		}
	}
	return err
}

// skip marks the records of the images of the open group, in whose place another object is kept.
func (g *group) skip(ctx context.Context, found there) {
	o := g.open
	if found.differs {
		g.w.sink.log.WarnContext(ctx, "kept an existing object that differs: the images of the group have no records", "key", o.key, "images", o.images)
	}
	for i := range g.ended {
		if g.ended[i].packed.images > 0 {
			g.ended[i].packed.there = found
		}
	}
	g.w.mu.Lock()
	defer g.w.mu.Unlock()
	for _, records := range g.w.records { // of a fragment that has not ended
		for i := range records {
			if records[i].Key == o.key {
				records[i].Skipped, records[i].Differs = true, found.differs
			}
		}
	}
}
