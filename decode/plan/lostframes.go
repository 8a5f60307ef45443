package plan

import "github.com/kvsframes/kvsframes/decode/h26x"

// lostFrames finds the pictures of a stream that refer to missing ones. Pictures that were lost before they
// were muxed leave no other trace. It continues from fragment to fragment. After a slice header that cannot be
// read, it does not find what is lost before the next one and, of H.265, before the next entry.
type lostFrames struct {
	// known reports whether the header before could be read and, of H.265, all since an entry.
	known bool
	// lastReferred is the frame_num of the last reference picture of H.264.
	lastReferred int32
	// own reports whether the next picture may refer to a lost one, leading whether a leading picture may.
	own, leading bool
	// left is the number of reference pictures until one that a gradual refresh has made whole, or NoRecovery.
	left int
	// pictures are the references of H.265. skips reports whether those of skipped leading pictures are not known.
	pictures hevcPictures
	skips    bool
}

// mark marks the pictures of a fragment that may refer to lost ones as broken.
func (l *lostFrames) mark(pl *Plan, refs *references) {
	if !refs.readSets() {
		*l = lostFrames{}
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

// avc processes the next picture of H.264. Where frame_num jumps, a reference is lost, and where it is that of the last reference, one is there
// twice, since only the fields of a frame share it (ITU-T H.264, 7.4.3). Any later picture may refer to it. Pictures that no other refers to have the
// next number; some encoders give them the last one.
func (l *lostFrames) avc(pl *Plan, k int, refs *references) {
	f, pic := &pl.Frames[k], &pl.Pictures[k]
	h, ok := refs.firstSlice(refs.packets[k])
	if !ok {
		l.known = false
		if pic.Entry == EntryClosed {
			l.own, l.leading, l.left = false, false, h26x.NoRecovery
		}
		return
	}
	jumps := h.FrameNum != l.lastReferred && h.FrameNum != (l.lastReferred+1)%h.MaxNum()
	gap := l.known && !h.IDR && (jumps && !h.SPS.Gaps || h.Referred && h.FrameNum == l.lastReferred)
	recovery := pl.recovery(k)
	switch {
	case h.IDR:
		l.own, l.leading, l.left = false, false, h26x.NoRecovery
	case recovery == 0 && pic.Intra:
		l.own, l.leading, l.left = false, l.own || gap, h26x.NoRecovery
	case gap:
		l.own, l.leading, l.left = true, true, h26x.NoRecovery
	}
	if recovery > 0 {
		l.left = recovery
	} else if l.left > 0 && h.Referred {
		l.left--
	}
	if l.left == 0 {
		l.own, l.leading, l.left = false, l.own, h26x.NoRecovery
	}
	if !pic.Intra {
		f.Broken = f.Broken || l.own || f.Leads && l.leading
	}
	switch {
	case h.Reset:
		l.lastReferred = 0
	case h.Referred:
		l.lastReferred = h.FrameNum
	case gap, !l.known: // a picture that no other refers to has the number after that of the last reference
		l.lastReferred = (h.FrameNum - 1 + h.MaxNum()) % h.MaxNum()
	}
	l.known = true
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

// hevc processes the next picture of H.265, whose reference picture set names all pictures that it needs.
func (l *lostFrames) hevc(pl *Plan, k int, refs *references) {
	headers, _, ok := refs.hevcSlices(refs.packets[k])
	if !ok {
		l.known = false
		return
	}
	switch h := &headers[0]; {
	case h.IRAP() && (h.Unit != h26x.HEVCTypeCRA || !l.known):
		l.known, l.skips, l.pictures = true, true, hevcPictures{}
	case h.Unit == h26x.HEVCTypeCRA:
		l.skips = false
	}
	if l.known && l.pictures.astray(&headers[0]) {
		// A decoder that began with the IRAP picture skips it, and one that continued does not. So none gets it.
		f := &pl.Frames[k]
		f.Feed, f.Disposable, f.Broken = false, true, true
		return
	}
	l.known = l.known && l.pictures.add(k, headers)
	if l.known && l.pictures.missing && !(l.skips && headers[0].Skipped()) {
		pl.Frames[k].Broken = true
	}
}
