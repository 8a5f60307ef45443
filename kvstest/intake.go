package kvstest

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/internal/ebml"
	"github.com/kvsframes/kvsframes/media"
)

// Limits of PutMedia (Developer Guide, Quotas).
const (
	maxPutFragment = 50_000_000
	maxPutDuration = 20 * time.Second
	maxPutTracks   = 3
	maxPutTags     = 10
	maxPutHeader   = 2 << 20 // bytes; CodecPrivate alone may have 1 MiB
	maxPutFrames   = 60_000  // more than any camera has in 20 s; it bounds the memory for tiny frames
)

// putError is an error acknowledgement, with the IDs and names of the API Reference (PutMedia).
type putError struct {
	id   int
	code string
	why  error
}

// Error implements error.
func (e *putError) Error() string { return fmt.Sprintf("%s (%d): %v", e.code, e.id, e.why) }

// Unwrap returns the cause.
func (e *putError) Unwrap() error { return e.why }

func errPut(id int, code, format string, args ...any) *putError {
	return &putError{id, code, fmt.Errorf(format, args...)}
}

func errMKV(format string, args ...any) *putError {
	return errPut(4006, "INVALID_MKV_DATA", format, args...)
}

func errTooMuch(format string, args ...any) *putError {
	return errPut(4001, "MAX_FRAGMENT_SIZE_REACHED", format, args...)
}

// intake reads a producer's media: one Matroska segment, each cluster of which is a fragment. A fragment ends
// where the next cluster begins, at the producer's tag for its end, or at the end of the input, so that the
// tags after a cluster belong to it, as in recordings of the service.
type intake struct {
	in *ebml.Reader
	// begin is called with the timecode of a fragment that begins; end is called with the whole fragment.
	begin func(timecode time.Duration)
	end   func(p *putFragment)

	// head is the beginning of each chunk: EBML header, Segment header, Info, Tracks, and the Tags after them.
	head   []byte
	doc    document // of the head
	tracks []uint64
	ready  bool // Tracks were read
	// early are Tags that preceded Tracks; only the first fragment has them.
	early    []byte
	earlyN   int
	part     *putFragment
	last     time.Duration
	fragment int
}

// putFragment is one fragment of a producer.
type putFragment struct {
	head []byte
	// leading and trailing are the producer's Tags elements, cluster the Cluster.
	leading, cluster, trailing []byte
	tags                       int
	doc                        document
	// clusterEnd is the input offset at which the cluster ends, or ebml.UnknownSize.
	clusterEnd int64
	begun      bool
}

// size is the number of bytes that the fragment has so far.
func (p *putFragment) size() int64 {
	return int64(len(p.head) + len(p.leading) + len(p.cluster) + len(p.trailing))
}

// endTag is the tag with which producers end a fragment.
const endTag = tagPrefix + "END_OF_FRAGMENT"

// run reads to the end of the input. A *putError is a producer's error; any other error is from reading.
func (t *intake) run() error {
	t.doc.scale = time.Millisecond
	if _, err := t.in.Peek(); errors.Is(err, io.EOF) {
		return nil // an empty body is not an error
	}
	if err := t.readStart(); err != nil {
		return err
	}
	for {
		h, err := t.in.Peek()
		switch {
		case errors.Is(err, io.EOF):
			return t.finish()
		case err != nil:
			return badMKV(err)
		}
		if err := t.child(h); err != nil {
			return err
		}
	}
}

// badMKV returns a *putError for a malformed element, and err for a broken connection.
func badMKV(err error) error {
	if errors.Is(err, ebml.ErrID) || errors.Is(err, ebml.ErrSize) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errMKV("read element: %w", err)
	}
	return err
}

// readStart reads the EBML header and the header of the Segment.
func (t *intake) readStart() error {
	h, err := t.in.Peek()
	if err != nil {
		return badMKV(err)
	}
	if h.ID != ebml.IDEBML || h.Size == ebml.UnknownSize {
		return errMKV("the body does not begin with an EBML header")
	}
	if t.head, err = t.take(t.head, h, maxPutHeader); err != nil {
		return err
	}
	if h, err = t.in.Peek(); errors.Is(err, io.EOF) {
		return errMKV("the body has no Segment")
	} else if err != nil {
		return badMKV(err)
	}
	if h.ID != ebml.IDSegment {
		return errMKV("element %#x stands where the Segment must", h.ID)
	}
	t.head = ebml.AppendHeader(t.head, ebml.IDSegment, ebml.UnknownSize)
	return badMKV(t.in.Skip(int64(h.Len)))
}

