package payload

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/internal/ebml"
	"github.com/kvsframes/kvsframes/media"
)

const (
	// maxTracks and maxCodecPrivate limit what is accepted of a header. KVS accepts 3 tracks, the producer
	// SDK 1 MiB of codec data.
	maxTracks       = 100
	maxCodecPrivate = 1 << 20
	// maxCodecID is the longest accepted codec ID, in bytes. Those of Matroska have fewer than 32, the limit of KVS.
	maxCodecID = 64
	// defaultScale is a timestamp unit of 1 ms (RFC 9559, TimestampScale).
	defaultScale = 1_000_000
	// maxScale is a unit of 1000 s, far above the 1 s that KVS producers may use.
	maxScale = 1_000_000_000_000
	maxTime  = math.MaxInt64 / 4
)

// track is a track whose codec data is given by its place in the Tracks payload, because the memory of that
// payload may still move.
type track struct {
	media.Track
	privateAt, privateLen int
	// encodings is the payload of ContentEncodings, vfw the codec ID of a track that is described as in AVI.
	encodings []byte
	vfw       string
}

// in returns the track with its codec data as a part of mkv. at is the offset of the payload of Tracks.
func (t track) in(mkv []byte, at int) media.Track {
	if from := at + t.privateAt; t.privateLen > 0 {
		t.CodecPrivate = mkv[from : from+t.privateLen : from+t.privateLen]
	}
	return t.Track
}

// head is the header of a document, with which each of its fragments begins.
type head struct {
	// ebml, info and tracks are elements as in the document, empty until they have arrived.
	ebml, info, tracks []byte
	// scale is the unit of timestamps in nanoseconds, date the time of timestamp zero, or the zero time if unknown.
	scale int64
	date  time.Time
	list  []track
	// tracksPosition is the offset of Tracks in the Segment; 0 if it is not given.
	tracksPosition int64
	// bad is the first error in Info or Tracks.
	bad error
}

// ebmlOrDefault returns the EBML header, or one for a document that has lost it.
func (h *head) ebmlOrDefault() []byte {
	if h.ebml == nil {
		return defaultHeader()
	}
	return h.ebml
}

// setInfo stores an Info element. The first one counts, but another one after Clusters applies to the
// Clusters after it.
func (s *Splitter) setInfo(element, payload []byte) error {
	d := &s.doc
	if !s.renews(d.head.info, element) {
		return nil
	}
	scale, date, err := parseInfo(payload)
	if err != nil {
		return err
	}
	d.head.info, d.head.scale, d.head.date = slices.Clone(element), scale, date
	return nil
}

// setTracks stores a Tracks element, whose header has n bytes, like setInfo.
func (s *Splitter) setTracks(element []byte, n int) error {
	d := &s.doc
	if !s.renews(d.head.tracks, element) {
		return nil
	}
	list, err := parseTracks(element[n:])
	for i := range list {
		list[i].privateAt += n
		if name := list[i].CodecID; len(name) > maxCodecID {
			list[i].CodecID = atMost(name, maxCodecID)
			s.warn("codec id", "a track's codec ID is too long and was cut", "bytes", maxCodecID)
		}
	}
	d.head.tracks, d.head.list = slices.Clone(element), list
	if err != nil {
		return err
	}
	s.adopt()
	return nil
}

// renews reports whether an element of the header replaces the current one, and finishes the fragments that
// began with that.
func (s *Splitter) renews(old, element []byte) bool {
	d := &s.doc
	between := d.part == nil || d.part.hasCluster
	switch {
	case len(old) == 0:
		return true
	case !between || bytes.Equal(old, element):
		return false
	}
	s.flushWaiting()
	if !d.plain {
		s.finishChunk()
	}
	d.head.bad = nil
	return true
}

// lookUpTracks reads Tracks that follow the Clusters, at the place that the document gives, if the input can
// be read there.
func (s *Splitter) lookUpTracks() {
	d := &s.doc
	in, ok := s.input.in.(io.ReaderAt)
	at := d.segmentStart + d.head.tracksPosition
	if !ok || s.cfg.Size == 0 || d.head.tracksPosition <= 0 || at >= s.cfg.Size {
		return
	}
	b := make([]byte, min(ebml.MaxHeader, s.cfg.Size-at))
	if _, err := in.ReadAt(b, at); err != nil {
		return // the walk may reach them later
	}
	h, err := ebml.ParseHeader(b)
	size := int64(h.Len) + h.Size
	if err != nil || h.ID != ebml.IDTracks || h.Size <= 0 || size > min(maxHeadElement, s.cfg.Size-at) {
		return
	}
	b = make([]byte, size)
	if _, err := in.ReadAt(b, at); err != nil {
		return
	}
	if err := s.setTracks(b, h.Len); err != nil {
		spoil(&d.head.bad, at, err)
		return
	}
	d.part.complete(&d.head)
}

// tracksPosition returns the position of Tracks in a SeekHead, 0 if there is none.
func tracksPosition(payload []byte) int64 {
	for seek, err := range ebml.Elements(payload) {
		if err != nil {
			break
		}
		var id, position uint64
		for e, err := range ebml.Elements(seek.Data) {
			if err != nil {
				break
			}
			switch v, err := ebml.Uint(e.Data); {
			case err != nil:
			case e.ID == ebml.IDSeekID:
				id = v
			case e.ID == ebml.IDSeekPosition:
				position = v
			}
		}
		if id == uint64(ebml.IDTracks) && position < maxTime {
			return int64(position)
		}
	}
	return 0
}

// epochOfDates is the epoch of the dates of Matroska (RFC 8794, section 7.6).
var epochOfDates = time.Date(2001, time.January, 1, 0, 0, 0, 0, time.UTC)

// parseInfo returns the timestamp unit in nanoseconds, and the date.
func parseInfo(info []byte) (int64, time.Time, error) {
	scale := uint64(defaultScale)
	var date time.Time
	for e, err := range ebml.Elements(info) {
		if err != nil {
			return 0, date, fmt.Errorf("info: %w", err)
		}
		switch e.ID {
		case ebml.IDTimestampScale:
			if scale, err = ebml.Uint(e.Data); err != nil {
				return 0, date, fmt.Errorf("timestamp scale: %w", err)
			}
		case ebml.IDDateUTC:
			if v, err := ebml.Uint(e.Data); err == nil && len(e.Data) == 8 {
				date = epochOfDates.Add(time.Duration(v)) // it is signed
			}
		}
	}
	if scale == 0 || scale > maxScale {
		return 0, date, fmt.Errorf("timestamp scale %d ns is out of range", scale)
	}
	return int64(scale), date, nil
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
	var private []byte
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
			private = e.Data
			t.privateAt, t.privateLen = entry.Offset+e.Offset, len(e.Data)
		case ebml.IDDefaultDuration:
			n, err = ebml.Uint(e.Data)
			t.DefaultDuration = time.Duration(min(n, maxTime))
		case ebml.IDFlagEnabled:
			n, err = ebml.Uint(e.Data)
			t.Disabled = n == 0
		case ebml.IDContentEncodings:
			t.Encoded = true
			t.Encrypted = isEncrypted(e.Data)
			t.encodings = bytes.Clone(e.Data)
		case ebml.IDVideo:
			err = parseVideo(e.Data, &t)
		}
		if err != nil {
			return t, err
		}
	}
	if strings.HasPrefix(t.CodecID, "V_") {
		t.Type = media.TrackVideo // the type may be damaged
	}
	if t.CodecID == codecVFW {
		t.vfw, _ = unwrapVFW(private)
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
