package payload

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kvsframes/kvsframes/internal/ebml"
	"github.com/kvsframes/kvsframes/media"
)

const (
	// awsPrefix begins the names of the tags that KVS adds.
	awsPrefix = "AWS_KINESISVIDEO_"
	// maxTags, maxTagName and maxTagValue bound a fragment's own tags, in number and bytes, like KVS
	// (Developer Guide, Quotas).
	maxTags     = 10
	maxTagName  = 128
	maxTagValue = 256
	// maxAWSValue bounds the values of the tags that KVS adds, in bytes.
	maxAWSValue = 1 << 10
)

// muxerTags are the tags that muxers write about the whole file, with a Targets element as Matroska requires.
// The tags of KVS producers have no Targets.
var muxerTags = map[string]bool{
	"MAJOR_BRAND": true, "MINOR_VERSION": true, "COMPATIBLE_BRANDS": true,
	"ENCODER": true, "CREATION_TIME": true, "DURATION": true,
}

// chunkTags holds the content of the tags of one chunk.
//
// The names below mark the tags of KVS. A tag is the fragment's own,
// a user tag, unless
//   - it is one of those, or
//   - its Targets name a track, chapter, edition or attachment, so that it is
//     not about the fragment, or
//   - it has Targets and one of the names in muxerTags: those come with the
//     producer's file header and are repeated with every fragment.
//
// Tags belong to the fragment next to them (see Splitter), even before Info and after the cluster. Other names
// with the prefix of AWS, such as AWS_KINESISVIDEO_IMAGE_PREFIX, were set by the producer and are user tags.
type chunkTags struct {
	number           string
	producer, server time.Time
	behind           int64 // ms, -1 = unknown
	token            string
	user             []media.Tag
	failure          *ErrorTag
	// bad is the first error in the tags.
	bad error
	// cut describes what was left out because it exceeds a limit, for a warning.
	cut string
}

// noTags returns the state before any tag.
func noTags() chunkTags { return chunkTags{behind: -1} }

// opens reports whether there are tags that begin a fragment.
func (t *chunkTags) opens() bool {
	return t.number != "" || !t.producer.IsZero() || !t.server.IsZero()
}

// kvs reports whether there are tags that KVS adds.
func (t *chunkTags) kvs() bool { return t.opens() || t.token != "" || t.behind >= 0 }

// merge adds further tags of the same fragment.
func (t *chunkTags) merge(more chunkTags) {
	t.number, t.token = cmp.Or(more.number, t.number), cmp.Or(more.token, t.token)
	t.producer, t.server = cmp.Or(more.producer, t.producer), cmp.Or(more.server, t.server)
	if more.behind >= 0 {
		t.behind = more.behind
	}
	for _, tag := range more.user {
		t.addUser(tag)
	}
	t.cut = cmp.Or(t.cut, more.cut)
	switch f := more.failure; {
	case f != nil && t.failure != nil:
		t.failure.ID, t.failure.Code = cmp.Or(f.ID, t.failure.ID), cmp.Or(f.Code, t.failure.Code)
		t.failure.Message = cmp.Or(f.Message, t.failure.Message)
	case f != nil:
		t.failure = f
	}
}

// addUser adds a tag of the producer, within the limits of KVS.
func (t *chunkTags) addUser(tag media.Tag) {
	if len(t.user) == maxTags {
		t.cut = cmp.Or(t.cut, fmt.Sprintf("more than %d tags", maxTags))
		return
	}
	name, value := atMost(tag.Name, maxTagName), atMost(tag.Value, maxTagValue)
	if len(name) < len(tag.Name) || len(value) < len(tag.Value) {
		t.cut = cmp.Or(t.cut, fmt.Sprintf("a tag's name above %d bytes or its value above %d", maxTagName, maxTagValue))
	}
	t.user = append(t.user, media.Tag{Name: name, Value: value})
}

