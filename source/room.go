package source

import (
	"github.com/kvsframes/kvsframes/internal/ebml"
	"github.com/kvsframes/kvsframes/media"
)

// trailer is room for what follows the Cluster of a chunk, in bytes: the tags of the producer and of KVS.
const trailer = 16 << 10

// room returns memory for the next fragment: that of one which was given back, if it fits.
func (s *Splitter) room() []byte {
	select {
	case mkv := <-s.spare:
		if cap(mkv)/2 <= s.expect && s.expect/2 <= cap(mkv) {
			return mkv[:0]
		}
	default:
	}
	return make([]byte, 0, s.expect)
}

// reserve takes the memory for a Cluster of which all bytes are certain to come. New pages are most
// of what reading a file costs, and growing would take them twice.
func (s *Splitter) reserve(p *part, cluster ebml.Header) {
	size := int64(cluster.Len) + cluster.Size
	need := len(p.mkv) + int(size) + trailer
	if cluster.Size == ebml.UnknownSize || s.in.Offset()+size > s.size || need <= cap(p.mkv) {
		return
	}
	p.mkv = append(make([]byte, 0, need+need/8), p.mkv...) // the next one may be a little larger
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
