package payload

import (
	"bytes"
	"errors"
	"time"

	"github.com/kvsframes/kvsframes/internal/ebml"
	"github.com/kvsframes/kvsframes/media"
)

// part is a fragment under construction.
type part struct {
	mkv []byte
	// body is the end of the document's header in mkv, 0 before its Segment. tracksAt is the offset of Tracks
	// in mkv, 0 when it has none.
	body, tracksAt int
	// likely is the expected final length of mkv, 0 before the first Cluster.
	likely int
	// certain reports whether the input is known to have the whole fragment.
	certain bool
	// whole is the length of mkv up to the end of its last whole element.
	whole int
	// The times of blocks are still absolute on the time line; laced are the runs of blocks that share a
	// block of the input.
	blocks []media.Block
	laced  []lace
	// told are the first of the blocks with the times that they will have, as far as they were told (see arriving.go). Only
	// appending changes it.
	told []media.Block
	// clock is the timestamp of the current cluster, timed reports whether the input has it; first is that of
	// the first cluster, if hasFirst.
	clock, first    time.Duration
	timed, hasFirst bool
	hasCluster      bool
	// next reports whether the part follows another fragment of its document.
	next bool
	// number is the fragment's number in a plain document, tags are the tags of a recording.
	number string
	tags   chunkTags
	// bad is the first error in the content, damage the cause of an early end.
	bad           error
	damage        string
	cut, cutBlock bool
}

// lace is a run of blocks that share one block of the input.
type lace struct {
	first, count int
	// duration is the duration of the block, 0 if it is not given.
	duration time.Duration
}

// name returns the fragment's number, "" when unknown.
func (p *part) name() string {
	if p.number != "" {
		return p.number
	}
	return p.tags.number
}

// spoil sets bad to an error in the content of the element at offset, unless it is already set. The walk
// continues, because the sizes around the element are right.
func spoil(bad *error, offset int64, err error) {
	if *bad != nil {
		return
	}
	if !errors.Is(err, ErrTooLarge) {
		err = &SyntaxError{Offset: offset, Reason: err.Error()}
	}
	*bad = err
}

// hurt records that the fragment ends early, or has lost bytes, because of damage.
func (p *part) hurt(cause error) {
	p.cut = true
	if p.damage == "" {
		p.damage = cause.Error()
	}
}

// begin puts a document's header into an empty part.
func (p *part) begin(room []byte, h *head) {
	p.mkv = append(room, h.ebmlOrDefault()...)
	p.mkv = ebml.AppendHeader(p.mkv, ebml.IDSegment, ebml.UnknownSize)
	p.mkv = append(p.mkv, h.info...)
	if len(h.tracks) > 0 {
		p.tracksAt = len(p.mkv)
		p.mkv = append(p.mkv, h.tracks...)
	}
	p.body = len(p.mkv)
	p.whole = p.body
}

// complete adds the header to a part that was begun before Tracks were read.
func (p *part) complete(h *head) {
	if p.tracksAt > 0 || len(h.tracks) == 0 {
		return
	}
	old, from := p.mkv, p.body
	p.begin(make([]byte, 0, len(old)+len(h.ebml)+len(h.info)+len(h.tracks)+ebml.MaxHeader), h)
	moved := p.body - from
	p.mkv = append(p.mkv, old[from:]...)
	p.whole = len(p.mkv)
	for i := range p.blocks {
		p.blocks[i].Offset += moved
	}
}

// setTimestamp sets the timestamp of the current cluster.
func (p *part) setTimestamp(t time.Duration) {
	p.clock, p.timed = t, true
	if !p.hasFirst {
		p.first, p.hasFirst = t, true
	}
}

// addBlocks adds the frames of one block, whose data begins at at. Frames of one block share its time until the
// fragment is finished.
func (p *part) addBlocks(head blockHead, frames []span, at int, scale int64) error {
	if !p.timed {
		return errors.New("block before the timestamp of its cluster")
	}
	if total := len(p.blocks) + len(frames); total > maxBlocks {
		return tooLarge("number of blocks", int64(total), maxBlocks)
	}
	if len(frames) > 1 {
		p.laced = append(p.laced, lace{len(p.blocks), len(frames), min(time.Duration(head.duration), maxTime/maxScale) * time.Duration(scale)})
	}
	for _, f := range frames {
		p.blocks = append(p.blocks, media.Block{
			Track:  head.track,
			Time:   p.clock + time.Duration(head.time)*time.Duration(scale),
			Key:    head.key,
			Offset: at + head.at + f.at,
			Size:   f.len,
		})
	}
	return nil
}