// atMost returns the longest prefix of text of whole characters and at most n bytes.
func atMost(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// readTags reads a Tags element, which belongs to the current fragment or begins the next one.
func (s *Splitter) readTags(h ebml.Header) error {
	d := &s.doc
	read := s.keep
	if d.plain {
		read = s.readAside // unless its tags show that the document is not plain
	} else if d.part == nil {
		s.beginPart()
	}
	payload, err := read(h)
	if err != nil || payload == nil {
		return err
	}
	offset, raw := s.last.offset, s.last.data
	t := noTags()
	if err := t.add(payload); err != nil {
		if err := s.doubt(&t.bad, offset, err); err != nil {
			return err
		}
	}
	s.last = lastElement{} // it is valid, so its size is right
	if t.cut != "" {
		s.warn("tags", "tags are cut to the limits of KVS: "+t.cut, "fragment", cmp.Or(t.number, s.number()))
	}
	s.recording = s.recording || t.number != ""
	switch {
	case d.plain && t.kvs():
		s.turnRecording(t, raw)
		return nil
	case d.plain:
		return nil
	}
	d.tagged = true
	s.takeTags(t, len(raw))
	return nil
}

// takeTags adds tags to the current fragment, whose last n bytes they are, or begins the next fragment with them.
func (s *Splitter) takeTags(t chunkTags, n int) {
	d := &s.doc
	p := d.part
	other := t.number != "" && p.tags.number != "" && t.number != p.tags.number
	switch {
	case d.tagsBehind && !other:
	case other, p.hasCluster && (t.opens() || t.bad != nil), p.bad != nil && t.opens():
		at := len(p.mkv) - n
		raw := slices.Clone(p.mkv[at:])
		p.mkv, p.whole = p.mkv[:at], at
		s.finishChunk()
		s.beginPart()
		p = d.part
		p.mkv = append(p.mkv, raw...)
		p.whole = len(p.mkv)
	}
	p.tags.merge(t)
	if p.bad == nil {
		p.bad = t.bad
	}
	if p.hasCluster && p.tags.token != "" {
		s.finishChunk()
	}
}

// turnRecording is called when the tags of KVS follow a Cluster without tags before it. Either all tags of the
// document follow their Clusters, or those of its first fragment are lost; in the latter case a part of them
// remains.
func (s *Splitter) turnRecording(t chunkTags, raw []byte) {
	d := &s.doc
	p := d.waiting
	d.plain, d.waiting = false, nil
	s.recording = true
	for _, q := range d.orphans {
		spoil(&q.bad, s.in.Offset(), errNoNumber)
	}
	s.adopt()
	first := p != nil && p.number == fmt.Sprintf("%06d", s.clusters-1) && !d.hurt
	switch {
	case first && t.number != "" && !d.counted && !d.tagged:
		d.tagsBehind = true
		s.clusters--
		p.number = ""
		d.part = p
	case p != nil:
		p.number = t.token
		spoil(&p.bad, s.in.Offset(), errNoNumber)
		s.emitChunk(p)
		fallthrough
	default:
		s.beginPart()
	}
	d.part.mkv = append(d.part.mkv, raw...)
	d.part.whole = len(d.part.mkv)
	s.takeTags(t, len(raw))
}

// add reads the payload of a Tags element.
func (t *chunkTags) add(payload []byte) error {
	for e, err := range ebml.Elements(payload) {
		if err != nil {
			return fmt.Errorf("tags: %w", err)
		}
		if e.ID == ebml.IDVoid || e.ID == ebml.IDCRC32 {
			continue
		}
		if e.ID != ebml.IDTag {
			return fmt.Errorf("tags: element %#x", e.ID)
		}
		if err := t.addTag(e.Data); err != nil {
			return err
		}
	}
	return nil
}

// addTag reads one Tag: its target, then its names and values. It ignores nested SimpleTags, which describe
// the outer one.
func (t *chunkTags) addTag(tag []byte) error {
	targeted, elsewhere := false, false
	for e, err := range ebml.Elements(tag) {
		if err != nil {
			return fmt.Errorf("tag: %w", err)
		}
		switch e.ID {
		case ebml.IDVoid, ebml.IDCRC32, ebml.IDSimpleTag:
		case ebml.IDTargets:
			targeted = true
			if elsewhere, err = namesPart(e.Data); err != nil {
				return fmt.Errorf("tag targets: %w", err)
			}
		default:
			return fmt.Errorf("tag: element %#x", e.ID)
		}
	}
	if elsewhere {
		return nil
	}
	for e, err := range ebml.Elements(tag) {
		if err != nil {
			return err
		}
		if e.ID != ebml.IDSimpleTag {
			continue
		}
		name, value, err := simpleTag(e.Data)
		if err != nil {
			return fmt.Errorf("simple tag: %w", err)
		}
		if err := t.take(name, value, targeted); err != nil {
			return err
		}
	}
	return nil
}

// namesPart reports whether Targets name a part of the document by its UID; a UID of 0 means all parts.
func namesPart(targets []byte) (bool, error) {
	for e, err := range ebml.Elements(targets) {
		if err != nil {
			return false, err
		}
		switch e.ID {
		case ebml.IDTagTrackUID, ebml.IDTagEditionUID, ebml.IDTagChapterUID, ebml.IDTagAttachmentUID:
			uid, err := ebml.Uint(e.Data)
			if err != nil || uid != 0 {
				return true, err
			}
		}
	}
	return false, nil
}

// simpleTag returns the name and the text of a SimpleTag.
func simpleTag(data []byte) (name, value string, err error) {
	for e, err := range ebml.Elements(data) {
		if err != nil {
			return "", "", err
		}
		switch e.ID {
		case ebml.IDTagName:
			name = ebml.String(e.Data)
		case ebml.IDTagString:
			value = ebml.String(e.Data)
		}
	}
	return name, value, nil
}

// take stores one tag. It accepts both spellings in the AWS documentation (API Reference, GetMedia and
// GetMediaForFragmentList).
func (t *chunkTags) take(name, value string, targeted bool) error {
	var err error
	short, known := strings.CutPrefix(name, awsPrefix)
	if known {
		value = atMost(value, maxAWSValue)
	} else {
		short = "" // not a name of KVS
	}
	switch short {
	case "FRAGMENT_NUMBER":
		if !IsFragmentNumber(value) {
			return fmt.Errorf("tag %s: %.140q is not a fragment number", name, value)
		}
		t.number = value
	case "PRODUCER_TIMESTAMP", "PRODUCER_SIDE_TIMESTAMP":
		t.producer, err = parseTimestamp(value)
	case "SERVER_TIMESTAMP", "SERVER_SIDE_TIMESTAMP":
		t.server, err = parseTimestamp(value)
	case "MILLIS_BEHIND_NOW":
		t.behind, err = strconv.ParseInt(value, 10, 64)
		t.behind = max(t.behind, 0)
	case "CONTINUATION_TOKEN":
		t.token = value
	case "ERROR_ID", "ERROR_CODE", "EXCEPTION_ERROR_CODE", "EXCEPTION_MESSAGE":
		t.takeFailure(short, value)
	default:
		if name != "" && !(targeted && muxerTags[name]) {
			t.addUser(media.Tag{Name: name, Value: value})
		}
	}
	if err != nil {
		return fmt.Errorf("tag %s: %w", name, err)
	}
	return nil
}

// takeFailure stores one tag of an error chunk. If there is no ID, a numeric code is the ID.
func (t *chunkTags) takeFailure(short, value string) {
	if t.failure == nil {
		t.failure = &ErrorTag{}
	}
	number, err := strconv.Atoi(value)
	switch {
	case short == "EXCEPTION_MESSAGE":
		t.failure.Message = value
	case short != "ERROR_ID":
		t.failure.Code = value
		if err == nil && t.failure.ID == 0 {
			t.failure.ID = number
		}
	case err == nil:
		t.failure.ID = number
	}
}

// parseTimestamp reads "seconds.millis" since the Unix epoch. It avoids a float, which cannot represent every
// millisecond.
func parseTimestamp(text string) (time.Time, error) {
	whole, fraction, dotted := strings.Cut(text, ".")
	if !isDigits(whole) || len(whole) > 12 || dotted && (!isDigits(fraction) || len(fraction) > 9) {
		return time.Time{}, fmt.Errorf("%.40q is not a time in seconds", text)
	}
	seconds, _ := strconv.ParseInt(whole, 10, 64) // 12 digits fit
	nanos, _ := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
	return time.Unix(seconds, nanos).UTC(), nil
}
