package payload

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kvsframes/kvsframes/internal/ebml"
	"github.com/kvsframes/kvsframes/media"
)

// errTracksChange marks a fragment that cannot be in one Matroska file with the previous ones, as a file has a
// single description of its tracks.
var errTracksChange = errors.New("codec, codec data or picture size change here")

// maxCluster is the longest Cluster: times in it are 16-bit milliseconds.
const maxCluster = 30 * time.Second

// Remuxer turns the fragments of a stream into one Matroska document for players, with one header, one
// description of the tracks, and continuous times. Times are relative to the first fragment, by the producer's
// clock. Where that clock goes back, the fragment directly follows the previous one.
type Remuxer struct {
	tracks []media.Track
	// start is the producer time of the first fragment, last the largest time in the
	// document so far.
	start time.Time
	last  time.Duration
}

// Append appends a fragment to dst, preceded by the head of the document for the first fragment. After an error
// the document is unchanged, and Append may be called with the next fragment.
func (r *Remuxer) Append(dst []byte, f *media.Fragment) ([]byte, error) {
	first, last, count := extentOfAll(f)
	if count == 0 {
		return dst, nil
	}
	var begin time.Duration
	switch {
	case r.tracks == nil:
		tracks, err := rawTracks(f.MKV)
		if err != nil {
			return dst, fmt.Errorf("remux fragment %s: %w", f.Number, err)
		}
		dst = ebml.AppendElement(ebml.AppendDocumentHead(dst, 4), ebml.IDTracks, tracks)
		r.tracks, r.start = copyTracks(f.Tracks), f.ProducerTime.Add(first)
	case !sameTracks(r.tracks, f.Tracks):
		return dst, fmt.Errorf("remux fragment %s: %w", f.Number, errTracksChange)
	default:
		if begin = f.ProducerTime.Add(first).Sub(r.start); begin <= r.last {
			begin = r.last + max(frameOf(f), time.Millisecond)
		}
	}
	r.last = begin + last - first
	return appendClusters(dst, f, begin-first), nil
}

// extentOfAll is like f.Extent for the blocks of all tracks.
func extentOfAll(f *media.Fragment) (first, last time.Duration, count int) {
	return (&media.Fragment{Blocks: f.Blocks}).Extent()
}

// frameOf returns the duration of a frame of the fragment.
func frameOf(f *media.Fragment) time.Duration {
	if first, last, count := f.Extent(); count > 1 {
		return (last - first) / time.Duration(count-1)
	}
	track, _ := f.VideoTrack()
	return track.DefaultDuration
}

// copyTracks returns a copy of tracks that does not keep their fragment in memory.
func copyTracks(tracks []media.Track) []media.Track {
	all := make([]media.Track, len(tracks))
	for i, t := range tracks {
		all[i] = t
		all[i].CodecPrivate = bytes.Clone(t.CodecPrivate)
	}
	return all
}

// sameTracks reports whether blocks of both can follow each other.
func sameTracks(a, b []media.Track) bool {
	return slices.EqualFunc(a, b, func(a, b media.Track) bool {
		return a.Number == b.Number && a.Type == b.Type && a.CodecID == b.CodecID &&
			a.Width == b.Width && a.Height == b.Height && bytes.Equal(a.CodecPrivate, b.CodecPrivate)
	})
}

// rawTracks returns the payload of a document's Tracks element, which may have elements that this package
// does not know.
func rawTracks(mkv []byte) ([]byte, error) {
	for range 2 { // the EBML header, and the Segment, which is entered
		h, err := ebml.ParseHeader(mkv)
		if err != nil {
			return nil, fmt.Errorf("find the tracks: %w", err)
		}
		mkv = mkv[h.Len:]
		if h.ID == ebml.IDSegment {
			break
		}
		mkv = mkv[min(max(0, h.Size), int64(len(mkv))):]
	}
	for e, err := range ebml.Elements(mkv) {
		switch {
		case err != nil:
			return nil, fmt.Errorf("find the tracks: %w", err)
		case e.ID == ebml.IDTracks:
			return e.Data, nil
		}
	}
	return nil, errors.New("the fragment does not describe its tracks")
}

// appendClusters appends the blocks of a fragment; timecode is the fragment's start in the document.
func appendClusters(dst []byte, f *media.Fragment, timecode time.Duration) []byte {
	var cluster []byte
	base := time.Duration(-1)
	for _, b := range f.Blocks {
		at := timecode + b.Time
		if base < 0 || (at-base).Abs() > maxCluster {
			if base >= 0 {
				dst = ebml.AppendElement(dst, ebml.IDCluster, cluster)
			}
			base = at.Truncate(time.Millisecond)
			cluster = ebml.AppendUint(cluster[:0], ebml.IDTimestamp, uint64(base.Milliseconds()))
		}
		cluster = appendBlock(cluster, b, int16((at - base).Round(time.Millisecond).Milliseconds()), f.MKV[b.Offset:b.Offset+b.Size])
	}
	return ebml.AppendElement(dst, ebml.IDCluster, cluster)
}
