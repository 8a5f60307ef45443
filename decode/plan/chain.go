package plan

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/kvsframes/kvsframes/decode/h26x"
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

// Chain is what a fragment has to do with the ones around it.
type Chain struct {
	// After is the fragment whose decoder goes on with this one; nil for a new decoder.
	After *Link
	// Lead are the fragments that a new decoder must have seen.
	Lead []Lead
	// Next takes the decoder when the fragment is done; nil when nobody wants it.
	Next *Link
}

// Before waits for the decoder that goes on with the fragment, which is then the caller's; nil when there is none.
func (pl *Plan) Before(ctx context.Context) (Decoder, error) {
	if pl.Chain == nil || pl.Chain.After == nil {
		return nil, nil
	}
	return pl.Chain.After.take(ctx)
}

// letLeads lets go of the fragments to lead up with.
func (pl *Plan) ReleaseLeads() {
	if pl.Chain == nil {
		return
	}
	for _, l := range pl.Chain.Lead {
		l.plan.hold.drop()
	}
	pl.Chain.Lead = nil
}

// Idle reports whether there is nothing to do: there are frames, and neither an output nor a
// later fragment wants any.
func (pl *Plan) Idle() bool { return len(pl.Frames) > 0 && pl.Samples == 0 && pl.Next() == nil }

// Next is the link that waits for the fragment's decoder, or nil.
func (pl *Plan) Next() *Link {
	if pl.Chain == nil {
		return nil
	}
	return pl.Chain.Next
}

// Lead is a fragment that is decoded again, from one of its packets on.
type Lead struct {
	Media []byte
	// plan has no chain: fragments do not keep those before them.
	plan *Plan
	From int
}

// Whole returns the plan of feeding all that later fragments may refer to, whatever was wanted of the fragment.
func (l Lead) Whole() *Plan {
	pl := *l.plan
	pl.Frames = make([]Frame, len(l.plan.Frames))
	for k := range pl.Frames {
		f := &l.plan.Frames[k]
		pl.Frames[k] = Frame{last: f.last, packet: f.packet, Feed: !f.Disposable}
	}
	return &pl
}

// Matters reports whether later fragments may refer to picture k. What leads the first group misses its references, and
// nobody needs it.
func (l Lead) Matters(k int) bool {
	f := l.plan.Frames[k]
	return !f.Leads || f.Group != l.plan.Frames[l.From].Group
}

