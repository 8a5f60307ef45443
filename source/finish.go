package source

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/kvsframes/kvsframes/internal/ebml"
)

// errCutHead is the reason of a gap that has no number.
var errCutHead = errors.New("the payload ended inside the header of a chunk, before its first fragment was known")

// What a chunk of KVS that holds media never lacks.
var (
	errNoNumber = errors.New("the chunk has no fragment number")
	errNoTime   = errors.New("the chunk has no producer or no server timestamp")
)

// finishDocument ends a document whose end was found. Nothing stays of it, since the next one may
// come much later, but for the end of its Segment, up to which it may be followed by filler.
func (s *Splitter) finishDocument() {
	if s.doc.plain {
		s.flushWaiting()
	} else {
		s.finishChunk()
	}
	s.doc = document{segmentEnd: s.doc.segmentEnd}
}

// finishChunk hands on the fragment of a chunk, and the error that it reports. A
// chunk that has no number and reports nothing, such as one of a producer's tags
// alone, holds nothing to hand on.
func (s *Splitter) finishChunk() {
	d := &s.doc
	p, failure := d.part, d.tags.failure
	p.number = d.tags.number
	if p.bad == nil {
		p.bad = d.badHead
	}
	if s.strict && d.hasCluster && (d.tags.producer.IsZero() || d.tags.server.IsZero()) {
		spoil(&p.bad, s.in.Offset(), errNoTime)
	}
	switch {
	case p.number != "" && (failure == nil || len(p.blocks) > 0):
		if f := s.emit(p); f != nil {
			f.ProducerTime, f.ServerTime = d.tags.producer, d.tags.server
			f.TimeScale = max(f.TimeScale, time.Millisecond) // that of the clocks
			f.ContinuationToken, f.MillisBehindNow = d.tags.token, d.tags.behind
			f.Tags = d.tags.user
		}
	case p.bad != nil:
		s.ready = append(s.ready, result{err: s.gap("", p.bad, 0)})
	}
	if failure != nil {
		failure.FragmentNumber = p.number
		s.ready = append(s.ready, result{err: s.failure(failure)})
	}
}

// failure returns the error for an error chunk.
func (s *Splitter) failure(tag *ErrorTag) error {
	if tag.Class() == ClassGap {
		return s.gap(tag.FragmentNumber, tag, 0)
	}
	return tag
}

// endInput is called when no more can be read, because of err: it hands on what
// is whole and notes the error that Next will repeat.
func (s *Splitter) endInput(err error) {
	// The input's own word tells a payload that ended from a connection that
	// broke: inside an element both read as an unexpected end.
	broken := s.input.err != io.EOF
	inside := err != io.EOF
	s.err = io.EOF
	if broken {
		s.err = fmt.Errorf("read payload in %s: %w", s.where(), err)
	}
	s.whole = !inside && !broken && (s.state == atDocument || s.state == afterToken || !s.unfinished())
	d := &s.doc
	switch {
	case s.state == afterToken:
	case s.state == atDocument:
		if inside && !broken {
			s.ready = append(s.ready, result{err: s.gap("", errCutHead, 0)})
		}
	case d.plain:
		s.endPlainInput(inside)
	case d.tags.number == "" && d.tags.failure == nil:
		// Tags alone are a whole document, anything else is the start of one.
		if !broken && (inside || s.unfinished() || d.tracksAt.len > 0) {
			s.ready = append(s.ready, result{err: s.gap("", errCutHead, 0)})
		}
	default:
		d.part.cutOff(d.tracks)
		d.part.cut = inside || s.unfinished() || !d.hasCluster || s.state == inCluster
		s.finishChunk()
	}
}

// unfinished says whether the input ended inside an element that declares more.
// A Segment of unknown size is finished wherever it ends, and a Cluster of
// unknown size is judged by the caller.
func (s *Splitter) unfinished() bool {
	return s.state == beforeSegment || s.doc.segmentEnd != ebml.UnknownSize ||
		s.state == inCluster && s.doc.clusterEnd != ebml.UnknownSize
}
