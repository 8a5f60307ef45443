package decode

// lostFrames finds the pictures of a stream that refer to pictures which are not there: those
// that were lost before they were put into blocks leave nothing else behind. It goes on from fragment to fragment.
// Where slice headers cannot be read it tells nothing until the next entry.
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
func (l *lostFrames) mark(pl *plan, refs *references) {
	if !refs.readSets() {
		l.known = false
		return
	}
	for k := range pl.frames {
		if refs.reader.codec == codecHEVC {
			l.hevc(pl, k, refs)
		} else {
			l.avc(pl, k, refs)
		}
	}
}

// avc takes the next picture of H.264. A reference is lost where frame_num jumps (ITU-T H.264, 7.4.3), and which of
// the pictures after it refer to it is not known.
func (l *lostFrames) avc(pl *plan, k int, refs *references) {
	f, pic := &pl.frames[k], &pl.pics[k]
	h, ok := refs.firstSlice(refs.packets[k])
	if !ok {
		l.known = false
		return
	}
	gap := l.known && !h.idr && !h.sps.gaps && h.frameNum != l.lastReferred && h.frameNum != (l.lastReferred+1)%h.maxNum()
	recovery := pic.recovery
	if recovery == noRecovery && pic.intra && f.info.Key {
		recovery = 0
	}
	switch {
	case h.idr:
		l.known, l.own, l.leading, l.left = true, false, false, noRecovery
	case recovery == 0 && pic.intra:
		l.known, l.own, l.leading, l.left = true, false, l.own || gap, noRecovery
	case gap:
		l.own, l.leading, l.left = true, true, noRecovery
	}
	if recovery > 0 {
		l.left = recovery
	} else if l.left == 0 {
		l.own, l.left = false, noRecovery
	} else if l.left > 0 && h.referred {
		l.left--
	}
	if l.known && !pic.intra {
		f.broken = f.broken || l.own || f.leads && l.leading
	}
	switch {
	case h.reset:
		l.lastReferred = 0
	case h.referred:
		l.lastReferred = h.frameNum
	case gap: // what is lost were references
		l.lastReferred = (h.frameNum - 1 + h.maxNum()) % h.maxNum()
	}
}

// firstSlice reads the header of a packet's first slice.
func (r *references) firstSlice(packet []byte) (h avcSliceHeader, ok bool) {
	found := false
	eachNAL(packet, r.reader.lengthSize, func(nal []byte) {
		if t := nalType(codecAVC, nal); !found && t >= avcSlice && t <= avcIDR {
			found = true
			if t == avcSlice || t == avcIDR {
				h, _, ok = r.slice(nal)
			}
		}
	})
	return h, ok
}

// hevc takes the next picture of H.265, whose reference picture set names all that must be there.
func (l *lostFrames) hevc(pl *plan, k int, refs *references) {
	headers, _, ok := refs.hevcSlices(refs.packets[k])
	if ok {
		switch h := &headers[0]; {
		case h.irap() && h.unit != hevcCRA:
			l.known, l.skips, l.pictures = true, true, hevcPictures{}
		case h.unit == hevcCRA && !l.known:
			l.known, l.skips, l.pictures = true, true, hevcPictures{}
		case h.unit == hevcCRA:
			l.skips = false
		}
		l.known = l.known && l.pictures.add(k, headers)
	} else {
		l.known = false
	}
	if l.known && l.pictures.missing && !(l.skips && headers[0].skipped()) {
		pl.frames[k].broken = true
	}
}
