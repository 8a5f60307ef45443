package payload

import (
	"errors"
	"io"
	"slices"
	"time"

	"github.com/kvsframes/kvsframes/internal/ebml"
	"github.com/kvsframes/kvsframes/media"
)

// maxEBMLHeader is the largest accepted EBML header, in bytes. Real ones have 35 or 36.
const maxEBMLHeader = 4 << 10

// readDocument reads an EBML header and begins a document with it.
func (s *Splitter) readDocument() error {
	h, err := s.peek()
	switch {
	case err != nil:
		return err
	case h.ID == ebml.IDVoid || h.ID == ebml.IDCRC32:
		_, err := s.readAside(h)
		return err
	case h.ID == ebml.IDSegment:
		s.beginDocument(s.doc.head.ebmlOrDefault())
		return nil
	case h.ID != ebml.IDEBML && s.chunks > 0 && ebml.IsSegmentChild(h.ID):
		// The Segment does not end at its declared end.
		s.doc.segmentEnd = ebml.UnknownSize
		s.state = inSegment
		return nil
	case h.ID != ebml.IDEBML:
		return s.syntax("element %#x where an EBML header is due", h.ID)
	case h.Size > maxEBMLHeader:
		return tooLarge("size of the EBML header", h.Size, maxEBMLHeader)
	}
	s.beginDocument(nil)
	if _, err = s.keep(h); err != nil {
		return err // the header may have swallowed other elements
	}
	s.doc.head.ebml = slices.Clone(s.doc.part.mkv)
	return nil
}

// beginDocument begins a document with the bytes of its EBML header, or without any yet.
func (s *Splitter) beginDocument(header []byte) {
	s.chunks++
	s.doc = document{
		segmentEnd: ebml.UnknownSize,
		head:       head{ebml: header, scale: defaultScale},
		part:       &part{mkv: append(s.spared(), header...), tags: noTags()},
	}
	s.doc.part.whole = len(s.doc.part.mkv)
	s.state = beforeSegment
}

// readSegment reads the header of the Segment.
func (s *Splitter) readSegment() error {
	h, err := s.peek()
	switch {
	case err != nil:
		return err
	case h.ID == ebml.IDVoid || h.ID == ebml.IDCRC32:
		_, err := s.keep(h)
		return err
	case h.ID != ebml.IDSegment:
		return s.syntax("element %#x where a Segment is due", h.ID)
	}
	p := s.doc.part
	if err := s.fits(int64(h.Len)); err != nil {
		return err
	}
	if p.mkv, err = s.in.Append(p.mkv, int64(h.Len)); err != nil {
		return err
	}
	p.whole = len(p.mkv)
	p.body = p.whole
	s.doc.segmentStart = s.in.Offset()
	if h.Size != ebml.UnknownSize {
		s.doc.segmentEnd = s.in.Offset() + h.Size
	}
	s.state = inSegment
	return nil
}

// readInSegment reads one child of the Segment, or finds its end.
func (s *Splitter) readInSegment() error {
	d := &s.doc
	switch offset := s.in.Offset(); {
	case offset == d.segmentEnd:
		s.endSegment()
		return nil
	case offset > d.segmentEnd:
		d.segmentEnd = ebml.UnknownSize // the declared size is too small
	}
	h, err := s.peek()
	switch {
	case err != nil:
		return err
	case h.ID == ebml.IDEBML || h.ID == ebml.IDSegment:
		s.finishDocument()
		s.state = atDocument
		return nil
	case h.ID == ebml.IDCluster:
		return s.beginCluster(h)
	case h.ID == ebml.IDTags:
		return s.readTags(h)
	case h.ID == ebml.IDInfo || h.ID == ebml.IDTracks || h.ID == ebml.IDSeekHead:
		return s.readHead(h)
	case !ebml.IsSegmentChild(h.ID) && h.ID != ebml.IDVoid && h.ID != ebml.IDCRC32:
		return s.syntax("element %#x inside a Segment", h.ID)
	case d.plain || d.part == nil:
		_, err := s.readAside(h)
		return err
	}
	_, err = s.keep(h)
	return err
}

// endSegment leaves a Segment at its declared end. If the Segment has no content yet, the size is wrong, as in
// a file whose writer never filled it in.
func (s *Splitter) endSegment() {
	d := &s.doc
	if d.part != nil && d.part.whole == d.part.body && len(d.head.tracks) == 0 {
		d.segmentEnd = ebml.UnknownSize
		return
	}
	s.finishDocument()
	s.state = atDocument
}

