package payload

import (
	"errors"
	"fmt"
	"io"

	"github.com/kvsframes/kvsframes/internal/ebml"
)

// Errors for a chunk of KVS with media that lacks something required.
var (
	errNoNumber = errors.New("the chunk has no fragment number")
	errNoTime   = errors.New("the chunk has no producer or no server timestamp")
	errNoTracks = errors.New("the Tracks of the fragment are missing")
)

// finishDocument ends a document whose end was found. It keeps only the header, since the next document may
// arrive much later, and the end of the Segment, up to which filler may follow.
func (s *Splitter) finishDocument() {
	d := &s.doc
	if d.plain {
		s.flushWaiting()
	} else {
		s.finishChunk()
	}
	for _, p := range d.orphans {
		if p.bad == nil && (d.plain || d.hurt) {
			spoil(&p.bad, s.in.Offset(), errNoTracks)
		}
		s.emitChunk(p)
	}
	*d = document{segmentEnd: d.segmentEnd, head: d.head, plain: d.plain}
}

// finishChunk queues the fragment of a chunk, if there is one.
func (s *Splitter) finishChunk() {
	p := s.doc.part
	if p == nil {
		return
	}
	s.doc.part = nil
	if !s.orphan(p) {
		s.emitChunk(p)
	}
}

// orphan keeps a part with media until Tracks arrive, and reports whether it does. In files, Tracks may
// follow the Clusters.
func (s *Splitter) orphan(p *part) bool {
	d := &s.doc
	p.complete(&d.head)
	if p.tracksAt > 0 || len(p.blocks) == 0 || p.bad != nil || d.head.bad != nil {
		return false
	}
	d.orphaned += int64(len(p.mkv))
	if d.orphaned > s.max {
		spoil(&p.bad, s.in.Offset(), errNoTracks)
		return false
	}
	d.orphans = append(d.orphans, p)
	return true
}

// adopt queues the parts that waited for Tracks.
func (s *Splitter) adopt() {
	orphans := s.doc.orphans
	s.doc.orphans, s.doc.orphaned = nil, 0
	for _, p := range orphans {
		p.complete(&s.doc.head)
		if s.doc.plain {
			s.finishPart(p)
		} else {
			s.emitChunk(p)
		}
	}
}

// emitChunk queues a fragment of a recording, and the error that it reports. A chunk without a number and
// without an error, such as one with only a producer's tags, yields nothing.
func (s *Splitter) emitChunk(p *part) {
	failure := p.tags.failure
	if p.bad == nil {
		p.bad = s.doc.head.bad
	}
	if s.cfg.Chunks && p.hasCluster && (p.tags.producer.IsZero() || p.tags.server.IsZero()) {
		spoil(&p.bad, s.in.Offset(), errNoTime)
	}
	switch number := p.name(); {
	case number != "" && (failure == nil || len(p.blocks) > 0), p.bad != nil:
		s.emit(p)
	}
	if failure != nil {
		failure.FragmentNumber = p.tags.number
		s.ready = append(s.ready, result{err: s.failure(failure)})
	}
}

// failure returns the error for an error chunk.
func (s *Splitter) failure(tag *ErrorTag) error {
	if tag.ID == tagNotFound {
		return s.gap(tag.FragmentNumber, tag, 0)
	}
	return tag
}

// endInput is called when no more can be read, because of err: it queues the whole fragments and records the
// error that Next will repeat.
func (s *Splitter) endInput(err error) {
	// The input's own error distinguishes a payload that ended from a broken connection: inside an element both
	// are an unexpected end.
	broken := s.input.err != io.EOF
	inside := err != io.EOF
	if s.hole == nil && inside && !broken && len(s.last.data) > 0 {
		// The element in which the input ended may have swallowed others.
		s.hole = &hole{seen: s.in.Offset(), from: s.in.Offset(), cut: err, was: s.state}
		s.hole.cause = s.syntax("the payload ends inside an element")
		s.goBack()
		s.state = inHole
		return
	}
	s.err = io.EOF
	if broken {
		s.err = fmt.Errorf("read payload in %s: %w", s.where(), err)
	}
	if h := s.hole; h != nil {
		if h.cut == nil {
			s.endInHole()
			return
		}
		s.hole, s.state, inside = nil, h.was, true
	}
	s.endWalk(inside, broken)
}

// endInHole ends an input whose rest is damaged.
func (s *Splitter) endInHole() {
	if s.chunks == 0 && s.err == io.EOF {
		s.err = &SplitError{Where: s.where(), Err: s.hole.cause}
		return
	}
	s.endHole(s.in.Offset())
	s.finishDocument()
}

// endWalk ends an input that was valid to its end.
func (s *Splitter) endWalk(inside, broken bool) {
	d := &s.doc
	p := d.part
	begun := p != nil && (p.hasCluster || p.tags.number != "" || p.tags.failure != nil)
	s.whole = !inside && !broken && (s.state == atDocument || p == nil || !s.unfinished())
	switch {
	case s.state == atDocument:
		if inside && !broken {
			s.ready = append(s.ready, result{err: s.gap("", ErrCutHeader, 0)})
		}
	case d.plain:
		s.endPlainInput(inside)
	case p == nil: // between two fragments
	case !begun:
		// A document with only tags is whole, any other one has just begun.
		if !broken && (inside || !p.next && (s.unfinished() || p.tracksAt > 0)) {
			s.ready = append(s.ready, result{err: s.gap("", ErrCutHeader, 0)})
		}
	default:
		p.cutOff(s.choice.of(d.head.list, p.blocks), d.head.list)
		p.cut = p.cut || inside || s.unfinished() || !p.hasCluster || s.state == inCluster
	}
	if !d.plain && !begun {
		d.part = nil
	}
	s.finishDocument()
}

// unfinished reports whether the input ended inside an element that declares more. A Segment of unknown size
// may end anywhere; the caller checks a Cluster of unknown size.
func (s *Splitter) unfinished() bool {
	return s.state == beforeSegment || s.doc.segmentEnd != ebml.UnknownSize && s.in.Offset() != s.doc.segmentEnd ||
		s.state == inCluster && s.doc.clusterEnd != ebml.UnknownSize && s.in.Offset() != s.doc.clusterEnd
}
