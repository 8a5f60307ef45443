package payload

import (
	"slices"

	"github.com/kvsframes/kvsframes/media"
)

// Codec ids of Matroska that can be decoded.
const (
	codecAVC  = "V_MPEG4/ISO/AVC"
	codecHEVC = "V_MPEGH/ISO/HEVC"
)

// choice is the chosen video track. It stays the same as long as the tracks do, even through fragments in which
// it has no frame.
type choice struct {
	// wanted is the number of the wanted track, 0 for any.
	wanted uint64
	number uint64
	tracks []media.Track
	// blind reports whether the choice was made without blocks of any candidate.
	blind bool
}

// of returns the number of the video track of a fragment, 0 if it has none. If no track can be decoded it
// returns one that cannot, so that this can be reported.
func (c *choice) of(tracks []track, blocks []media.Block) uint64 {
	if c.wanted != 0 || c.made(tracks) {
		number, _ := c.early(tracks)
		return number
	}
	c.tracks = c.tracks[:0]
	best := -1
	for _, t := range tracks {
		c.tracks = append(c.tracks, t.Track)
		if rank := c.rank(t, blocks); rank > best {
			best, c.number = rank, t.Number
		}
	}
	if best < 0 {
		c.number = 0
	}
	c.blind = best&hasBlocks == 0
	return c.number
}

// made reports whether the choice among these tracks was made before.
func (c *choice) made(tracks []track) bool {
	return !c.blind && slices.EqualFunc(c.tracks, tracks, func(a media.Track, b track) bool {
		return a.Number == b.Number && a.Type == b.Type && a.CodecID == b.CodecID && a.Disabled == b.Disabled
	})
}

// early returns what of returns for a fragment whose blocks are not known yet, and false if they decide. It chooses nothing.
func (c *choice) early(tracks []track) (number uint64, sure bool) {
	if c.wanted == 0 && c.made(tracks) {
		return c.number, true
	}
	videos := 0
	for _, t := range tracks {
		switch {
		case t.Type != media.TrackVideo:
		case t.Number == c.wanted:
			return c.wanted, true
		default:
			number, videos = t.Number, videos+1
		}
	}
	if c.wanted != 0 {
		return 0, true
	}
	return number, videos < 2
}

// The reasons to prefer a track, the strongest last.
const (
	wasChosen = 1 << iota
	isEnabled
	isPlain
	hasBlocks
	isDecodable
)

// rank returns how much a track is preferred, -1 if it is not a video track.
func (c *choice) rank(t track, blocks []media.Block) int {
	if t.Type != media.TrackVideo {
		return -1
	}
	rank := 0
	for reason, holds := range map[int]bool{
		wasChosen:   t.Number == c.number,
		isEnabled:   !t.Disabled,
		isPlain:     !t.Encrypted,
		hasBlocks:   slices.ContainsFunc(blocks, func(b media.Block) bool { return b.Track == t.Number && b.Size > 0 }),
		isDecodable: Decodable(t.Track) || t.vfw != "",
	} {
		if holds {
			rank |= reason
		}
	}
	return rank
}

// Decodable reports whether a track's codec can be decoded.
func Decodable(t media.Track) bool { return t.CodecID == codecAVC || t.CodecID == codecHEVC }
