package pipeline

import (
	"encoding/json"
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
	durable            func(sink string, r media.Receipt) // see Options.Planned; may be nil
	again              bool                               // other runs have delivered the fragment
	counts             bool                               // no other run counts the fragment
	// place is the position of the fragment in the stream, from 1; that of the next one for gaps.
	place int64
	// waits is the number of working sinks that have not reported the fragment, plus one until all of its images
	// have been passed to the sinks.
	waits int
	// lacking reports whether a sink failed before it reported the fragment. It does not if the sink left.
	lacking bool
}

// newPending returns the pending part of fragment f, or of the gaps in its place if f is nil.
func newPending(f *media.Fragment) *pending {
	if f == nil {
		return &pending{}
	}
	return &pending{fragment: true, number: f.Number, at: f.ProducerTime}
}

// tail holds the pending parts of items in stream order, and counts the sinks that they wait for.
type tail struct {
	mu        sync.Mutex
	all       []*pending
	fragments int64 // pushed so far
	sinks     int   // that have neither failed nor left
	failed    bool  // a sink has failed
	over      bool  // no sink remains: nothing is settled behind the place until
	until     int64 // what a sink has reported whose last ones stood aside: other runs do not count it
	// settle is called for each item, in stream order, when it and all earlier ones wait for nothing more.
	settle func(*pending)
}

// push appends p, which waits for the sinks that remain.
func (t *tail) push(p *pending) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p.waits, p.place = 1, t.fragments+1
	if p.fragment {
		t.fragments++
		p.waits += t.sinks
		p.lacking = t.failed
	}
	t.all = append(t.all, p)
}

// done decrements the number of events that p waits for.
func (t *tail) done(p *pending) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p.waits--
	t.settleReady()
}

// settleReady settles the items that wait for nothing more. The caller holds the lock.
func (t *tail) settleReady() {
	for len(t.all) > 0 && t.all[0].waits == 0 && (!t.over || t.all[0].place <= t.until) {
		t.settle(t.all[0])
		t.all[0] = nil // the array must not keep it alive
		t.all = t.all[1:]
	}
}

// report records that the sink of o has reported p. It returns false if another fragment was due.
func (t *tail) report(o *outlet, p *pending) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	o.reports++
	if o.reports != p.place {
		return false
	}
	p.waits--
	t.settleReady()
	return true
}

// withdraw removes the sink of o, which has failed or stands aside, so that nothing waits for it. It calls note with the number of
// unsettled fragments that the sink has reported: the one after them is the first that the sink lacks. It
// returns the number of remaining sinks.
func (t *tail) withdraw(o *outlet, aside bool, note func(reported int)) (left int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sinks--
	t.failed = t.failed || !aside
	reported := 0
	for _, p := range t.all {
		switch {
		case !p.fragment:
		case p.place > o.reports:
			p.waits--
			p.lacking = p.lacking || !aside
		case p.counts: // the others are not undelivered
			reported++
		}
	}
	note(reported)
	if t.until = max(t.until, o.reports); !aside {
		t.until = 0
	}
	t.over = t.sinks == 0
	t.settleReady()
	return t.sinks
}

// missing returns the number of fragments that the sink of o has not reported.
func (t *tail) missing(o *outlet) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.fragments - o.reports
}

// report returns the function that a sink calls when a fragment is durable. The function panics if the sink
// violates the order, since the summary would then count images that are not durable.
func (r *run) report(o *outlet, p *pending, chosen json.Marshaler) func(media.Receipt) {
	return func(receipt media.Receipt) {
		name := o.sink.Name()
		receipt.Chosen = chosen
		r.Account.images(name, receipt.Written, receipt.Skipped)
		r.Meter.sink(name).written.Add(int64(receipt.Written))
		if !r.unsettled.report(o, p) {
			panic(fmt.Sprintf("pipeline: sink %s reported fragment %s out of order or twice", name, p.number))
		}
		if p.durable != nil {
			p.durable(name, receipt)
		}
	}
}

// settle counts an item that is durable at every sink that has not failed.
func (r *run) settle(p *pending) {
	if p.again {
		return
	}
	r.Account.commit(p)
	if p.counts {
		r.Meter.Fragments.Add(1)
	}
}

// maxLoggedGaps is the number of gaps of one fragment, or of the end of a stream, that are logged singly.
const maxLoggedGaps = 100

// logGaps logs the gaps of an item, and counts them and the frames that were decoded.
func (r *run) logGaps(p *pending) {
	for i, g := range p.gaps {
		if g.Reason == media.GapLeftOut { // what leaves it out says when that begins and ends
			continue
		}
		if i == maxLoggedGaps {
			r.Log.Warn("more gaps: the summary counts them", "stream", r.Name, "gaps", len(p.gaps)-i)
			break
		}
		r.Log.Warn("gap", "stream", r.Name, "fragment", g.FragmentNumber, "from_frame", g.FrameIndex, "frames_lost", g.FramesLost, "reason", g.Reason, "detail", g.Detail)
	}
	r.Meter.Gaps.Add(int64(len(p.gaps)))
	r.Meter.FramesDecoded.Add(int64(p.decoded))
}
