package source

import (
	"fmt"
	"slices"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// A plain MKV file is cut before every Cluster whose first video block is a key
// frame. A Cluster that begins otherwise, or holds no video, joins the fragment
// before it, unless that would make it larger than the cap.
//
// The MKV of such a fragment is the EBML header, a Segment header of unknown
// size, Info and Tracks of the file, and the Clusters; seek tables, tags and
// attachments are left out. Its number is the ordinal of its first Cluster in
// the whole input, its producer time the Cluster's timestamp counted from the
// start time (SplitConfig.StartTime). The tags of the file are not about any fragment
// and are left out.

// StartTime is the instant of timestamp zero of plain MKV files; the zero value, auto, is the
// file's own (DateUTC), or else the Unix epoch.
type StartTime struct{ time.Time }

// UnmarshalText reads a time as RFC 3339 writes it, or auto.
func (t *StartTime) UnmarshalText(text []byte) error {
	if string(text) == "auto" {
		*t = StartTime{}
		return nil
	}
	if err := t.Time.UnmarshalText(text); err != nil {
		return fmt.Errorf("%q is not a time: write auto or a time such as 2026-11-01T00:00:00Z", text)
	}
	t.Time = t.UTC()
	return nil
}

// Syntax returns what messages ask for.
func (StartTime) Syntax() string { return "auto or a time such as 2026-11-01T00:00:00Z" }

// MarshalText writes what UnmarshalText reads.
func (t StartTime) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// String returns auto, or the time.
func (t StartTime) String() string {
	if t.IsZero() {
		return "auto"
	}
	return t.Format(time.RFC3339Nano)
}

// beginPlainPart begins a fragment with the next Cluster.
func (s *Splitter) beginPlainPart() {
	s.doc.part = &part{number: fmt.Sprintf("%06d", s.clusters), tags: noTags()}
	s.doc.part.begin(s.spared(), &s.doc.head)
	s.clusters++
}

// finishPart decides, after a Cluster of a plain document, which fragment it belongs to.
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

// flushWaiting hands on the fragment that waited for the next Cluster.
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

// startTime is the instant of timestamp zero of a plain document.
func (s *Splitter) startTime() time.Time {
	switch h := &s.doc.head; {
	case !s.cfg.StartTime.IsZero():
		return s.cfg.StartTime.Time
	case !h.date.IsZero():
		return h.date
	}
	s.warn("start time", "the file does not tell when it was recorded: times begin in 1970; set source.start_time")
	return time.Unix(0, 0).UTC()
}

// endPlainInput hands on what is whole when the input has ended. A file whose
// Segment or Cluster declares more is cut even where it ends between elements.
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

// join appends the Clusters of q, which follow its header, unless the caps forbid it.
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
