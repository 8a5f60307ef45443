package payload

import (
	"github.com/kvsframes/kvsframes/internal/ebml"
	"github.com/kvsframes/kvsframes/media"
)

// tailRoom is what the tags after a Cluster may need, in bytes.
const tailRoom = 4 << 10

// foresee notes how large a part is likely to be at the end of a Cluster.
func (s *Splitter) foresee(p *part, cluster ebml.Header) {
	p.likely = s.expect
	if cluster.Size == ebml.UnknownSize {
		return
	}
	size := int64(cluster.Len) + cluster.Size
	p.likely = len(p.mkv) + int(size) + tailRoom
	if p.certain = s.in.Offset()+size <= s.size; p.certain {
		p.likely += p.likely / 8 // the next one to use the memory may be a little larger
	}
}

// makeRoom takes memory for all that the fragment is likely to have, when more bytes need any: as far as
// the input's size, the fragment before it, or what has arrived of this one makes that credible. New pages are
// most of what reading a file costs, and growing takes them twice.
func (s *Splitter) makeRoom(more int64) {
	p := s.doc.part
	size := p.likely
	if !p.certain {
		size = min(size, max(s.expect, 2*len(p.mkv)))
	}
	if more > int64(cap(p.mkv)-len(p.mkv)) && size > cap(p.mkv) {
		p.mkv = append(make([]byte, 0, size), p.mkv...)
	}
}

// spared returns the memory of a fragment that was given back, if the next one is likely to fit; nil if not.
func (s *Splitter) spared() []byte {
	select {
	case mkv := <-s.spare:
		if cap(mkv)/2 <= s.expect && s.expect/2 <= cap(mkv) {
			return mkv[:0]
		}
	default:
	}
	return nil
}

// recycle lets the splitter use the fragment's memory again, when it is given back.
func (s *Splitter) recycle(f *media.Fragment) {
	if s.size == 0 {
		return
	}
	mkv := f.MKV
	f.Recycle = func() {
		select {
		case s.spare <- mkv:
		default:
		}
	}
}
