package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// maxSilent is the number of fragments after which a stream without decodable video is
// reported as such.
const maxSilent = 10

// WithVideo returns a Source of the fragments of s with their VideoTrackNumber set: to wanted or, if that is 0,
// to the same track for as long as the stream has it.
//
// A fragment whose video cannot be decoded is returned as Unwanted. If the first ten fragments, or all
// fragments of a shorter stream, are such, that is one gap; if decodable video follows, each of them is a gap.
// WithVideo must be applied after WithEnd, since it must see the end.
func WithVideo(s Source, wanted Track) Source {
	return &watched{Source: s, wanted: uint64(wanted)}
}

// watched is a Source that selects video tracks.
type watched struct {
	Source
	wanted uint64
	// chosen is the track of the last fragment that had one.
	chosen uint64
	// seen reports whether decodable video has arrived; odd are the gaps for the fragments before that.
	seen     bool
	odd      []error
	reported bool
	gaps     []error
}

// Next implements Source.
func (s *watched) Next(ctx context.Context) (*media.Fragment, error) {
	if len(s.gaps) > 0 {
		err := s.gaps[0]
		s.gaps = s.gaps[1:]
		return nil, err
	}
	f, err := s.Source.Next(telling(ctx, s.arriving))
	switch {
	case errors.Is(err, io.EOF) && !s.reported && len(s.odd) > 0:
		s.reported = true
		return nil, s.odd[0]
	case err != nil:
		return nil, err
	}
	return s.choose(f), nil
}

// choose returns the fragment with its video track, and records the gaps that come after it.
func (s *watched) choose(f *media.Fragment) *media.Fragment {
	f = s.numbered(f)
	track, video := f.VideoTrack()
	switch {
	case !video:
	case payload.Decodable(track):
		s.chosen, s.seen = f.VideoTrackNumber, true
		if !s.reported {
			s.gaps, s.odd = append(s.gaps, s.odd...), nil
		}
	case !s.seen:
		f.Unwanted = true
		if s.reported {
			break
		}
		s.odd = append(s.odd, payload.NewGap(f.Stream, f.Number, fmt.Errorf("video track %d of codec %s %w", track.Number, track.CodecID, payload.ErrUnsupported), 0))
		if len(s.odd) == maxSilent {
			s.gaps, s.reported = append(s.gaps, s.odd[0]), true
		}
	}
	return f
}

// numbered returns the fragment with the number of its video track.
func (s *watched) numbered(f *media.Fragment) *media.Fragment {
	chosen := *f
	if s.wanted != 0 {
		chosen.VideoTrackNumber = s.wanted
	} else if s.continues(f) {
		chosen.VideoTrackNumber = s.chosen
	}
	return &chosen
}

// arriving returns a fragment that is told of with its video track, nil if that cannot be decoded: it may be returned as Unwanted.
func (s *watched) arriving(f *media.Fragment) *media.Fragment {
	f = s.numbered(f)
	if track, video := f.VideoTrack(); !video || !payload.Decodable(track) {
		return nil
	}
	return f
}

// continues reports whether a fragment has the track that was chosen last, and can be decoded with it.
func (s *watched) continues(f *media.Fragment) bool {
	return s.chosen != 0 && slices.ContainsFunc(f.Tracks, func(t media.Track) bool {
		return t.Number == s.chosen && t.Type == media.TrackVideo && payload.Decodable(t)
	})
}
