package sink

import (
	"context"
	"fmt"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// group puts the images of one stream into objects. It is called as a Writer that takes one image at a time: one call after the other, in
// the order of the stream. After an error only abandon is called. Of a live stream, a timer calls tend.
type group struct {
	*Groups
	turns
	w     *Writer
	clock media.Clock
	// came is when the last image came, and inside whether its fragment has not ended.
	came   time.Time
	inside bool
	// split is where the first object begins inside a fragment whose earlier images are durable.
	split media.Split
	open  *openGroup  // nil for none
	last  media.Image // without its data
	// ended are the fragments that wait for the open group, in order.
	ended []ended
	// completed is the number of groups so far.
	completed int
	// appends reports whether there is one group without an end (see Appender), whose images count as durable when they are written.
	appends bool
}

// openGroup is an object that is being written.
type openGroup struct {
	key    string
	began  time.Time // when its first image came
	server time.Time // of the first image
	object ObjectWriter
	opts   PutOptions
	pack   Pack
	cell   int64 // of the grid
	images int
	size   int64 // of the images
	bytes  int64 // of the object
	// shown is the number of images in what is stored while the object grows, and at is when it was stored.
	shown int
	at    time.Time
}

const (
	// showEvery is how often an object that grows is stored, at most.
	showEvery = 10 * time.Second
	// minSilence is how long no image of a live stream comes, at least, before its group is completed. Less may be a pause of the service.
	minSilence = time.Minute
)

// write adds an image to the open group, or completes that and begins another one.
func (g *group) write(ctx context.Context, img media.Image) (media.Record, error) {
	if err := g.enter(ctx); err != nil {
		return media.Record{}, err
	}
	defer g.leave()
	g.inside = true
	defer func() { g.came = time.Now() }()
	img = g.Layout.Inside(img)
	if img.FragmentNumber == g.split.Number && img.Index < g.split.Index { // an earlier run completed its group
		record := g.w.record(img, g.split.Key)
		record.Skipped, record.Differs = g.split.Differs, g.split.Differs
		return record, nil
	}
	if err := g.pass(ctx, img.FragmentNumber, img.FrameInfo); err != nil {
		return media.Record{}, err
	}
	if g.open != nil && g.begins(img) {
		if g.appends {
			return media.Record{}, cannotFollow(g.last, img)
		}
		if err := g.complete(ctx, img.FrameInfo, false); err != nil {
			return media.Record{}, err
		}
	}
	if g.open == nil {
		if err := g.begin(ctx, img); err != nil {
			return media.Record{}, err
		}
	}
	o := g.open
	record := g.w.record(img, o.key)
	pieces, err := o.pack.Add(img, manifestRecord(record, g.w.sink.digest))
	if err != nil {
		return media.Record{}, fmt.Errorf("add image %s/%d to %s: %w", img.FragmentNumber, img.Index, o.key, err)
	}
	for _, p := range pieces {
		if err := g.append(ctx, p); err != nil {
			return media.Record{}, err
		}
	}
	o.images++
	o.size += int64(len(img.Data))
	g.last = img
	g.last.Data = nil
	return record, nil
}

// begins reports whether an image begins another group.
func (g *group) begins(img media.Image) bool {
	o, at := g.open, img.At(g.clock)
	switch {
	case g.appends:
	case g.last.At(g.clock).Sub(at) > time.Second+2*frameDuration(g.last): // smaller steps back are rounding
		return true
	case media.Cell(at, g.Every) > o.cell:
		return true
	case tooLate(o.server, img.ServerTime, g.w.border.group):
		return true
	case g.Count > 0 && o.images >= g.Count:
		return true
	case g.Size > 0 && o.size+int64(len(img.Data)) > int64(g.Size):
		return true
	}
	return !o.pack.Joins(img)
}

// frameDuration returns the mean duration of the frames before an image in its fragment, 0 if it is the first one.
func frameDuration(img media.Image) time.Duration {
	if img.Index <= 0 || img.PTS < 0 {
		return 0
	}
	return img.PTS / time.Duration(img.Index)
}

// begin creates the object of a group whose first image is img.
func (g *group) begin(ctx context.Context, img media.Image) error {
	s, first := g.w.sink, img
	first.Ext, first.ContentType = g.Layout.Ext(), g.Layout.ContentType()
	o := &openGroup{
		key: s.path.Image(first, g.w.runID), cell: media.Cell(img.At(g.clock), g.Every), began: time.Now(), server: img.ServerTime,
	}
	o.opts = g.w.options(first)
	o.opts.IfAbsent = !g.replaces()
	if g.appends {
		o.pack = g.Layout.(EndlessLayout).NewEndless(img) // as Validate has checked
	} else {
		o.pack = g.Layout.NewPack(img)
	}
	if p, ok := o.pack.(HeadedPack); ok {
		o.opts.Head = p.Head
	}
	err := g.call(ctx, func() (err error) {
		o.object, err = s.store.Create(ctx, o.key, o.opts)
		return err
	})
	if err != nil {
		return fmt.Errorf("begin group: %w", err)
	}
	g.open = o
	return nil
}

// call makes a call of the store, among those that may be in progress, until it succeeds.
func (g *group) call(ctx context.Context, call func() error) error {
	s := g.w.sink
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	return s.persist(ctx, func(bool) error { return call() })
}

// append writes bytes of the open group.
func (g *group) append(ctx context.Context, p []byte) error {
	o := g.open
	if err := g.call(ctx, func() error { return o.object.Write(ctx, p) }); err != nil {
		return fmt.Errorf("write group: %w", err)
	}
	o.bytes += int64(len(p))
	return nil
}

// complete makes the open group visible, unless if_exists keeps what is there, and reports the fragments that have ended. next is the frame with which
// the next group begins, the zero value for none, and ends states that the part of the manifest ends with the group.
func (g *group) complete(ctx context.Context, next media.FrameInfo, ends bool) error {
	o, s := g.open, g.w.sink
	end, beside, err := o.pack.End()
	if err != nil {
		return fmt.Errorf("complete %s: %w", o.key, err)
	}
	if err := g.append(ctx, end); err != nil {
		return err
	}
	there, err := g.publish(ctx, beside)
	if err != nil {
		return fmt.Errorf("complete group: %w", err)
	}
	if there.skipped {
		g.skip(ctx, there)
	} else {
		s.objects.Add(1)
		s.bytes.Add(o.bytes)
	}
	g.open = nil
	g.completed++
	s.log.DebugContext(ctx, "wrote group", "key", o.key, "images", o.images, "bytes", o.bytes, "skipped", there.skipped, "differs", there.differs)
	split := media.Split{Number: next.FragmentNumber, Index: next.Index, Key: o.key, Differs: there.differs}
	if g.last.FragmentNumber != next.FragmentNumber { // the next group begins with its fragment
		split = media.Split{}
	}
	var following *media.Fragment
	if next.FragmentNumber != "" {
		following = &media.Fragment{ProducerTime: next.ProducerTime.Add(-next.PTS)}
		if !next.ServerTime.IsZero() {
			following.ServerTime = next.ServerTime.Add(-next.PTS)
		}
	}
	ended := g.ended
	g.ended = nil
	return g.w.parts.add(ctx, ended, split, following, ends)
}

// pass completes what is open if a fragment is behind the one with which an earlier run has had it end. next is its frame, the zero value for none.
func (g *group) pass(ctx context.Context, number string, next media.FrameInfo) error {
	switch {
	case !g.w.border.passes(number):
		return nil
	case g.open != nil:
		return g.complete(ctx, next, true)
	}
	return g.w.parts.complete(ctx)
}

func (g *group) put(ctx context.Context, key string, body []byte, opts PutOptions) error {
	if err := g.w.sink.enter(ctx); err != nil {
		return err
	}
	defer g.w.sink.leave()
	return g.w.put(ctx, key, body, opts)
}

// show stores the open group if it grows and has grown. The next call, or complete, replaces that. It returns when to call it again.
func (g *group) show(ctx context.Context) (next time.Duration, err error) {
	o := g.open
	p, grows := g.growing()
	if !grows || o.shown == o.images {
		return g.silence(), nil
	}
	if left := showEvery - time.Since(o.at); left > 0 {
		return left, nil
	}
	object, beside, err := p.SoFar()
	if err != nil {
		return 0, fmt.Errorf("show %s: %w", o.key, err)
	}
	if err := g.put(ctx, o.key, object, o.opts); err != nil {
		return 0, fmt.Errorf("show group: %w", err)
	}
	o.shown, o.at = o.images, time.Now()
	return g.silence(), g.putBeside(ctx, beside)
}

// endFragment ends a fragment.
func (g *group) endFragment(ctx context.Context, e ended) error {
	if err := g.enter(ctx); err != nil {
		return err
	}
	defer g.leave()
	if err := g.w.emptyOutdated(ctx, e.fragment); err != nil {
		return err
	}
	g.inside = false
	if err := g.pass(ctx, e.fragment.Number, media.FrameInfo{}); err != nil {
		return err
	}
	if g.open == nil || g.appends {
		return g.w.parts.add(ctx, []ended{e}, media.Split{}, nil, false)
	}
	g.ended = append(g.ended, e)
	if !g.w.sink.endless {
		return nil
	}
	return g.tend(ctx)
}

// silence is how long no image comes before the open group is completed.
func (g *group) silence() time.Duration {
	return silence(g.Every, g.w.border.group, g.open.began, g.came)
}

// tend completes the open group of a live stream if no image has come for as long as a group may be: the next one would begin another group, unless
// it was taken long before it comes. That border is not in the stream, so the checkpoint has it before anybody sees the group. Otherwise tend shows
// the group if it has grown, and sets the timer.
func (g *group) tend(ctx context.Context) error {
	if g.open == nil || g.inside {
		return nil
	}
	left := g.silence() - time.Since(g.came)
	if left <= 0 {
		if err := g.w.border.end(ctx, g.ended[len(g.ended)-1].fragment.Number); err != nil {
			return err
		}
		return g.complete(ctx, media.FrameInfo{}, true)
	}
	next, err := g.show(ctx)
	g.after(ctx, min(next, left), g.tend)
	return err
}

// finish completes the open group at the end of the stream.
func (g *group) finish(ctx context.Context) error {
	if err := g.enter(ctx); err != nil {
		return err
	}
	defer g.leave()
	defer g.stop()
	if g.open != nil {
		if err := g.complete(ctx, media.FrameInfo{}, false); err != nil {
			return err
		}
	}
	return g.w.parts.complete(ctx)
}

// abandon discards the open group.
func (g *group) abandon() error {
	g.end()
	if g.open == nil {
		return nil
	}
	return g.open.object.Abandon()
}