// take appends the next element with its header to dst.
func (t *intake) take(dst []byte, h ebml.Header, limit int64) ([]byte, error) {
	if h.Size == ebml.UnknownSize {
		return dst, errMKV("element %#x has no known size", h.ID)
	}
	if int64(len(dst))+int64(h.Len)+h.Size > limit {
		if t.part == nil {
			return dst, errMKV("the header is longer than %d bytes", limit)
		}
		return dst, errTooMuch("the fragment is larger than %d bytes", maxPutFragment)
	}
	dst, err := t.in.Append(dst, int64(h.Len)+h.Size)
	return dst, badMKV(err)
}

// inside reports whether the next element belongs to the cluster rather than the segment.
func (t *intake) inside(h ebml.Header) bool {
	if t.part == nil || t.part.clusterEnd == 0 {
		return false
	}
	if end := t.part.clusterEnd; end != ebml.UnknownSize {
		return t.in.Offset() < end
	}
	return !ebml.EndsCluster(h.ID)
}

// child reads the next child of the segment or of the cluster.
func (t *intake) child(h ebml.Header) error {
	if t.inside(h) {
		return t.clusterChild(h)
	}
	if t.part != nil {
		t.part.clusterEnd = 0
	}
	switch h.ID {
	case ebml.IDInfo, ebml.IDTracks:
		return t.headChild(h)
	case ebml.IDTags:
		return t.readTags(h)
	case ebml.IDCluster:
		return t.startCluster(h)
	case ebml.IDEBML, ebml.IDSegment:
		return errMKV("a second document begins: one PutMedia call takes one segment")
	}
	if h.Size == ebml.UnknownSize {
		return errMKV("element %#x has no known size", h.ID)
	}
	return badMKV(t.in.Skip(int64(h.Len) + h.Size)) // SeekHead, Cues and the like describe the original file
}

// headChild reads Info or Tracks.
func (t *intake) headChild(h ebml.Header) error {
	if t.fragment > 0 || t.part != nil {
		return errMKV("element %#x after a cluster", h.ID)
	}
	begin := len(t.head)
	var err error
	if t.head, err = t.take(t.head, h, maxPutHeader); err != nil {
		return err
	}
	data := t.head[begin+h.Len:]
	if h.ID == ebml.IDInfo {
		if err := t.doc.info(data); err != nil {
			return errMKV("read Info: %w", err)
		}
		return nil
	}
	t.ready = true
	if t.tracks, err = trackNumbers(data); err != nil {
		return errMKV("read Tracks: %w", err)
	}
	if n := len(t.tracks); n > maxPutTracks {
		return errPut(4005, "MORE_THAN_ALLOWED_TRACKS_FOUND", "%d tracks, maximum is %d", n, maxPutTracks)
	}
	return nil
}