// spread gives each frame of a shared block its own time. Their distance is a frame's nominal duration, or else
// derived from the block's duration, or else from the distance to the next block of the track or, for the last
// one, to the previous block.
func (p *part) spread(tracks []track) {
	var step time.Duration
	for _, l := range p.laced {
		if l.first+l.count > len(p.blocks) {
			break // its block was damaged
		}
		number, at := p.blocks[l.first].Track, p.blocks[l.first].Time
		var nominal time.Duration
		for _, t := range tracks {
			if t.Number == number {
				nominal = t.DefaultDuration
			}
		}
		next := l.first + l.count
		for next < len(p.blocks) && p.blocks[next].Track != number {
			next++
		}
		switch {
		case nominal > 0:
			step = nominal
		case l.duration > 0:
			step = l.duration / time.Duration(l.count)
		case next < len(p.blocks) && p.blocks[next].Time > at:
			step = (p.blocks[next].Time - at) / time.Duration(l.count)
		}
		for i := range l.count {
			p.blocks[l.first+i].Time = at + time.Duration(i)*step
		}
	}
	p.laced = nil
}

// cutOff drops the element in which the input ended.
func (p *part) cutOff(video uint64, tracks []track) {
	p.cutBlock = cutsVideo(p.mkv[p.whole:], video, tracks)
	p.mkv = p.mkv[:p.whole]
}

// fragment returns the finished fragment.
func (p *part) fragment(stream string, h *head) *media.Fragment {
	f := &media.Fragment{
		Stream:            stream,
		Number:            p.name(),
		ProducerTime:      p.tags.producer,
		ServerTime:        p.tags.server,
		ContinuationToken: p.tags.token,
		MillisBehindNow:   p.tags.behind,
		Tags:              p.tags.user,
		Cut:               p.cut,
		CutBlock:          p.cutBlock,
		Damage:            p.damage,
		Timecode:          p.first,
		Blocks:            p.blocks,
		TimeScale:         time.Duration(h.scale),
		MKV:               p.mkv,
	}
	// Growing leaves unused capacity; the queues of fragments are limited by the bytes that they hold.
	if cap(f.MKV)-len(f.MKV) > len(f.MKV)/2 {
		f.MKV = bytes.Clone(f.MKV)
	}
	if p.number == "" {
		f.TimeScale = max(f.TimeScale, time.Millisecond) // the resolution of the clocks
	}
	for i := range f.Blocks {
		f.Blocks[i].Time -= p.first
	}
	f.Tracks = make([]media.Track, len(h.list))
	for i, t := range h.list {
		f.Tracks[i] = t.in(f.MKV, p.tracksAt)
	}
	return f
}

// videoBlocks counts the blocks of the video track, including one that was cut off.
func (p *part) videoBlocks(video uint64) int {
	count := 0
	for _, b := range p.blocks {
		if video != 0 && b.Track == video {
			count++
		}
	}
	if p.cutBlock {
		count++
	}
	return count
}

// emit queues a part, as a fragment or as a gap.
func (s *Splitter) emit(p *part) {
	h := &s.doc.head
	s.doc.counted = true
	p.spread(h.list)
	video := s.choice.of(h.list, p.blocks)
	if p.bad != nil {
		s.ready = append(s.ready, result{err: s.gap(p.name(), p.bad, p.videoBlocks(video))})
		return
	}
	s.expect = len(p.mkv) + len(p.mkv)/4
	f := p.fragment(s.cfg.Stream, h)
	f.VideoTrackNumber = video
	f, err := s.normalise(f, h)
	if size := int64(len(p.mkv)); err == nil && size > s.max {
		err = tooLarge("fragment size", size, s.max) // the default header replaced a lost one and is longer
	}
	if err != nil {
		s.ready = append(s.ready, result{err: s.gap(p.name(), err, p.videoBlocks(video))})
		return
	}
	s.recycle(f)
	s.ready = append(s.ready, result{fragment: f})
}

// gap returns the error for a fragment that is lost.
func (s *Splitter) gap(number string, err error, lost int) error {
	return NewGap(s.cfg.Stream, number, err, lost)
}
