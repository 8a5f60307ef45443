package payload

import (
	"slices"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// A Splitter can tell of the fragment that is arriving (see media.WithArrivals). It does so right before it asks the input for more bytes,
// which may take a while: blocks that came together are told together, and a block is told when its last byte is here, not when the header
// after it is.
//
// What was told is a prefix of the fragment that Next returns next, with one exception. Damage shows only behind the element that it is
// in. So of a fragment with Damage the blocks of the last two elements that were told may be missing. Instead of a fragment Next may
// return a gap with its number.
//
// Nothing more is told of a fragment
//   - after damage inside of it, or if its header or its tags are not valid,
//   - from its first laced block on: the times of such blocks depend on the blocks after them,
//   - if several video tracks may be the wanted one and its blocks decide,
//   - if finishing it changes what has arrived, or adds to it in front: see untold.

// The reasons why fragments are not told of while they arrive.
const (
	lateTags   = "the number and the times of its fragments are not in front of their media"
	lateHeader = "Info and Tracks are not in front of the media"
	wrapped    = "its video is compressed by Matroska, or has its codec named as in AVI"
	lacing     = "several frames share a block"
)

// arrivals is where a Splitter tells of arriving fragments.
type arrivals struct {
	arrived func(*media.Fragment)
	untold  func(why string)
	// explained reports whether untold was called.
	explained bool
}

// Tell makes the next calls of Next call arrived for the fragment that is arriving; nil ends that. If the payload is of a kind of which
// that is not possible, they call untold in its place, once, with the reason. Tell must not be called while Next is running.
//
// A payload of a known size (see Config.Size) is not told of: its fragments come whole.
func (s *Splitter) Tell(arrived func(*media.Fragment), untold func(why string)) {
	s.arrivals.arrived, s.arrivals.untold = arrived, untold
	s.input.waits = nil
	if arrived != nil && s.cfg.Size == 0 { // else the memory of a fragment may be used again
		s.input.waits = s.tell
	}
}

// tell tells of the current fragment if it has blocks that were not told.
func (s *Splitter) tell() {
	p, h := s.doc.part, &s.doc.head
	if p == nil || len(p.blocks) == len(p.told) || s.hole != nil || p.cut || p.bad != nil || h.bad != nil {
		return
	}
	if why := s.untold(p); why != "" {
		if !s.arrivals.explained {
			s.arrivals.explained = true
			s.arrivals.untold(why)
		}
		return
	}
	video, sure := s.choice.early(h.list)
	if !sure {
		return
	}
	for _, b := range p.blocks[len(p.told):] {
		b.Time -= p.first
		p.told = append(p.told, b)
	}
	f := &media.Fragment{
		Stream:           s.cfg.Stream,
		Number:           p.tags.number,
		ProducerTime:     p.tags.producer,
		ServerTime:       p.tags.server,
		MillisBehindNow:  -1,
		Timecode:         p.first,
		TimeScale:        max(time.Duration(h.scale), time.Millisecond),
		VideoTrackNumber: video,
		Tracks:           make([]media.Track, len(h.list)),
		// Both have no room for more: the part continues to grow behind them.
		Blocks: slices.Clip(p.told),
		MKV:    slices.Clip(p.mkv[:p.whole]),
	}
	for i, t := range h.list {
		f.Tracks[i] = t.in(f.MKV, p.tracksAt)
	}
	s.arrivals.arrived(f)
}

// untold returns why a part cannot be told of, "" if it can: what is known of it by now is not what its fragment will have.
func (s *Splitter) untold(p *part) string {
	h := &s.doc.head
	switch {
	case s.doc.plain || s.doc.tagsBehind || p.tags.number == "" || p.tags.producer.IsZero(), s.cfg.Chunks && p.tags.server.IsZero():
		return lateTags
	case p.tracksAt == 0 || len(h.tracks) == 0 || len(h.info) == 0:
		return lateHeader
	case slices.ContainsFunc(h.list, track.wrapped):
		return wrapped
	case len(p.laced) > 0:
		return lacing
	}
	return ""
}