// trackNumbers returns the numbers of the tracks in the payload of a Tracks element.
func trackNumbers(data []byte) ([]uint64, error) {
	var numbers []uint64
	for el, err := range ebml.Find(data, ebml.IDTrackEntry, ebml.IDTrackNumber) {
		if err != nil {
			return nil, err
		}
		n, err := ebml.Uint(el.Data)
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

// readTags reads a Tags element. Tags between Tracks and the first cluster are part of the head, like those of
// muxers in recordings of the service.
func (t *intake) readTags(h ebml.Header) error {
	raw, err := t.take(nil, h, maxPutHeader)
	if err != nil {
		return err
	}
	var d document
	if err := d.readTags(raw[h.Len:]); err != nil {
		return errMKV("read Tags: %w", err)
	}
	switch {
	case t.part != nil:
		t.part.trailing = append(t.part.trailing, raw...)
		t.part.tags += len(d.tags)
		if t.part.size() > maxPutFragment {
			return errTooMuch("the fragment is larger than %d bytes", maxPutFragment)
		}
	case t.ready:
		if t.head = append(t.head, raw...); len(t.head) > maxPutHeader {
			return errMKV("the header is longer than %d bytes", maxPutHeader)
		}
		return nil
	default:
		if t.early = append(t.early, raw...); len(t.early) > maxPutHeader {
			return errMKV("the tags are longer than %d bytes", maxPutHeader)
		}
		t.earlyN += len(d.tags)
		return checkTags(d.tags, t.earlyN)
	}
	if err := checkTags(d.tags, t.part.tags); err != nil {
		return err
	}
	if slices.ContainsFunc(d.tags, func(tag media.Tag) bool { return tag.Name == endTag }) {
		return t.finish()
	}
	return nil
}

// producerTags are the tags with AWS's prefix that producers may send.
var producerTags = []string{endTag, tagPrefix + "IMAGE_GENERATION", tagPrefix + "IMAGE_PREFIX", tagPrefix + "NOTIFICATION"}

// checkTags checks the names of tags, and how many the fragment has by now.
func checkTags(tags []media.Tag, n int) error {
	if n > maxPutTags {
		return errPut(4009, "FRAGMENT_METADATA_LIMIT_REACHED", "%d tags, maximum is %d", n, maxPutTags)
	}
	for _, tag := range tags {
		if strings.HasPrefix(tag.Name, "AWS") && !slices.Contains(producerTags, tag.Name) {
			return errPut(4012, "INVALID_FRAGMENT_METADATA", "tag %q begins with AWS", tag.Name)
		}
	}
	return nil
}

// startCluster ends the previous fragment and starts a new one.
func (t *intake) startCluster(h ebml.Header) error {
	if err := t.finish(); err != nil {
		return err
	}
	if !t.ready {
		return errMKV("a cluster precedes Tracks")
	}
	if err := badMKV(t.in.Skip(int64(h.Len))); err != nil {
		return err
	}
	p := &putFragment{head: t.head, leading: t.early, tags: t.earlyN, clusterEnd: h.Size}
	t.early, t.earlyN = nil, 0
	p.doc.scale = t.doc.scale
	if h.Size == ebml.UnknownSize {
		p.cluster = append(ebml.AppendID(p.cluster, ebml.IDCluster), 0xFF)
	} else {
		p.cluster = ebml.AppendHeader(p.cluster, ebml.IDCluster, h.Size)
		p.clusterEnd = t.in.Offset() + h.Size
	}
	t.part = p
	return nil
}

// clusterChild reads a child of the cluster.
func (t *intake) clusterChild(h ebml.Header) error {
	p := t.part
	begin := len(p.cluster)
	var err error
	if p.cluster, err = t.take(p.cluster, h, maxPutFragment-(p.size()-int64(begin))); err != nil {
		return err
	}
	if p.clusterEnd != ebml.UnknownSize && t.in.Offset() > p.clusterEnd {
		return errMKV("element %#x runs past the end of its cluster", h.ID)
	}
	blocks := len(p.doc.blocks)
	if err := p.doc.element(h.ID, nil, p.cluster[begin+h.Len:]); err != nil {
		return errMKV("read element %#x of a cluster: %w", h.ID, err)
	}
	if p.doc.hasCluster && !p.begun {
		p.begun = true
		if t.fragment > 0 && p.doc.timecode < t.last {
			return errPut(4004, "FRAGMENT_TIMECODE_LESSER_THAN_PREVIOUS", "timecode %v comes after %v", p.doc.timecode, t.last)
		}
		t.begin(p.doc.timecode)
	}
	if len(p.doc.blocks) == blocks {
		return nil
	}
	block := &p.doc.blocks[blocks]
	block.Data = nil // the cluster contains it
	switch {
	case blocks >= maxPutFrames:
		return errTooMuch("the fragment has more than %d frames", maxPutFrames)
	case !p.begun:
		return errMKV("a block precedes the cluster's timecode")
	case !slices.Contains(t.tracks, block.Track):
		return errPut(4010, "TRACK_NUMBER_MISMATCH", "a block is of track %d, which the header lacks", block.Track)
	case block.Time-p.doc.blocks[0].Time > maxPutDuration:
		return errPut(4002, "MAX_FRAGMENT_DURATION_REACHED", "the fragment is longer than %v", maxPutDuration)
	}
	return nil
}

// finish passes on the current fragment, if there is one.
func (t *intake) finish() error {
	p := t.part
	if p == nil {
		return nil
	}
	switch {
	case p.clusterEnd > 0 && t.in.Offset() < p.clusterEnd:
		return errMKV("the body ends inside a cluster")
	case !p.begun:
		return errMKV("a cluster has no timecode")
	}
	for _, track := range t.tracks {
		if !slices.ContainsFunc(p.doc.blocks, func(b Block) bool { return b.Track == track }) {
			return errPut(4011, "FRAMES_MISSING_FOR_TRACK", "track %d has no frame in the fragment at %v", track, p.doc.timecode)
		}
	}
	t.part = nil
	t.last = p.doc.timecode
	t.fragment++
	t.end(p)
	return nil
}
