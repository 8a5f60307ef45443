package pipeline

import (
	"fmt"
	"sync"

	"github.com/kvsframes/kvsframes/media"
)

// tail holds the items, in stream order, of which some image is not durable at some sink. An object
// that holds the images of many fragments keeps them here until it is complete; by then they are
// without media.
type tail struct {
	mu    sync.Mutex
	items []*item
	// settle ends an item. It is called for one item after the other, in stream order.
	settle func(*item)
}

// push appends an item, which waits for done to be called once, and for each of the sinks if it is a
// fragment.
func (t *tail) push(it *item, sinks int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	it.waits = 1
	if it.fragment != nil {
		it.waits += sinks
	}
	t.items = append(t.items, it)
}

// done tells the tail of one thing that the item does not wait for any more.
func (t *tail) done(it *item) {
	t.mu.Lock()
	defer t.mu.Unlock()
	it.waits--
	for len(t.items) > 0 && t.items[0].waits == 0 {
		t.settle(t.items[0])
		t.items[0] = nil // or the array would hold on to it
		t.items = t.items[1:]
	}
}

// report returns what a sink calls when a fragment is durable. It panics if the sink breaks the
// order, since what would be counted then is not what is durable.
func (r *run) report(o *outlet, it *item) func(media.Receipt) {
	place := o.fragments.Add(1)
	return func(receipt media.Receipt) {
		if o.reports.Add(1) != place {
			panic(fmt.Sprintf("pipeline: sink %s reported fragment %s out of order or twice", o.sink.Name(), it.fragment.Number))
		}
		r.Account.images(o.sink.Name(), receipt.Written, receipt.Skipped)
		r.Meter.sink(o.sink.Name()).Add(int64(receipt.Written))
		r.unsettled.done(it)
	}
}

// settle counts an item whose images are durable at every sink.
func (r *run) settle(it *item) {
	r.Account.commit(it.fragment, it.lane.outcome, append(it.gaps, it.lane.outcome.Gaps...))
	if it.fragment != nil {
		r.Meter.Fragments.Add(1)
	}
}

// maxLoggedGaps is the number of gaps of one fragment, or of the end of a stream, that are logged
// one by one.
const maxLoggedGaps = 100

// note logs and counts what decoding an item came to.
func (r *run) note(it *item) {
	gaps := append(it.gaps, it.lane.outcome.Gaps...)
	for i, g := range gaps {
		if i == maxLoggedGaps {
			r.Log.Warn("more gaps: the summary counts them", "stream", r.Name, "gaps", len(gaps)-i)
			break
		}
		r.Log.Warn("gap", "stream", r.Name, "fragment", g.FragmentNumber, "from_frame", g.FrameIndex, "frames_lost", g.FramesLost, "reason", g.Reason, "detail", g.Detail)
	}
	r.Meter.Gaps.Add(int64(len(gaps)))
	r.Meter.FramesDecoded.Add(int64(it.lane.outcome.FramesDecoded))
}
