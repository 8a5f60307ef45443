package source

import (
	"fmt"
	"math"
	"time"

	"github.com/kvsframes/kvsframes/internal/ebml"
	"github.com/kvsframes/kvsframes/media"
)

const (
	// maxTracks and maxCodecPrivate bound what is believed of a header. KVS
	// itself takes 3 tracks, the producer SDK 1 MiB of codec data.
	maxTracks       = 100
	maxCodecPrivate = 1 << 20
	// defaultScale is a timestamp unit of 1 ms (RFC 9559, TimestampScale).
	defaultScale = 1_000_000
	// maxScale is a unit of 1000 s, far above the 1 s that KVS producers may use.
	maxScale = 1_000_000_000_000
	maxTime  = math.MaxInt64 / 4
)

// track is a track whose codec data is told by its place in the Tracks payload,
// because the memory around that payload still moves.
type track struct {
	media.Track
	privateAt, privateLen int
}

// parseInfo returns the timestamp unit in nanoseconds.
func parseInfo(info []byte) (int64, error) {
	scale := uint64(defaultScale)
	for e, err := range ebml.Elements(info) {
		if err != nil {
			return 0, fmt.Errorf("info: %w", err)
		}
		if e.ID != ebml.IDTimestampScale {
			continue
		}
		if scale, err = ebml.Uint(e.Data); err != nil {
			return 0, fmt.Errorf("timestamp scale: %w", err)
		}
	}
	if scale == 0 || scale > maxScale {
		return 0, fmt.Errorf("timestamp scale %d ns is out of range", scale)
	}
	return int64(scale), nil
}

// parseTracks reads the payload of a Tracks element.
func parseTracks(payload []byte) ([]track, error) {
	var tracks []track
	for e, err := range ebml.Elements(payload) {
		if err != nil {
			return nil, fmt.Errorf("tracks: %w", err)
		}
		if e.ID != ebml.IDTrackEntry {
			continue
		}
		if len(tracks) == maxTracks {
			return nil, tooLarge("number of tracks", maxTracks+1, maxTracks)
		}
		t, err := parseTrack(e)
		if err != nil {
			return nil, fmt.Errorf("track %d: %w", len(tracks)+1, err)
		}
		tracks = append(tracks, t)
	}
	return tracks, nil
}

// parseTrack reads one TrackEntry.
func parseTrack(entry ebml.Element) (track, error) {
	var t track
	for e, err := range ebml.Elements(entry.Data) {
		if err != nil {
			return t, err
		}
		var n uint64
		switch e.ID {
		case ebml.IDTrackNumber:
			t.Number, err = ebml.Uint(e.Data)
		case ebml.IDTrackType:
			n, err = ebml.Uint(e.Data)
			t.Type = media.TrackType(min(n, math.MaxUint8))
		case ebml.IDCodecID:
			t.CodecID = ebml.String(e.Data)
		case ebml.IDCodecPrivate:
			if len(e.Data) > maxCodecPrivate {
				err = tooLarge("codec data size", int64(len(e.Data)), maxCodecPrivate)
			}
			t.privateAt, t.privateLen = entry.Offset+e.Offset, len(e.Data)
		case ebml.IDDefaultDuration:
			n, err = ebml.Uint(e.Data)
			t.DefaultDuration = time.Duration(min(n, maxTime))
		case ebml.IDContentEncodings:
			t.Encoded = true
		case ebml.IDVideo:
			err = parseVideo(e.Data, &t)
		}
		if err != nil {
			return t, err
		}
	}
	return t, nil
}

// parseVideo reads the size of the picture.
func parseVideo(video []byte, t *track) error {
	for e, err := range ebml.Elements(video) {
		if err != nil {
			return err
		}
		var side *int
		switch e.ID {
		case ebml.IDPixelWidth:
			side = &t.Width
		case ebml.IDPixelHeight:
			side = &t.Height
		default:
			continue
		}
		n, err := ebml.Uint(e.Data)
		if err != nil {
			return err
		}
		if n > math.MaxInt32 {
			return fmt.Errorf("picture side of %d pixels is out of range", n)
		}
		*side = int(n)
	}
	return nil
}
