package pipeline

import (
	"fmt"
	"sync"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// pending is what remains of an item after its images were passed to the sinks: the numbers to count when they
// are durable. It stays in memory while an object that holds the images of many fragments is open.
type pending struct {
	// fragment reports whether the item is a fragment, with this number and producer time, rather than only gaps.
	fragment bool
	number   string
	at       time.Time
	// decoded and concealed are numbers of frames.
	decoded, concealed int
	gaps               []media.Gap
	// waits is the number of sinks that have not reported the fragment, plus one until all of its images have
	// been passed to the sinks.
	waits int
}

// newPending returns the pending part of fragment f, or of the gaps in its place if f is nil.
func newPending(f *media.Fragment, sinks int) *pending {
	if f == nil {
		return &pending{waits: 1}
	}
	return &pending{fragment: true, number: f.Number, at: f.ProducerTime, waits: 1 + sinks}
}

// tail holds the pending parts of items in stream order.
type tail struct {
	mu  sync.Mutex
	all []*pending
	// settle is called for each item, in stream order, when it and all earlier ones wait for nothing more.
	settle func(*pending)
}

func (t *tail) push(p *pending) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, p)
}

// done decrements the number of events that p waits for.
func (t *tail) done(p *pending) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p.waits--
	for len(t.all) > 0 && t.all[0].waits == 0 {
		t.settle(t.all[0])
		t.all[0] = nil // the array must not keep it alive
		t.all = t.all[1:]
	}
}

// report returns the function that a sink calls when a fragment is durable. The function panics if the sink
// violates the order, since the summary would then count images that are not durable.
func (r *run) report(o *outlet, p *pending) func(media.Receipt) {
	place := o.fragments.Add(1)
	return func(receipt media.Receipt) {
		name := o.sink.Name()
		if o.reports.Add(1) != place {
			panic(fmt.Sprintf("pipeline: sink %s reported fragment %s out of order or twice", name, p.number))
		}
		r.Account.images(name, receipt.Written, receipt.Skipped)
		r.Meter.sink(name).Add(int64(receipt.Written))
		r.unsettled.done(p)
	}
}

// settle counts an item that is durable at every sink.
func (r *run) settle(p *pending) {
	r.Account.commit(p)
	if p.fragment {
		r.Meter.Fragments.Add(1)
	}
}

// maxLoggedGaps is the number of gaps of one fragment, or of the end of a stream, that are logged singly.
const maxLoggedGaps = 100

// logGaps logs the gaps of an item, and counts them and the frames that were decoded.
func (r *run) logGaps(p *pending) {
	for i, g := range p.gaps {
		if i == maxLoggedGaps {
			r.Log.Warn("more gaps: the summary counts them", "stream", r.Name, "gaps", len(p.gaps)-i)
			break
		}
		r.Log.Warn("gap", "stream", r.Name, "fragment", g.FragmentNumber, "from_frame", g.FrameIndex, "frames_lost", g.FramesLost, "reason", g.Reason, "detail", g.Detail)
	}
	r.Meter.Gaps.Add(int64(len(p.gaps)))
	r.Meter.FramesDecoded.Add(int64(p.decoded))
}
