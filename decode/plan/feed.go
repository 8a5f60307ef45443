package plan

import (
	"bytes"
	"slices"

	"github.com/kvsframes/kvsframes/media"
)

// group is a group of pictures: from one entry to the next, in decode order.
type group struct {
	start, end int
	entry      Entry
	// last is the last packet that must be decoded; start-1 for none.
	last int
	// whole reports whether the decoder must end up as if it had decoded the whole group.
	whole bool
	// alone reports whether all wanted pictures of a group without an entry refer to no other.
	alone bool
}

// groups splits the fragment into groups of pictures, and marks the leading pictures of
// each: they follow an open entry in the stream and are shown before it.
func (pl *Plan) groups() []group {
	var gs []group
	for start := 0; start < len(pl.Pictures); {
		end := start + 1
		for end < len(pl.Pictures) && pl.Pictures[end].Entry == EntryNone {
			end++
		}
		g := group{start: start, end: end, entry: pl.Pictures[start].Entry}
		for k := start; k < end; k++ {
			f := &pl.Frames[k]
			f.Group, f.Disposable = len(gs), pl.Pictures[k].disposable
			f.Leads = g.entry == EntryOpen && f.Info.Index < pl.Frames[start].Info.Index
		}
		gs = append(gs, g)
		start = end
	}
	return gs
}

// feed decides which packets are decoded. In each group of pictures, it leaves out
// everything after the last wanted packet (references precede a picture in decode order),
// and unwanted pictures that no other refers to. Of pictures that only unwanted ones refer
// to, as far as refs knows, it feeds just the headers. whole reports whether the decoder
// must end up as if it had decoded the whole fragment. The result reports whether the
// fragment needs the one before it.
func (pl *Plan) feed(skip SkipFrame, whole bool, refs *references) (needsPast bool) {
	gs := pl.groups()
	// From the last group to the first, since one can need all of the group before it.
	for i := len(gs) - 1; i >= 0; i-- {
		g := &gs[i]
		g.last = pl.lastWanted(*g, skip)
		if g.whole = whole; whole {
			g.last = g.end - 1
		}
		needsPast = pl.needsPast(g, skip, whole)
		whole = needsPast
	}
	for _, g := range gs {
		for k := g.start; k <= g.last; k++ {
			f := &pl.Frames[k]
			f.Feed = skip == SkipNone || len(f.Outputs) > 0 || !g.alone && !f.Disposable
		}
		if skip != SkipNone && !g.alone && pl.feedsUnwanted(g) {
			refs.dropData(pl.Frames, g)
		}
	}
	pl.feedSets()
	return needsPast
}

// feedsUnwanted reports whether pictures of the group are fed only for others that refer to them.
func (pl *Plan) feedsUnwanted(g group) bool {
	return slices.ContainsFunc(pl.Frames[g.start:g.last+1], func(f Frame) bool { return f.Feed && len(f.Outputs) == 0 })
}

func (pl *Plan) lastWanted(g group, skip SkipFrame) int {
	last := g.end - 1
	for skip != SkipNone && last >= g.start && len(pl.Frames[last].Outputs) == 0 {
		last--
	}
	return last
}

// mayBeLed reports whether pictures that lead the group's entry may be in the next fragment, because all that follow it so
// far lead it.
func (pl *Plan) mayBeLed(g group) bool {
	return g.end == len(pl.Frames) && !slices.ContainsFunc(pl.Frames[g.start+1:], func(f Frame) bool { return !f.Leads })
}

// needsPast reports whether the group needs the pictures before it: for its wanted pictures or,
// if whole is set and it has no entry, or one that may still be led, for later ones. It also sets g.alone.
func (pl *Plan) needsPast(g *group, skip SkipFrame, whole bool) bool {
	some, dependent := false, false
	for k := g.start; k <= g.last; k++ {
		f := pl.Frames[k]
		if skip != SkipNone && len(f.Outputs) == 0 {
			continue
		}
		some = true
		switch g.entry {
		case EntryNone:
			dependent = dependent || !pl.Pictures[k].Intra
		case EntryOpen:
			dependent = dependent || f.Leads
		}
	}
	if whole && (g.entry == EntryNone || g.entry == EntryOpen && pl.mayBeLed(*g)) {
		return true
	}
	g.alone = g.entry == EntryNone && some && !dependent
	return dependent
}

// LastFed returns the index of the last packet that is fed, or -1.
func (pl *Plan) LastFed() int {
	last := len(pl.Frames) - 1
	for last >= 0 && !pl.Frames[last].Feed {
		last--
	}
	return last
}

// feedSets feeds packets with new parameter sets, which a later packet may need.
func (pl *Plan) feedSets() {
	for k := range pl.LastFed() {
		pl.Frames[k].Feed = pl.Frames[k].Feed || pl.Pictures[k].sets
	}
}

// allowFast turns off the loop filter for groups whose wanted pictures are all for fast
// outputs. It does nothing in a chain, where it is not known what later fragments want.
func (pl *Plan) allowFast(outputs []Output) {
	if pl.Chain != nil || !slices.ContainsFunc(outputs, func(o Output) bool { return o.Fast }) {
		return
	}
	slow := map[int]bool{}
	for _, f := range pl.Frames {
		for _, o := range f.Outputs {
			slow[f.Group] = slow[f.Group] || !outputs[o.Output].Fast
		}
	}
	for k := range pl.Frames {
		f := &pl.Frames[k]
		// If the next group is open, its leading pictures refer to this one.
		f.Fast = !slow[f.Group] && !slow[f.Group+1]
	}
}

// Needed returns a copy of the fragment without the media after the last packet that is fed, or f itself if that
// saves little. Thumbnails need little of the media, many streams may wait for a decoder at once, and a copy is cheap
// compared with decoding. The media is cut where the next block begins, so that elements around a block are kept.
func (pl *Plan) Needed(f *media.Fragment) *media.Fragment {
	fed := 0
	if last := pl.LastFed(); last >= 0 {
		b := pl.blocks[pl.Frames[last].last]
		fed = b.Offset + b.Size
	} else if !pl.Idle() {
		return f
	}
	end := len(f.MKV)
	for _, b := range f.Blocks { // laced frames share a block and are adjacent
		if b.Offset > fed {
			end = min(end, b.Offset)
		}
	}
	if end > len(f.MKV)/8*7 {
		return f
	}
	part := *f
	part.MKV = bytes.Clone(f.MKV[:end])
	part.Tracks, part.Blocks = nil, nil // the plan has its own, and a track's codec data would keep all the media
	return &part
}
