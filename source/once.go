package source

import (
	"context"
	"encoding/binary"
	"hash/maphash"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// maxRecent is the number of fragments whose digests are kept.
const maxRecent = 1024

// recent holds a digest of the media of the last fragments, by number.
type recent struct {
	seed    maphash.Seed
	digests map[string]uint64
	// order is the ring of the numbers, the oldest at next.
	order []string
	next  int
}

// note records a fragment. A fragment that was cut is not recorded: it may appear again whole.
func (r *recent) note(f *media.Fragment) {
	if f.Cut || f.Number == "" {
		return
	}
	if r.digests == nil {
		r.seed, r.digests = maphash.MakeSeed(), map[string]uint64{}
	}
	if len(r.order) < maxRecent {
		r.order = append(r.order, f.Number)
	} else {
		delete(r.digests, r.order[r.next])
		r.order[r.next] = f.Number
		r.next = (r.next + 1) % maxRecent
	}
	r.digests[f.Number] = r.digest(f)
}

// compare reports whether the number of a fragment is known, and if so whether the media differs. It cannot compare a
// fragment that is cut.
func (r *recent) compare(f *media.Fragment) (known, other bool) {
	digest, known := r.digests[f.Number]
	known = known && !f.Cut
	return known, known && digest != r.digest(f)
}

// digest returns a digest of the media of a fragment: tracks, times and payloads of the blocks. It omits tags, which
// differ in each session.
func (r *recent) digest(f *media.Fragment) uint64 {
	var h maphash.Hash
	h.SetSeed(r.seed)
	var head [25]byte
	for _, b := range f.Blocks {
		binary.LittleEndian.PutUint64(head[0:], b.Track)
		binary.LittleEndian.PutUint64(head[8:], uint64(b.Time))
		binary.LittleEndian.PutUint64(head[16:], uint64(b.Size))
		if head[24] = 0; b.Key {
			head[24] = 1
		}
		_, _ = h.Write(head[:]) // never fails (package hash/maphash)
		_, _ = h.Write(f.MKV[b.Offset : b.Offset+b.Size])
	}
	return h.Sum64()
}

// Once returns a Source that returns each fragment of s once. A fragment whose number is among the last 1024 is
// dropped when it has the same media. With other media it is a gap, as its images would overwrite those of the
// first one.
func Once(s Source) Source { return &once{Source: s} }

// once is a Source without repetitions.
type once struct {
	Source
	recent recent
}

// Next implements Source.
func (s *once) Next(ctx context.Context) (*media.Fragment, error) {
	for {
		f, err := s.Source.Next(telling(ctx, s.arriving))
		if err != nil {
			return nil, err
		}
		switch known, other := s.recent.compare(f); {
		case other:
			return nil, payload.NewGap(f.Stream, f.Number, errConflict, 0)
		case !known:
			s.recent.note(f)
			return f, nil
		}
	}
}

// arriving returns a fragment that is told of, nil if its number is known: it is dropped when it is whole, or a gap.
func (s *once) arriving(f *media.Fragment) *media.Fragment {
	if _, known := s.recent.digests[f.Number]; known {
		return nil
	}
	return f
}
