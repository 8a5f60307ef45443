package kvstest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/kvsframes/kvsframes/internal/ebml"
	"github.com/kvsframes/kvsframes/media"
)

// document describes one EBML document in memory: a chunk of a recording, or a fragment of a plain MKV file.
type document struct {
	// size is the document's length in bytes.
	size int
	// cut reports whether the bytes ended inside the document.
	cut bool
	// scale is the unit of all timecodes.
	scale time.Duration
	// rawTracks is the Tracks element with its header.
	rawTracks []byte
	// timecode is that of the first cluster; hasCluster reports whether there is one.
	timecode   time.Duration
	hasCluster bool
	// blocks are the blocks of all clusters, with times relative to timecode; places are the ranges of their elements.
	blocks []Block
	places []span
	tags   []media.Tag
	// tail is the Tags element with AWS's closing tags, which has no other tags in payloads of the service;
	// empty when there is none.
	tail span

	clusterTimecode time.Duration // of the cluster being read
}

// firstOfEBML is the first byte of an EBML header; no element of a segment begins with it.
const firstOfEBML = byte(ebml.IDEBML >> 24)

// readDocument reads the EBML document at the start of b; b may continue after it. It enters Segment and
// Cluster and ignores their sizes: no element can be both inside and after them. A document that is cut short
// is returned with its available content.
func readDocument(b []byte) (*document, error) {
	h, err := ebml.ParseHeader(b)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return &document{size: len(b), cut: true}, nil
	}
	if err != nil || h.ID != ebml.IDEBML || h.Size == ebml.UnknownSize {
		return nil, errors.New("read EBML header: not Matroska")
	}
	d := &document{scale: time.Millisecond, size: len(b)}
	if h.Size > int64(len(b)-h.Len) {
		d.cut = true
		return d, nil
	}
	for at := h.Len + int(h.Size); at < len(b); {
		h, err := ebml.ParseHeader(b[at:])
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF):
			if b[at] == firstOfEBML { // the next document is cut
				d.size = at
			} else {
				d.cut = true
			}
			return d, nil
		case err != nil:
			return nil, fmt.Errorf("read element at byte %d: %w", at, err)
		case h.ID == ebml.IDEBML:
			d.size = at
			return d, nil
		}
		begin := at + h.Len
		fits := h.Size <= int64(len(b)-begin)
		if !fits {
			d.cut = true
		}
		switch {
		case h.ID == ebml.IDSegment || h.ID == ebml.IDCluster:
			at = begin
			continue
		case h.Size == ebml.UnknownSize:
			return nil, fmt.Errorf("read element %#x at byte %d: unknown size", h.ID, at)
		case !fits:
			return d, nil
		}
		end := begin + int(h.Size)
		tags := len(d.tags)
		if err := d.element(h.ID, b[at:end], b[begin:end]); err != nil {
			return nil, fmt.Errorf("read element %#x at byte %d: %w", h.ID, at, err)
		}
		if slices.ContainsFunc(d.tags[tags:], isClosing) {
			d.tail = span{at, end}
		}
		if len(d.places) < len(d.blocks) {
			d.places = append(d.places, span{at, end})
		}
		at = end
	}
	return d, nil
}

// isClosing reports whether a tag is one that GetMedia puts after a chunk.
func isClosing(t media.Tag) bool { return t.Name == tagMillisBehind || t.Name == tagToken }

// element adds one child of the segment or of a cluster.
func (d *document) element(id uint32, raw, data []byte) error {
	switch id {
	case ebml.IDInfo:
		return d.info(data)
	case ebml.IDTracks:
		d.rawTracks = raw
	case ebml.IDTags:
		return d.readTags(data)
	case ebml.IDTimestamp:
		return d.clusterTime(data)
	case ebml.IDSimpleBlock:
		return d.block(data)
	case ebml.IDBlockGroup:
		return d.blockGroup(data)
	}
	return nil
}

func (d *document) clusterTime(data []byte) error {
	v, err := ebml.Uint(data)
	if err != nil {
		return err
	}
	if v > uint64(math.MaxInt64/2/d.scale) {
		return fmt.Errorf("cluster timecode (%d) is out of range", v)
	}
	d.clusterTimecode = time.Duration(v) * d.scale
	if !d.hasCluster {
		d.hasCluster, d.timecode = true, d.clusterTimecode
	}
	return nil
}

func (d *document) info(data []byte) error {
	for el, err := range ebml.Find(data, ebml.IDTimestampScale) {
		if err != nil {
			return err
		}
		v, err := ebml.Uint(el.Data)
		if err != nil || v == 0 || v > uint64(time.Second) {
			return fmt.Errorf("timestamp scale is not between 1 ns and 1 s")
		}
		d.scale = time.Duration(v)
	}
	return nil
}

func (d *document) readTags(data []byte) error {
	for simple, err := range ebml.Find(data, ebml.IDTag, ebml.IDSimpleTag) {
		if err == nil {
			err = d.simpleTag(simple.Data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *document) simpleTag(data []byte) error {
	var t media.Tag
	for el, err := range ebml.Elements(data) {
		if err != nil {
			return err
		}
		switch el.ID {
		case ebml.IDTagName:
			t.Name = ebml.String(el.Data)
		case ebml.IDTagString:
			t.Value = ebml.String(el.Data)
		}
	}
	d.tags = append(d.tags, t)
	return nil
}

// blockGroup adds a Block: it is a key frame when it refers to no other.
func (d *document) blockGroup(data []byte) error {
	var block []byte
	key := true
	for el, err := range ebml.Elements(data) {
		if err != nil {
			return err
		}
		switch el.ID {
		case ebml.IDBlock:
			block = el.Data
		case ebml.IDReferenceBlock:
			key = false
		}
	}
	if block == nil {
		return nil
	}
	if err := d.block(block); err != nil {
		return err
	}
	d.blocks[len(d.blocks)-1].Key = key
	return nil
}

// block adds the payload of a SimpleBlock or Block (RFC 9559, section 10).
func (d *document) block(data []byte) error {
	track, n, err := ebml.ParseSize(data)
	if err != nil || track == ebml.UnknownSize || len(data) < n+3 {
		return errors.New("malformed block header")
	}
	relative := int16(binary.BigEndian.Uint16(data[n:]))
	d.blocks = append(d.blocks, Block{
		Track:  uint64(track),
		Time:   d.clusterTimecode + time.Duration(relative)*d.scale - d.timecode,
		Key:    data[n+2]&keyFlag != 0,
		Lacing: data[n+2] &^ keyFlag,
		Data:   data[n+3:],
	})
	return nil
}

// tag returns the value of the first tag of that name, or "".
func (d *document) tag(name string) string {
	for _, t := range d.tags {
		if t.Name == name {
			return t.Value
		}
	}
	return ""
}

// numbers counts the fragment numbers in the tags.
func (d *document) numbers() int {
	n := 0
	for _, t := range d.tags {
		if t.Name == tagFragmentNumber {
			n++
		}
	}
	return n
}

// length estimates the duration of the document's first track: from its first to its last block, plus one mean
// distance. It is at least a millisecond.
func (d *document) length() time.Duration {
	if len(d.blocks) == 0 {
		return time.Millisecond
	}
	track, n := d.blocks[0].Track, time.Duration(0)
	first, last := d.blocks[0].Time, d.blocks[0].Time
	for _, b := range d.blocks {
		if b.Track == track {
			n++
			first, last = min(first, b.Time), max(last, b.Time)
		}
	}
	length := last - first
	if n > 1 {
		length += length / (n - 1)
	}
	return max(length.Round(time.Millisecond), time.Millisecond)
}