// readHead reads an element of the header. An error in its content makes the fragments that begin with it unusable.
func (s *Splitter) readHead(h ebml.Header) error {
	d := &s.doc
	read, at := s.keep, 0
	if d.part == nil || d.plain || d.part.hasCluster {
		read = s.readAside // it applies to what follows
	} else {
		at = len(d.part.mkv)
	}
	payload, err := read(h)
	if err != nil || payload == nil {
		return err
	}
	offset, before := s.last.offset, d.head
	switch h.ID {
	case ebml.IDInfo:
		err = s.setInfo(s.last.data, payload)
	case ebml.IDTracks:
		if at > 0 && d.part.tracksAt == 0 {
			d.part.tracksAt = at
		}
		err = s.setTracks(s.last.data, h.Len)
	default:
		d.head.tracksPosition = tracksPosition(payload)
	}
	if err == nil {
		s.last = lastElement{} // it is valid, so its size is right
		return nil
	}
	err = s.doubt(&d.head.bad, offset, err)
	if err != nil && h.ID == ebml.IDTracks && len(d.head.list) == 0 {
		d.restoreTracks(&before, at) // they may have swallowed the next elements, and valid ones may follow
	}
	return err
}

// restoreTracks restores the Tracks that the document had before the invalid ones at offset at of its part.
func (d *document) restoreTracks(before *head, at int) {
	d.head.tracks, d.head.list = before.tracks, before.list
	if p := d.part; p != nil && p.tracksAt == at {
		p.tracksAt = 0
	}
}

// doubt sets bad to an error in the content of the last element, which began at offset, if the sizes are right:
// a valid element must follow it. Otherwise it returns the error, and the element is damage.
func (s *Splitter) doubt(bad *error, offset int64, err error) error {
	h, peeked := s.in.Peek()
	if peeked == nil && !ebml.EndsCluster(h.ID) && h.ID != ebml.IDVoid ||
		errors.Is(peeked, ebml.ErrID) || errors.Is(peeked, ebml.ErrSize) {
		s.last.broken = true
		return &SyntaxError{Offset: offset, Reason: err.Error()}
	}
	s.last = lastElement{}
	spoil(bad, offset, err)
	return nil
}

// makesSense reports whether the next element may follow an element of a Cluster, so that the size of that is right.
func (s *Splitter) makesSense() bool {
	h, err := s.in.Peek()
	if err != nil {
		return !errors.Is(err, ebml.ErrID) && !errors.Is(err, ebml.ErrSize)
	}
	return isClusterChild(h) || ebml.EndsCluster(h.ID)
}

// beginCluster reads the header of a Cluster.
func (s *Splitter) beginCluster(h ebml.Header) error {
	d := &s.doc
	if d.tagsBehind && d.part != nil && d.part.hasCluster {
		s.finishChunk()
	}
	if d.part == nil && !d.plain {
		s.beginPart()
	}
	switch {
	case d.plain:
	case d.part.hasCluster || d.part.tags.number != "" || d.tagsBehind:
	case s.cfg.Chunks || s.recording || d.part.tags.kvs():
		spoil(&d.part.bad, s.in.Offset(), errNoNumber)
	default:
		d.plain = true
	}
	if d.plain {
		s.beginPlainPart()
	}
	if len(d.head.tracks) == 0 {
		s.lookUpTracks()
	}
	p := d.part
	if h.Size > s.max {
		// The blocks of the Cluster show its size, up to the limit.
		p.hurt(s.syntax("the Cluster's size (%d) is above that of a whole fragment, %d", h.Size, s.max))
		h.Size = ebml.UnknownSize
	}
	if err := s.fits(int64(h.Len) + max(h.Size, 0)); err != nil {
		return err
	}
	s.foresee(p, h)
	s.makeRoom(int64(h.Len))
	var err error
	if p.mkv, err = s.in.Append(p.mkv, int64(h.Len)); err != nil {
		return err
	}
	s.last = lastElement{}
	p.hasCluster, p.timed = true, false
	d.clusterEnd = ebml.UnknownSize
	if h.Size != ebml.UnknownSize {
		d.clusterEnd = s.in.Offset() + h.Size
	}
	s.state = inCluster
	return nil
}

