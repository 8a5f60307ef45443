package payload

import (
	"fmt"
	"slices"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// A plain MKV file is cut before every Cluster whose first video block is a key frame. Any other Cluster joins
// the previous fragment, unless that would exceed the maximum size.
//
// The MKV of such a fragment is the EBML header, a Segment header of unknown size, Info and Tracks of the file,
// and the Clusters; seek tables, tags and attachments are left out. Its number is the index of its first
// Cluster in the whole input, its producer time the Cluster's timestamp plus the start time (Config.StartTime).
// The tags of the file do not concern single fragments and are left out.

// beginPlainPart begins a fragment with the next Cluster.
func (s *Splitter) beginPlainPart() {
	s.doc.part = &part{number: fmt.Sprintf("%06d", s.clusters), tags: noTags()}
	s.doc.part.begin(s.spared(), &s.doc.head)
	s.clusters++
}

// finishPart decides, after a Cluster of a plain document, to which fragment the Cluster belongs.
func (s *Splitter) finishPart(p *part) {
	d := &s.doc
	if s.orphan(p) {
		return
	}
	video := s.choice.of(d.head.list, p.blocks)
	if d.waiting != nil && !p.startsAtKey(video) && d.waiting.join(p, s.max) {
		return
	}
	s.flushWaiting()
	d.waiting = p
}

// flushWaiting queues the fragment that waited for the next Cluster.
func (s *Splitter) flushWaiting() {
	p := s.doc.waiting
	if p == nil {
		return
	}
	s.doc.waiting = nil
	if p.bad == nil {
		p.bad = s.doc.head.bad
	}
	p.tags.producer = s.startTime().Add(p.first)
	s.emit(p)
}

// startTime returns the instant of timestamp zero of a plain document.
func (s *Splitter) startTime() time.Time {
	switch h := &s.doc.head; {
	case !s.cfg.StartTime.IsZero():
		return s.cfg.StartTime
	case !h.date.IsZero():
		return h.date
	}
	s.warn("start time", "the file has no recording date: times begin in 1970; set source.start_time")
	return time.Unix(0, 0).UTC()
}

// endPlainInput queues the whole fragments at the end of the input. A file whose Segment or Cluster declares
// more is cut even if it ends between elements.
func (s *Splitter) endPlainInput(inside bool) {
	d := &s.doc
	cut := inside || s.unfinished()
	if p := d.part; s.state == inCluster && p != nil {
		p.cutOff(s.choice.of(d.head.list, p.blocks), d.head.list)
		cutBlock := p.cutBlock
		s.finishPart(p)
		if d.waiting != nil {
			d.waiting.cutBlock = cutBlock
		}
	}
	if d.waiting != nil {
		d.waiting.cut = d.waiting.cut || cut
	}
	d.part = nil
	s.finishDocument()
}

// startsAtKey reports whether the first video block is a key frame.
func (p *part) startsAtKey(video uint64) bool {
	i := slices.IndexFunc(p.blocks, func(b media.Block) bool { return b.Track == video })
	return i >= 0 && p.blocks[i].Key
}

// join appends the Clusters of q, which follow its header, unless that would exceed a limit.
func (p *part) join(q *part, limit int64) bool {
	if int64(len(p.mkv)+len(q.mkv)-q.body) > limit || len(p.blocks)+len(q.blocks) > maxBlocks {
		return false
	}
	moved := len(p.mkv) - q.body
	for _, l := range q.laced {
		l.first += len(p.blocks)
		p.laced = append(p.laced, l)
	}
	p.mkv = append(p.mkv, q.mkv[q.body:]...)
	p.whole = len(p.mkv)
	for _, b := range q.blocks {
		b.Offset += moved
		p.blocks = append(p.blocks, b)
	}
	if !p.hasFirst {
		p.first, p.hasFirst = q.first, q.hasFirst
	}
	if p.bad == nil {
		p.bad = q.bad
	}
	p.cut, p.damage = q.cut, q.damage
	return true
}
