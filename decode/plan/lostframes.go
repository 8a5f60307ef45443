package plan

import "github.com/kvsframes/kvsframes/decode/h26x"

// lostFrames finds the pictures of a stream that refer to pictures which are not there: those
// that were lost before they were put into blocks leave nothing else behind. It continues from fragment to fragment.
// After a slice header that cannot be read it finds nothing until the next entry.
type lostFrames struct {
	// known: so far the headers could be read, from an entry on.
	known bool
	// lastReferred is the frame_num of the last reference picture of H.264.
	lastReferred int32
	// own: the next picture may refer to a lost one. leading: so may one that leads its group.
	own, leading bool
	// left is the number of references until a gradual refresh is done, or noRecovery.
	left int
	// pictures are the references of H.265. skips: it is not known what its skipped leading pictures refer to.
	pictures hevcPictures
	skips    bool
}

// mark marks the pictures of a fragment that may refer to lost ones as broken.
func (l *lostFrames) mark(pl *Plan, refs *references) {
	if !refs.readSets() {
		l.known = false
		return
	}
	for k := range pl.Frames {
		if refs.reader.codec == h26x.HEVC {
			l.hevc(pl, k, refs)
		} else {
			l.avc(pl, k, refs)
		}
	}
}

// avc takes the next picture of H.264. A reference is lost where frame_num jumps (ITU-T H.264, 7.4.3), and which of
// the pictures after it refer to it is not known.
func (l *lostFrames) avc(pl *Plan, k int, refs *references) {
	f, pic := &pl.Frames[k], &pl.Pictures[k]
	h, ok := refs.firstSlice(refs.packets[k])
	if !ok {
		l.known = false
		return
	}
	gap := l.known && !h.IDR && !h.SPS.Gaps && h.FrameNum != l.lastReferred && h.FrameNum != (l.lastReferred+1)%h.MaxNum()
	recovery := pic.recovery
	if recovery == h26x.NoRecovery && pic.Intra && f.Info.Key {
		recovery = 0
	}
	switch {
	case h.IDR:
		l.known, l.own, l.leading, l.left = true, false, false, h26x.NoRecovery
	case recovery == 0 && pic.Intra:
		l.known, l.own, l.leading, l.left = true, false, l.own || gap, h26x.NoRecovery
	case gap:
		l.own, l.leading, l.left = true, true, h26x.NoRecovery
	}
	if recovery > 0 {
		l.left = recovery
	} else if l.left == 0 {
		l.own, l.left = false, h26x.NoRecovery
	} else if l.left > 0 && h.Referred {
		l.left--
	}
	if l.known && !pic.Intra {
		f.Broken = f.Broken || l.own || f.Leads && l.leading
	}
	switch {
	case h.Reset:
		l.lastReferred = 0
	case h.Referred:
		l.lastReferred = h.FrameNum
	case gap: // what is lost were references
		l.lastReferred = (h.FrameNum - 1 + h.MaxNum()) % h.MaxNum()
	}
}

// firstSlice reads the header of a packet's first slice.
func (r *references) firstSlice(packet []byte) (h h26x.AVCSliceHeader, ok bool) {
	found := false
	h26x.EachNAL(packet, r.reader.lengthSize, func(nal []byte) {
		if t := h26x.NALType(h26x.AVC, nal); !found && t >= h26x.AVCTypeSlice && t <= h26x.AVCTypeIDR {
			found = true
			if t == h26x.AVCTypeSlice || t == h26x.AVCTypeIDR {
				h, _, ok = r.headers.AVCSlice(nal)
			}
		}
	})
	return h, ok
}

// hevc takes the next picture of H.265, whose reference picture set names all that must be there.
func (l *lostFrames) hevc(pl *Plan, k int, refs *references) {
	headers, _, ok := refs.hevcSlices(refs.packets[k])
	if ok {
		switch h := &headers[0]; {
		case h.IRAP() && h.Unit != h26x.HEVCTypeCRA:
			l.known, l.skips, l.pictures = true, true, hevcPictures{}
		case h.Unit == h26x.HEVCTypeCRA && !l.known:
			l.known, l.skips, l.pictures = true, true, hevcPictures{}
		case h.Unit == h26x.HEVCTypeCRA:
			l.skips = false
		}
		l.known = l.known && l.pictures.add(k, headers)
	} else {
		l.known = false
	}
	if l.known && l.pictures.missing && !(l.skips && headers[0].Skipped()) {
		pl.Frames[k].Broken = true
	}
}
