package decode

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// A fragment that does not start with an IDR picture may need the fragments before it.
// How it gets them depends on what the stream is like:
//
//   - It starts with a recovery point or a CRA picture (open GOP). Then only its leading
//     pictures need the past, and nothing has to be done unless one of them is wanted.
//   - Anything else (fragments without a key frame, gradual refresh) needs all that came
//     before, so that from then on one decoder goes on from fragment to fragment.
//
// Where the decoder of the fragment before is not at hand, a new one is led up to the
// fragment: it decodes once more what came since the last entry. That is kept for every stream,
// since a fragment may begin in the middle of a group after thousands that did not.

const (
	// Where key frames alone are wanted, nothing is kept for the next fragment once this many in a row
	// started with an IDR picture.
	closedStarts = 2
	// chainEnds is how many fragments in a row that start with an IDR picture end a chain.
	chainEnds = 8
	// The limits of what is kept to lead up with, for each stream.
	maxLeadBytes     = 64 << 20
	maxLeadFragments = 64
	// frameBytes is about what a plan holds of each frame: much more than the frame itself, where
	// there are very many.
	frameBytes = 256
)

// chainPlan is what a fragment has to do with the ones around it.
type chainPlan struct {
	// after is the fragment whose decoder goes on with this one; nil for a new decoder.
	after *link
	// lead are the fragments that a new decoder must have seen.
	lead []lead
	// next takes the decoder when the fragment is done; nil when nobody wants it.
	next *link
}

// letLeads lets go of the fragments to lead up with.
func (pl *plan) letLeads() {
	if pl.chain == nil {
		return
	}
	for _, l := range pl.chain.lead {
		l.plan.hold.drop()
	}
	pl.chain.lead = nil
}

// idle reports whether there is nothing to do: there are frames, and neither an output nor a
// later fragment wants any.
func (pl *plan) idle() bool { return len(pl.frames) > 0 && pl.samples == 0 && pl.next() == nil }

// next is the link that waits for the fragment's decoder, or nil.
func (pl *plan) next() *link {
	if pl.chain == nil {
		return nil
	}
	return pl.chain.next
}

// lead is a fragment that is decoded again, from one of its packets on.
type lead struct {
	mkv []byte
	// plan has no chain: fragments do not keep those before them.
	plan *plan
	from int
}

// past is what a planner knows of the fragments before the next one.
type past struct {
	// stream is the codec data of the last fragment: other codec data has no past.
	stream string
	// clean: a decoder which has seen the last fragments has all that the next
	// one can refer to.
	clean bool
	// open is the last entry, if pictures that lead it may still come; nil if not.
	open *openEntry
	// link is the last fragment's, when its decoder is there to go on.
	link *link
	// lead are the fragments since the last entry that nothing leads any more, as long as
	// they may be needed.
	lead      []lead
	leadBytes int
	// closed counts the last fragments in a row that started with an IDR picture.
	closed int
	// chained: the stream has fragments without an entry.
	chained bool
	lost    lostFrames
}

// openEntry is an entry whose leading pictures may stand in the next fragment.
type openEntry struct {
	at time.Time // of its capture
	// clean: what those pictures may refer to is there.
	clean bool
}

// forget drops what is known: the next fragment does not follow on the last one.
func (h *past) forget() {
	h.unlink(nil)
	h.dropLead()
	h.clean, h.open, h.lost = false, nil, lostFrames{}
}

func (h *past) dropLead() {
	for _, l := range h.lead {
		l.plan.hold.drop()
	}
	h.lead, h.leadBytes = nil, 0
}

// unlink puts another link in the place of the last one, whose decoder nobody wants.
func (h *past) unlink(next *link) {
	if h.link != nil {
		h.link.release()
	}
	h.link = next
}