// beginPart begins the next fragment of a document that has had one.
func (s *Splitter) beginPart() {
	s.doc.part = &part{tags: noTags(), next: true}
	s.doc.part.begin(s.spared(), &s.doc.head)
}

// readInCluster reads one child of a Cluster, or finds its end.
func (s *Splitter) readInCluster() error {
	d := &s.doc
	offset := s.in.Offset()
	if offset == d.clusterEnd || d.clusterEnd == ebml.UnknownSize && offset == d.segmentEnd {
		s.endCluster()
		return nil
	}
	h, err := s.peek()
	switch {
	case err != nil:
		return err
	case ebml.EndsCluster(h.ID):
		if d.clusterEnd != ebml.UnknownSize {
			d.part.hurt(s.syntax("the Cluster ends %d bytes early", d.clusterEnd-offset))
		}
		s.endCluster()
		return nil
	case !isClusterChild(h):
		return s.syntax("element %#x of size %d inside a Cluster", h.ID, h.Size)
	case h.Size > s.max:
		return s.syntax("element %#x size (%d) is above that of a whole fragment, %d", h.ID, h.Size, s.max)
	}
	if end := d.clusterEnd; end != ebml.UnknownSize && offset+int64(h.Len)+h.Size > end {
		if err := s.overrun(h); err != nil {
			return err
		}
	}
	at := len(d.part.mkv)
	payload, err := s.keep(h)
	if err != nil {
		return err
	}
	if err := s.addClusterElement(h.ID, payload, at+h.Len); err != nil {
		s.last.broken = true
		if errors.Is(err, ErrTooLarge) {
			return err
		}
		return &SyntaxError{Offset: offset, Reason: err.Error()}
	}
	return nil
}

// overrun handles an element that runs past the end of its Cluster: one of the two sizes is wrong. The bytes at
// the declared end of the Cluster show which.
func (s *Splitter) overrun(h ebml.Header) error {
	d := &s.doc
	if err := s.fits(int64(h.Len) + h.Size); err != nil {
		return err
	}
	s.last = s.last.next(s.in.Offset(), d.part)
	inside, err := s.in.Append(nil, d.clusterEnd-s.in.Offset())
	if err != nil {
		d.part.mkv = append(d.part.mkv, inside...)
		s.last.data = d.part.mkv[d.part.whole:]
		return err
	}
	_, err = s.in.Ahead(1)
	sound := errors.Is(err, io.EOF) || s.isSync()
	s.in.Unread(inside)
	if sound {
		return s.syntax("element %#x size (%d) runs past the end of its Cluster, %d left", h.ID, h.Size, int64(len(inside)-h.Len))
	}
	d.part.hurt(s.syntax("the Cluster continues after its end"))
	d.clusterEnd = ebml.UnknownSize
	return nil
}

// endCluster leaves a Cluster that is whole.
func (s *Splitter) endCluster() {
	s.state = inSegment
	if s.doc.plain {
		s.finishPart(s.doc.part)
		s.doc.part = nil
	}
}

// addClusterElement adds a whole child of a Cluster, whose payload begins at at. It ignores errors in blocks
// of other tracks than video.
func (s *Splitter) addClusterElement(id uint32, payload []byte, at int) error {
	p, h := s.doc.part, &s.doc.head
	var head blockHead
	var frames []span
	var err error
	switch id {
	case ebml.IDTimestamp:
		units, err := ebml.Uint(payload)
		if err != nil {
			return err
		}
		if units > maxTime/uint64(h.scale) {
			return errors.New("cluster timestamp is out of range")
		}
		p.setTimestamp(time.Duration(units) * time.Duration(h.scale))
		return nil
	case ebml.IDSimpleBlock:
		if head, frames, err = parseBlock(payload); err == nil {
			head.key = head.flags&flagKey != 0
		}
	case ebml.IDBlockGroup:
		head, frames, err = parseGroup(payload)
	default:
		return nil
	}
	if len(h.list) > 0 {
		i := slices.IndexFunc(h.list, func(t track) bool { return t.Number == head.track })
		switch {
		case i < 0 && err == nil && s.makesSense():
			p.hurt(s.syntax("block of track %d, which does not exist", head.track))
			return nil
		case i < 0 && err == nil:
			return errors.New("block of a track that does not exist")
		case i < 0:
		case err != nil && h.list[i].Type != media.TrackVideo:
			return nil
		}
	}
	if err != nil {
		return err
	}
	return p.addBlocks(head, frames, at, h.scale)
}
