package payload

import (
	"github.com/kvsframes/kvsframes/internal/ebml"
	"github.com/kvsframes/kvsframes/media"
)

// tailRoom is the expected size of the tags after a Cluster, in bytes.
const tailRoom = 4 << 10

// foresee estimates the size of a part at the end of a Cluster.
func (s *Splitter) foresee(p *part, cluster ebml.Header) {
	p.likely = s.expect
	if cluster.Size == ebml.UnknownSize {
		return
	}
	size := int64(cluster.Len) + cluster.Size
	p.likely = len(p.mkv) + int(size) + tailRoom
	if p.certain = s.in.Offset()+size <= s.cfg.Size; p.certain {
		p.likely += p.likely / 8 // the next fragment in this memory may be a little larger
	}
}

// makeRoom allocates memory when more bytes need it. It allocates for the whole fragment if the size of the
// input, the previous fragment, or the bytes that have arrived make its declared size credible. New pages are
// most of the cost of reading a file, and growing would need them twice.
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

// spared returns the memory of a recycled fragment if the next one is likely to fit, nil otherwise.
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

// recycle sets f.Recycle, which returns the fragment's memory to the splitter.
func (s *Splitter) recycle(f *media.Fragment) {
	if s.cfg.Size == 0 {
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