// link decides what is fed of a fragment, and what it has to do with the ones around it.
func (p *planner) link(pl *plan, f *media.Fragment, refs *references) {
	h := &p.past
	if stream := pl.track.CodecID + "\x00" + string(pl.track.CodecPrivate); stream != h.stream {
		h.forget()
		h.stream, h.closed, h.chained = stream, 0, false
	}
	if len(pl.pics) == 0 {
		h.forget()
		return
	}
	pl.refresh = pl.findRefresh()
	alone := p.onlyKeys && pl.keysAlone()
	h.begins(pl.pics[0].entry, alone)
	needsPast := pl.feed(p.skip, h.chained, refs)
	// What leads an open entry may stand in the next fragment: a decoder at hand goes on over it.
	needsPast = needsPast || h.chained && h.link != nil && pl.pics[0].entry == entryOpen
	pl.leadsBefore(h.open)
	pl.markBroken(needsPast && (!h.clean || h.link == nil && len(h.lead) == 0), h.open)
	if alone {
		h.lost = lostFrames{}
	} else {
		h.lost.mark(pl, refs)
	}
	// A chain may have nothing to do with a fragment of which nothing is wanted.
	if needsPast && pl.samples > 0 || h.chained {
		pl.chain = &chainPlan{}
		// The decoder goes on with fragments whose codec data does not hold the sets in force.
		pl.form.useByteStream(pl.begin)
		if needsPast && h.link != nil {
			pl.chain.after, h.link = h.link, nil
		} else if needsPast {
			pl.chain.lead = slices.Clone(h.lead)
			for _, l := range pl.chain.lead {
				l.plan.hold.take()
			}
		}
		if pl.wholeFed() {
			pl.chain.next = newLink()
		}
	}
	pl.allowFast(p.outputs)
	h.unlink(pl.next())
	h.remember(pl, f, alone)
	if f.Cut {
		h.forget()
	}
}

// keysAlone reports whether each key frame refers to no other picture. Those of a gradual
// refresh do.
func (pl *plan) keysAlone() bool {
	for k, f := range pl.frames {
		if f.info.Key && !pl.pics[k].intra {
			return false
		}
	}
	return true
}

// begins notes how a fragment starts. alone reports whether whatever may be wanted of it refers to no
// other picture.
func (h *past) begins(starts entry, alone bool) {
	if starts == entryClosed {
		h.closed++
	} else {
		h.closed = 0
	}
	switch {
	case starts == entryNone && !alone:
		h.chained = true
	case h.closed >= chainEnds:
		h.chained = false
	}
}

// remember keeps what the next fragment may need of this one. alone reports that what was wanted of this
// one refers to no other picture.
func (h *past) remember(pl *plan, f *media.Fragment, alone bool) {
	entry, settled := pl.lastEntry()
	h.noteOpen(pl, entry, settled)
	h.clean = h.clean || entry >= 0 || pl.refresh.done >= 0
	from := 0
	switch {
	case h.link != nil || alone && h.closed >= closedStarts:
		h.dropLead()
		return
	case settled >= 0:
		h.dropLead()
		from = settled
	case len(h.lead) == 0 && entry < 0: // what came before is not there
		return
	case len(h.lead) == 0:
		from = entry
	}
	kept := &plan{track: pl.track, frames: pl.frames, blocks: pl.blocks, lengthSize: pl.lengthSize, hold: pl.hold}
	pl.hold.take()
	h.lead = append(h.lead, lead{f.MKV, kept, from})
	if h.leadBytes += len(f.MKV) + frameBytes*len(pl.frames); h.leadBytes > maxLeadBytes || len(h.lead) > maxLeadFragments {
		h.dropLead()
	}
}

// lastEntry returns the last entry of the fragment, and the last one that no later picture leads; -1 for none.
func (pl *plan) lastEntry() (entry, settled int) {
	entry, settled = -1, -1
	trails := false // a picture after the entry does not lead it
	for k := len(pl.pics) - 1; k >= 0; k-- {
		switch pl.pics[k].entry {
		case entryNone:
			trails = trails || !pl.frames[k].leads
			continue
		case entryOpen:
		case entryClosed:
			trails = true
		}
		entry = max(entry, k)
		if trails {
			return entry, k
		}
	}
	return entry, settled
}