// past is what a planner knows of the fragments before the next one.
type past struct {
	// codecData is that of the last fragment. A change of codec data starts a new decoding history.
	codecData string
	// clean: a decoder which has seen the last fragments has all that the next
	// one can refer to.
	clean bool
	// open is the last entry, if pictures that lead it may still come; nil if not.
	open *openEntry
	// link is the last fragment's, when its decoder is there to go on.
	link *Link
	// lead are the fragments since the last entry that nothing leads any more, as long as
	// they may be needed.
	lead      []Lead
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
func (h *past) unlink(next *Link) {
	if h.link != nil {
		h.link.release()
	}
	h.link = next
}

// link decides what is fed of a fragment, and what it has to do with the ones around it.
func (p *Planner) link(pl *Plan, f *media.Fragment, refs *references) {
	h := &p.past
	if codecData := pl.Track.CodecID + "\x00" + string(pl.Track.CodecPrivate); codecData != h.codecData {
		h.forget()
		h.codecData, h.closed, h.chained = codecData, 0, false
	}
	if len(pl.Pictures) == 0 {
		h.forget()
		return
	}
	pl.Refresh = pl.findRefresh()
	alone := p.onlyKeys && pl.keysAlone()
	h.begins(pl.Pictures[0].Entry, alone)
	needsPast := pl.feed(p.skip, h.chained, refs)
	// What leads an open entry may stand in the next fragment: a decoder at hand goes on over it.
	needsPast = needsPast || h.chained && h.link != nil && pl.Pictures[0].Entry == EntryOpen
	pl.leadsBefore(h.open)
	pl.markBroken(needsPast && (!h.clean || h.link == nil && len(h.lead) == 0), h.open)
	if alone {
		h.lost = lostFrames{}
	} else {
		h.lost.mark(pl, refs)
	}
	// A chain may have nothing to do with a fragment of which nothing is wanted.
	if needsPast && pl.Samples > 0 || h.chained {
		pl.Chain = &Chain{}
		// The decoder goes on with fragments whose codec data does not hold the sets in force.
		pl.Form.useByteStream(pl.begin)
		if needsPast && h.link != nil {
			pl.Chain.After, h.link = h.link, nil
		} else if needsPast {
			pl.Chain.Lead = slices.Clone(h.lead)
			for _, l := range pl.Chain.Lead {
				l.plan.hold.take()
			}
		}
		if pl.wholeFed() {
			pl.Chain.Next = newLink()
		}
	}
	pl.allowFast(p.outputs)
	h.unlink(pl.Next())
	h.remember(pl, f, alone)
	if f.Cut {
		h.forget()
	}
}

// keysAlone reports whether each key frame refers to no other picture. Those of a gradual
// refresh do.
func (pl *Plan) keysAlone() bool {
	for k, f := range pl.Frames {
		if f.Info.Key && !pl.Pictures[k].Intra {
			return false
		}
	}
	return true
}

// begins notes how a fragment starts. alone reports whether whatever may be wanted of it refers to no
// other picture.
func (h *past) begins(starts Entry, alone bool) {
	if starts == EntryClosed {
		h.closed++
	} else {
		h.closed = 0
	}
	switch {
	case starts == EntryNone && !alone:
		h.chained = true
	case h.closed >= chainEnds:
		h.chained = false
	}
}

// remember keeps what the next fragment may need of this one. alone reports that what was wanted of this
// one refers to no other picture.
func (h *past) remember(pl *Plan, f *media.Fragment, alone bool) {
	entry, settled := pl.lastEntry()
	h.noteOpen(pl, entry, settled)
	h.clean = h.clean || entry >= 0 || pl.Refresh.Done >= 0
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
	kept := &Plan{Track: pl.Track, Frames: pl.Frames, blocks: pl.blocks, LengthSize: pl.LengthSize, hold: pl.hold}
	pl.hold.take()
	h.lead = append(h.lead, Lead{f.MKV, kept, from})
	if h.leadBytes += len(f.MKV) + frameBytes*len(pl.Frames); h.leadBytes > maxLeadBytes || len(h.lead) > maxLeadFragments {
		h.dropLead()
	}
}

// lastEntry returns the last entry of the fragment, and the last one that no later picture leads; -1 for none.
func (pl *Plan) lastEntry() (entry, settled int) {
	entry, settled = -1, -1
	trails := false // a picture after the entry does not lead it
	for k := len(pl.Pictures) - 1; k >= 0; k-- {
		switch pl.Pictures[k].Entry {
		case EntryNone:
			trails = trails || !pl.Frames[k].Leads
			continue
		case EntryOpen:
		case EntryClosed:
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
func (h *past) noteOpen(pl *Plan, entry, settled int) {
	trails := slices.ContainsFunc(pl.Frames, func(f Frame) bool { return !f.Leads })
	switch {
	case entry >= 0 && entry != settled:
		clean := h.clean || entry > 0 && settled >= 0
		h.open = &openEntry{pl.Frames[entry].Info.ProducerTime, clean}
	case entry >= 0 || trails:
		h.open = nil
	}
}

// leadsBefore notes which pictures lead an entry of the fragment before.
func (pl *Plan) leadsBefore(open *openEntry) {
	for k := range pl.Frames {
		f := &pl.Frames[k]
		if open == nil || pl.Pictures[k].Entry != EntryNone || !f.Info.ProducerTime.Before(open.at) {
			return
		}
		f.Leads = true
	}
}

// wholeFed reports whether all pictures that others may refer to are fed.
func (pl *Plan) wholeFed() bool {
	for _, f := range pl.Frames {
		if !f.Feed && !f.Disposable {
			return false
		}
	}
	return true
}

// markBroken marks the pictures that may refer to what is not there: broken reports that
// what precedes the fragment is not, open is an entry before it.
func (pl *Plan) markBroken(broken bool, open *openEntry) {
	if !broken {
		for k := range pl.Frames {
			f := &pl.Frames[k]
			f.Broken = f.Broken || open != nil && !open.clean && f.Leads && f.Group == 0 && pl.Pictures[0].Entry == EntryNone
		}
		return
	}
	for k := range pl.Frames {
		f := &pl.Frames[k]
		if f.Group > 0 {
			return
		}
		if done := pl.Refresh.Done; done >= 0 && k >= done && f.Info.Index >= pl.Frames[done].Info.Index {
			continue
		}
		f.Broken = f.Leads || pl.Pictures[0].Entry == EntryNone && !pl.Pictures[k].Intra
	}
}

// Refresh is where a gradual refresh of a fragment begins, and the first packet from which
// on all is well again because of it. Both are -1 where there is none.
type Refresh struct{ From, Done int }

// findRefresh looks for one in a fragment without an entry.
func (pl *Plan) findRefresh() Refresh {
	r := Refresh{-1, -1}
	left := 0
	for k, pic := range pl.Pictures {
		if pic.Entry != EntryNone {
			break
		}
		recovery := pic.recovery
		if recovery == h26x.NoRecovery && pic.Intra && pl.Frames[k].Info.Key {
			recovery = 0 // the stream says no more than that it is a key frame
		}
		if r.From < 0 && recovery >= 0 {
			r.From, left = k, recovery
		}
		if r.From >= 0 && left == 0 {
			r.Done = k
			break
		}
		if r.From >= 0 && !pic.disposable {
			left--
		}
	}
	return r
}

// Decoder is what a chain hands from fragment to fragment.
type Decoder interface {
	// Free frees the decoder, when no fragment takes it.
	Free()
}

// Link hands the decoder of one fragment to the next.
type Link struct {
	done chan struct{} // closed by give

	mu      sync.Mutex
	decoder Decoder
	// given reports whether give was called, released that nobody takes the decoder.
	given, released bool
}

func newLink() *Link { return &Link{done: make(chan struct{})} }

// Give hands a decoder on. Only the first call counts.
func (l *Link) Give(decoder Decoder) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.given {
		return
	}
	if l.released && decoder != nil {
		decoder.Free()
		decoder = nil
	}
	l.decoder, l.given = decoder, true
	close(l.done)
}

// GiveUp records that there is no decoder to go on with, unless one was given.
func (l *Link) GiveUp() { l.Give(nil) }

// take waits for the decoder, which is then the caller's.
func (l *Link) take(ctx context.Context) (Decoder, error) {
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
func (l *Link) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.released = true
	if l.decoder != nil {
		l.decoder.Free()
		l.decoder = nil
	}
}
