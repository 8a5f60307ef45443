package source

import (
	"errors"
	"time"

	"github.com/kvsframes/kvsframes/internal/ebml"
)

// maxEBMLHeader is the largest EBML header that is believed, in bytes. Real ones
// have 35 or 36.
const maxEBMLHeader = 4 << 10

// readDocument reads an EBML header and begins a document with it.
func (s *Splitter) readDocument() error {
	h, err := s.peek()
	if err != nil {
		return err
	}
	if h.ID == ebml.IDVoid {
		return s.skipFiller(h)
	}
	if h.ID != ebml.IDEBML {
		return s.syntax("element %#x where an EBML header is due", h.ID)
	}
	s.chunks++
	s.doc = document{
		segmentEnd: ebml.UnknownSize,
		scale:      defaultScale,
		part:       &part{mkv: s.spared()},
		tags:       chunkTags{behind: -1},
	}
	s.state = beforeSegment
	if h.Size > maxEBMLHeader {
		return tooLarge("size of the EBML header", h.Size, maxEBMLHeader)
	}
	_, err = s.keep(h)
	s.doc.header = span{0, len(s.doc.part.mkv)}
	return err
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
	if h.Size != ebml.UnknownSize {
		s.doc.segmentEnd = s.in.Offset() + h.Size
	}
	s.state = inSegment
	return nil
}

// readInSegment reads one child of the Segment, or finds its end.
func (s *Splitter) readInSegment() error {
	d := &s.doc
	if s.in.Offset() == d.segmentEnd {
		s.finishDocument()
		s.state = atDocument
		return nil
	}
	h, err := s.child(d.segmentEnd)
	switch {
	case err != nil:
		return err
	case h.ID == ebml.IDEBML && d.segmentEnd == ebml.UnknownSize:
		s.finishDocument()
		s.state = atDocument
		return nil
	case h.ID == ebml.IDEBML || h.ID == ebml.IDSegment:
		return s.syntax("element %#x inside a Segment", h.ID)
	case h.ID == ebml.IDCluster:
		return s.beginCluster(h)
	case d.plain:
		return s.skip(h)
	}
	return s.readHeadElement(h)
}

// readHeadElement keeps a child of the Segment that is no Cluster, and reads it
// if its meaning is known. What is wrong with its content costs one fragment.
func (s *Splitter) readHeadElement(h ebml.Header) error {
	d := &s.doc
	offset, at := s.in.Offset(), len(d.part.mkv)
	payload, err := s.keep(h)
	if err != nil {
		return err
	}
	place := span{at, len(d.part.mkv) - at}
	switch {
	case h.ID == ebml.IDInfo && d.info.len == 0:
		d.info = place
		if scale, bad := parseInfo(payload); bad == nil {
			d.scale = scale
		} else {
			err = bad
		}
	case h.ID == ebml.IDTracks && d.tracksAt.len == 0:
		d.tracksAt = place
		d.tracks, err = parseTracks(payload)
		for i := range d.tracks {
			d.tracks[i].privateAt += at + h.Len
		}
	case h.ID == ebml.IDTags:
		if err = d.tags.add(payload); err == nil && d.hasCluster && d.tags.token != "" {
			s.finishDocument()
			s.state = afterToken
		}
	}
	switch {
	case err == nil:
	case h.ID == ebml.IDTags:
		spoil(&d.part.bad, offset, err)
	default:
		spoil(&d.badHead, offset, err)
	}
	return nil
}

// readAfterToken skips what stands between the end of a chunk and the next one.
func (s *Splitter) readAfterToken() error {
	if s.in.Offset() == s.doc.segmentEnd {
		s.state = atDocument
		return nil
	}
	h, err := s.child(s.doc.segmentEnd)
	if err != nil {
		return err
	}
	if h.ID == ebml.IDEBML {
		s.state = atDocument
		return nil
	}
	return s.skipFiller(h)
}

// skipFiller skips an element between chunks. It is held to the cap, because a
// live reader must not wait for the end of something that no producer sends.
func (s *Splitter) skipFiller(h ebml.Header) error {
	if h.Size > s.max {
		return tooLarge("size of an element between chunks", h.Size, s.max)
	}
	return s.skip(h)
}

// beginCluster reads the header of a Cluster.
func (s *Splitter) beginCluster(h ebml.Header) error {
	d := &s.doc
	switch {
	case d.hasCluster || d.tags.number != "":
	case s.strict:
		spoil(&d.badHead, s.in.Offset(), errNoNumber)
	default:
		if err := s.turnPlain(); err != nil {
			return err
		}
	}
	d.hasCluster = true
	if d.plain {
		s.beginPlainPart()
	}
	p := d.part
	if err := s.fits(int64(h.Len) + max(h.Size, 0)); err != nil {
		return err
	}
	s.foresee(p, h)
	s.makeRoom(int64(h.Len))
	var err error
	if p.mkv, err = s.in.Append(p.mkv, int64(h.Len)); err != nil {
		return err
	}
	p.timed = false
	d.clusterEnd = ebml.UnknownSize
	if h.Size != ebml.UnknownSize {
		d.clusterEnd = s.in.Offset() + h.Size
	}
	s.state = inCluster
	return nil
}

// readInCluster reads one child of a Cluster, or finds its end.
func (s *Splitter) readInCluster() error {
	d := &s.doc
	if s.in.Offset() == d.clusterEnd || s.in.Offset() == d.segmentEnd {
		return s.endCluster()
	}
	end := d.clusterEnd
	if end == ebml.UnknownSize {
		end = d.segmentEnd
	}
	h, err := s.child(end)
	if err != nil {
		return err
	}
	if isSegmentChild(h.ID) || h.ID == ebml.IDEBML || h.ID == ebml.IDSegment {
		if d.clusterEnd == ebml.UnknownSize {
			return s.endCluster()
		}
		return s.syntax("element %#x inside a Cluster", h.ID)
	}
	offset, at := s.in.Offset(), len(d.part.mkv)
	payload, err := s.keep(h)
	if err != nil {
		return err
	}
	if err := d.addClusterElement(h.ID, payload, at+h.Len); err != nil {
		spoil(&d.part.bad, offset, err)
	}
	return nil
}

// endCluster leaves a Cluster that is whole.
func (s *Splitter) endCluster() error {
	s.state = inSegment
	if s.doc.plain {
		s.endPlainPart()
	}
	return nil
}

// addClusterElement takes a whole child of a Cluster, whose payload begins at at.
func (d *document) addClusterElement(id uint32, payload []byte, at int) error {
	p := d.part
	switch id {
	case ebml.IDTimestamp:
		units, err := ebml.Uint(payload)
		if err != nil {
			return err
		}
		if units > maxTime/uint64(d.scale) {
			return errors.New("cluster timestamp is out of range")
		}
		p.setTimestamp(time.Duration(units) * time.Duration(d.scale))
		return nil
	case ebml.IDSimpleBlock:
		head, frames, err := parseBlock(payload)
		if err != nil {
			return err
		}
		return p.addBlocks(head, frames, at, d.scale, head.flags&flagKey != 0)
	case ebml.IDBlockGroup:
		block, key, err := groupBlock(payload)
		if err != nil {
			return err
		}
		head, frames, err := parseBlock(block.Data)
		if err != nil {
			return err
		}
		return p.addBlocks(head, frames, at+block.Offset, d.scale, key)
	}
	return nil
}
