package plan

import (
	"context"
	"slices"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// A fragment that does not start with an IDR picture may need the fragments before it:
//
//   - If it starts with a recovery point or a CRA picture (open GOP), only its leading
//     pictures need them, and nothing has to be done unless one of those is wanted.
//   - Any other fragment (without a key frame, or with a gradual refresh) needs all earlier
//     ones. From then on, one decoder continues from fragment to fragment: a chain.
//
// If the decoder of the previous fragment is not available, a new one first decodes again
// everything since the last entry: the lead-up. Its fragments are kept for every stream,
// since even after thousands of fragments that need no others, the next one may, and in a
// chain too, since a decoder may die.

const (
	// closedStarts is how many fragments in a row must start with an IDR picture before nothing is
	// kept for the next one, if only key frames are wanted.
	closedStarts = 2
	// chainEnds is how many fragments in a row that start with an IDR picture end a chain.
	chainEnds = 8
	// The limits of what is kept for lead-ups, for each stream.
	maxLeadBytes     = 64 << 20
	maxLeadFragments = 64
	// frameBytes is about the memory that a plan takes for each frame. It exceeds the media where
	// frames are many and tiny.
	frameBytes = 256
)

// Chain links a fragment to the ones around it.
type Chain struct {
	// After gives the decoder of the previous fragment, which continues with this one; nil if a new decoder is needed.
	After *Link
	// Lead are the fragments that a new decoder must decode first, in order. Those behind After are for the case that its
	// decoder is gone.
	Lead []Lead
	// broken reports whether fragments are missing before Lead.
	broken bool
	// Next takes the decoder when the fragment is decoded; nil if no fragment needs it.
	Next *Link
}

// Before waits for the decoder of the previous fragment, which then belongs to the caller. It returns nil if there is none, and the
// context's error if the context ends first.
func (pl *Plan) Before(ctx context.Context) (Decoder, error) {
	if pl.Chain == nil || pl.Chain.After == nil {
		return nil, nil
	}
	return pl.Chain.After.take(ctx)
}

// LeadUp returns the fragments that a new decoder must decode first, and whether they are all that the fragment needs. A fragment that
// is known to kill decoders is not among them.
func (c *Chain) LeadUp() (leads []Lead, whole bool) {
	leads, whole = c.Lead, !c.broken && (c.After == nil || len(c.Lead) > 0)
	for i := len(leads) - 1; i >= 0; i-- {
		if l := leads[i]; l.plan.hold != nil && l.plan.hold.spoiled.Load() {
			return leads[i+1:], false
		}
	}
	return leads, whole
}

// Spoil keeps the fragment out of later lead-ups, because it kills decoders.
func (pl *Plan) Spoil() { pl.hold.spoiled.Store(true) }

// ReleaseLeads releases the media of the fragments in Chain.Lead, which must not be used afterwards.
func (pl *Plan) ReleaseLeads() {
	if pl.Chain == nil {
		return
	}
	for _, l := range pl.Chain.Lead {
		l.plan.hold.drop()
	}
	pl.Chain.Lead = nil
}

// Idle reports whether nothing has to be decoded: neither an output nor a later fragment needs any of the frames.
func (pl *Plan) Idle() bool { return len(pl.Frames) > 0 && pl.Samples == 0 && pl.Next() == nil }

// Next returns the link that takes the fragment's decoder, or nil if no fragment needs it.
func (pl *Plan) Next() *Link {
	if pl.Chain == nil {
		return nil
	}
	return pl.Chain.Next
}

// Lead is an earlier fragment that a new decoder decodes first, although none of its frames is wanted.
type Lead struct {
	// Media is the fragment's media, valid until ReleaseLeads.
	Media []byte
	// From is the index of the first frame that is decoded: an entry, or where a gradual refresh begins.
	From int
	// plan has no Chain, so that it does not keep earlier fragments in memory.
	plan *Plan
}

// Frames returns the number of the fragment's frames.
func (l Lead) Frames() int { return len(l.plan.Frames) }

// Whole returns a plan that wants no picture, and feeds every one that later fragments may refer to.
func (l Lead) Whole() *Plan {
	pl := *l.plan
	pl.Frames = slices.Clone(l.plan.Frames)
	for k := range pl.Frames {
		f := &pl.Frames[k]
		f.Feed, f.Fast, f.HeaderOnly, f.Outputs = !f.Disposable, false, nil, nil
	}
	return &pl
}

// past is what a planner knows about the fragments so far.
type past struct {
	// codecData is that of the last fragment. A change of codec data starts a new decoding history.
	codecData string
	// clean reports whether a decoder of the last fragments holds all pictures that the next
	// one can refer to.
	clean bool
	// open is the last entry if its leading pictures may still follow; nil if not.
	open *openEntry
	// link is that of the last fragment, if its decoder can continue with the next.
	link *Link
	// lead are the fragments since the last entry whose leading pictures have all been seen, or since a gradual refresh
	// where there is none. They are kept while a lead-up may need them.
	lead      []Lead
	leadBytes int
	// closed counts the last fragments in a row that started with an IDR picture.
	closed int
	// chained reports whether the stream has fragments without an entry.
	chained bool
	// keysRefer reports whether the stream has key frames that refer to other pictures.
	keysRefer bool
	lost      lostFrames
}

// openEntry is an entry whose leading pictures may be in the next fragment.
type openEntry struct {
	at time.Time // the producer's
	// clean reports whether all pictures that those may refer to are available.
	clean bool
}

// forget drops everything known, because the next fragment does not follow the last one.
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

// unlink replaces the link, and releases the old one, whose decoder no fragment takes.
func (h *past) unlink(next *Link) {
	if h.link != nil {
		h.link.release()
	}
	h.link = next
}

// link decides which packets of a fragment are fed, and links it to the fragments around it.
func (p *Planner) link(pl *Plan, f *media.Fragment, refs *references) {
	h := &p.past
	if codecData := pl.Track.CodecID + "\x00" + string(pl.Track.CodecPrivate); codecData != h.codecData {
		h.forget()
		h.codecData, h.closed, h.chained, h.keysRefer = codecData, 0, false, false
	}
	if len(pl.Pictures) == 0 {
		h.forget()
		return
	}
	pl.Refresh = pl.findRefresh()
	keysAlone := pl.keysAlone()
	h.keysRefer = h.keysRefer || !keysAlone
	alone, skip, keys := p.onlyKeys && keysAlone, p.skip, pl.KeysOnly && !h.keysRefer
	if keys { // a decoder that continues would need all other packets, too
		h.chained = false
		if skip == SkipNone {
			skip = SkipAuto
		}
	}
	h.begins(pl.Pictures[0].Entry, alone || keys)
	needsPast := pl.feed(skip, h.chained, refs)
	// The leading pictures of an open entry may be in the next fragment, so an existing decoder continues.
	needsPast = needsPast || h.chained && h.link != nil && pl.Pictures[0].Entry == EntryOpen
	pl.leadsRefresh()
	pl.leadsBefore(h.open)
	pl.markBroken(needsPast && (!h.clean || h.link == nil && len(h.lead) == 0), h.open)
	if alone {
		h.lost = lostFrames{}
	} else {
		h.lost.mark(pl, refs)
	}
	// Outside of a chain, a fragment of which nothing is wanted needs no links.
	if needsPast && pl.Samples > 0 || h.chained {
		pl.Chain = &Chain{}
		// The decoder continues with fragments whose codec data may lack parameter sets in force.
		pl.Form.useByteStream(pl.begin)
		if needsPast {
			pl.Chain.After, h.link = h.link, nil
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

// keysAlone reports whether no key frame refers to another picture. Those of a gradual
// refresh do.
func (pl *Plan) keysAlone() bool {
	for k, f := range pl.Frames {
		if f.Info.Key && !pl.Pictures[k].Intra {
			return false
		}
	}
	return true
}

// begins records how a fragment starts. alone reports whether no frame that may be wanted refers to
// another picture.
func (h *past) begins(starts Entry, alone bool) {
	if h.closed++; starts != EntryClosed {
		h.closed = 0
	}
	switch {
	case starts == EntryNone && !alone:
		h.chained = true
	case h.closed >= chainEnds:
		h.chained = false
	}
}

// remember keeps what the next fragment may need of this one. alone is the same as for begins.
func (h *past) remember(pl *Plan, f *media.Fragment, alone bool) {
	entry, settled := pl.lastEntry()
	h.noteOpen(pl, entry, settled)
	h.clean = h.clean || entry >= 0 || pl.Refresh.Done >= 0
	from := 0
	switch {
	case alone && h.closed >= closedStarts:
		h.dropLead()
		return
	case settled >= 0:
		h.dropLead()
		from = settled
	case len(h.lead) == 0 && entry < 0 && pl.Refresh.Done >= 0:
		from = pl.Refresh.From
	case len(h.lead) == 0 && entry < 0: // the pictures before it are missing
		return
	case len(h.lead) == 0:
		from = entry
	}
	kept := &Plan{
		Track: pl.Track, Frames: pl.Frames, Pictures: pl.Pictures, Form: pl.Form, Refresh: pl.Refresh, LengthSize: pl.LengthSize,
		blocks: pl.blocks, hold: pl.hold,
	}
	pl.hold.take()
	h.lead = append(h.lead, Lead{Media: f.MKV, From: from, plan: kept})
	if h.leadBytes += len(f.MKV) + frameBytes*len(pl.Frames); h.leadBytes > maxLeadBytes || len(h.lead) > maxLeadFragments {
		h.dropLead()
	}
}

// lastEntry returns the last entry of the fragment, and the last one whose leading pictures have all been seen; -1 for none.
func (pl *Plan) lastEntry() (entry, settled int) {
	entry, settled = -1, -1
	trails := false // whether a picture after the entry does not lead it
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

// noteOpen records whether leading pictures of the last entry may still follow.
func (h *past) noteOpen(pl *Plan, entry, settled int) {
	switch {
	case entry >= 0 && entry != settled:
		clean := h.clean || entry > 0 && settled >= 0
		h.open = &openEntry{pl.Frames[entry].Info.ProducerTime, clean}
	case entry < 0 && pl.Refresh.Done >= 0 && !pl.trails(pl.Refresh.Done):
		h.open = &openEntry{pl.Frames[pl.Refresh.Done].Info.ProducerTime, h.clean}
	case entry >= 0 || pl.trails(-1):
		h.open = nil
	}
}

// trails reports whether a picture after picture k does not lead one.
func (pl *Plan) trails(k int) bool {
	return slices.ContainsFunc(pl.Frames[k+1:], func(f Frame) bool { return !f.Leads })
}

// leadsBefore marks the pictures that lead an entry of the previous fragment.
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
	return !slices.ContainsFunc(pl.Frames, func(f Frame) bool { return !f.Feed && !f.Disposable })
}

// markBroken marks the pictures that may refer to missing ones. broken reports whether the
// pictures before the fragment are missing; open is an entry before it.
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
