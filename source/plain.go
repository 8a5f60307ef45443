package source

import (
	"fmt"
	"slices"
	"time"

	"github.com/kvsframes/kvsframes/internal/ebml"
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
// Unix epoch. The tags of the file are not about any fragment and are left out.

// turnPlain makes the document a plain one, before its first Cluster.
func (s *Splitter) turnPlain() error {
	d := &s.doc
	if d.badHead != nil {
		return d.badHead
	}
	d.plain = true
	from := d.part.mkv
	head := slices.Clone(from[d.header.at : d.header.at+d.header.len])
	head = ebml.AppendHeader(head, ebml.IDSegment, ebml.UnknownSize)
	head = append(head, from[d.info.at:d.info.at+d.info.len]...)
	for i := range d.tracks {
		d.tracks[i].privateAt += len(head) - d.tracksAt.at
	}
	d.head = append(head, from[d.tracksAt.at:d.tracksAt.at+d.tracksAt.len]...)
	return nil
}

// beginPlainPart begins a fragment with the next Cluster.
func (s *Splitter) beginPlainPart() {
	d := &s.doc
	d.part = &part{
		mkv:    append(s.spared(), d.head...),
		whole:  len(d.head),
		number: fmt.Sprintf("%06d", s.clusters),
	}
	s.clusters++
}

// endPlainPart decides, after a Cluster, which fragment it belongs to.
func (s *Splitter) endPlainPart() {
	d := &s.doc
	if d.waiting != nil && !d.part.startsAtKey(d.tracks) && d.waiting.join(d.part, len(d.head), s.max) {
		return
	}
	s.flushWaiting()
	d.waiting = d.part
}

// flushWaiting hands on the fragment that waited for the next Cluster.
func (s *Splitter) flushWaiting() {
	p := s.doc.waiting
	if p == nil {
		return
	}
	s.doc.waiting = nil
	if f := s.emit(p); f != nil {
		f.ProducerTime = time.Unix(0, int64(p.first)).UTC()
	}
}

// endPlainInput hands on what is whole when the input has ended. A file whose
// Segment or Cluster declares more is cut even where it ends between elements.
func (s *Splitter) endPlainInput(inside bool) {
	d := &s.doc
	cut := inside || s.unfinished()
	if s.state == inCluster {
		d.part.cutOff(d.tracks)
		s.endPlainPart()
		d.waiting.cutBlock = d.part.cutBlock
	}
	d.waiting.cut = cut
	s.flushWaiting()
}

// startsAtKey says whether the first video block is a key frame.
func (p *part) startsAtKey(tracks []track) bool {
	video, _ := videoTrack(tracks)
	i := slices.IndexFunc(p.blocks, func(b media.Block) bool { return b.Track == video })
	return i >= 0 && p.blocks[i].Key
}

// join appends the Clusters of q, which follow its first head bytes, unless the
// caps forbid it.
func (p *part) join(q *part, head int, limit int64) bool {
	if int64(len(p.mkv)+len(q.mkv)-head) > limit || len(p.blocks)+len(q.blocks) > maxBlocks {
		return false
	}
	moved := len(p.mkv) - head
	p.mkv = append(p.mkv, q.mkv[head:]...)
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
	return true
}