// noteOpen notes whether pictures may still come that lead the last entry.
func (h *past) noteOpen(pl *plan, entry, settled int) {
	trails := slices.ContainsFunc(pl.frames, func(f plannedFrame) bool { return !f.leads })
	switch {
	case entry >= 0 && entry != settled:
		clean := h.clean || entry > 0 && settled >= 0
		h.open = &openEntry{pl.frames[entry].info.ProducerTime, clean}
	case entry >= 0 || trails:
		h.open = nil
	}
}

// leadsBefore notes which pictures lead an entry of the fragment before.
func (pl *plan) leadsBefore(open *openEntry) {
	for k := range pl.frames {
		f := &pl.frames[k]
		if open == nil || pl.pics[k].entry != entryNone || !f.info.ProducerTime.Before(open.at) {
			return
		}
		f.leads = true
	}
}

// wholeFed reports whether all pictures that others may refer to are fed.
func (pl *plan) wholeFed() bool {
	for _, f := range pl.frames {
		if !f.feed && !f.disposable {
			return false
		}
	}
	return true
}

// markBroken marks the pictures that may refer to what is not there: broken reports that
// what precedes the fragment is not, open is an entry before it.
func (pl *plan) markBroken(broken bool, open *openEntry) {
	if !broken {
		for k := range pl.frames {
			f := &pl.frames[k]
			f.broken = f.broken || open != nil && !open.clean && f.leads && f.group == 0 && pl.pics[0].entry == entryNone
		}
		return
	}
	for k := range pl.frames {
		f := &pl.frames[k]
		if f.group > 0 {
			return
		}
		if done := pl.refresh.done; done >= 0 && k >= done && f.info.Index >= pl.frames[done].info.Index {
			continue
		}
		f.broken = f.leads || pl.pics[0].entry == entryNone && !pl.pics[k].intra
	}
}

// refresh is where a gradual refresh of a fragment begins, and the first packet from which
// on all is well again because of it. Both are -1 where there is none.
type refresh struct{ from, done int }

// findRefresh looks for one in a fragment without an entry.
func (pl *plan) findRefresh() refresh {
	r := refresh{-1, -1}
	left := 0
	for k, pic := range pl.pics {
		if pic.entry != entryNone {
			break
		}
		recovery := pic.recovery
		if recovery == noRecovery && pic.intra && pl.frames[k].info.Key {
			recovery = 0 // the stream says no more than that it is a key frame
		}
		if r.from < 0 && recovery >= 0 {
			r.from, left = k, recovery
		}
		if r.from >= 0 && left == 0 {
			r.done = k
			break
		}
		if r.from >= 0 && !pic.disposable {
			left--
		}
	}
	return r
}

// link hands the decoder of one fragment to the next.
type link struct {
	done chan struct{} // closed by give

	mu      sync.Mutex
	decoder interface{ free() }
	// given reports whether give was called, released that nobody takes the decoder.
	given, released bool
}

func newLink() *link { return &link{done: make(chan struct{})} }

// give hands a decoder on. Only the first call counts.
func (l *link) give(decoder interface{ free() }) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.given {
		return
	}
	if l.released && decoder != nil {
		decoder.free()
		decoder = nil
	}
	l.decoder, l.given = decoder, true
	close(l.done)
}

// giveUp records that there is no decoder to go on with, unless one was given.
func (l *link) giveUp() { l.give(nil) }

// take waits for the decoder, which is then the caller's.
func (l *link) take(ctx context.Context) (interface{ free() }, error) {
	select {
	case <-ctx.Done():
		// Whoever gives it later finds that nobody wants it.
		l.release()
		return nil, ctx.Err()
	case <-l.done:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	decoder := l.decoder
	l.decoder = nil
	return decoder, nil
}

// release records that nobody takes the decoder.
func (l *link) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.released = true
	if l.decoder != nil {
		l.decoder.free()
		l.decoder = nil
	}
}
