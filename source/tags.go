package source

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/internal/ebml"
	"github.com/kvsframes/kvsframes/media"
)

const (
	// awsPrefix begins the names of the tags that KVS adds.
	awsPrefix = "AWS_KINESISVIDEO_"
	// maxTags bounds the tags of one chunk. KVS takes 10 of a producer.
	maxTags = 1000
	// maxNumber is the longest fragment number of the API, in digits.
	maxNumber = 128
)

// muxerTags are what muxers write about the file as a whole, with a Targets
// element as Matroska demands. The tags of KVS producers have no Targets.
var muxerTags = map[string]bool{
	"MAJOR_BRAND": true, "MINOR_VERSION": true, "COMPATIBLE_BRANDS": true,
	"ENCODER": true, "CREATION_TIME": true, "DURATION": true,
}

// chunkTags is what the tags of one chunk say.
//
// The tags of KVS are told by their names, below. A tag is the fragment's own,
// a user tag, unless
//   - it is one of those, or
//   - its Targets name a track, chapter, edition or attachment, so that it is
//     not about the fragment, or
//   - it has Targets and one of the names in muxerTags: those come with the
//     producer's file header and are repeated with every fragment.
//
// Tags count for the chunk that holds them, before Info and after the cluster
// too. Other names with the prefix of AWS, such as AWS_KINESISVIDEO_IMAGE_PREFIX,
// were set by the producer and stay user tags.
type chunkTags struct {
	number           string
	producer, server time.Time
	behind           int64 // ms, -1 = not told
	token            string
	user             []media.Tag
	failure          *ErrorTag
	count            int
}

// add reads the payload of a Tags element.
func (t *chunkTags) add(payload []byte) error {
	for e, err := range ebml.Elements(payload) {
		if err != nil {
			return fmt.Errorf("tags: %w", err)
		}
		if e.ID != ebml.IDTag {
			continue
		}
		if err := t.addTag(e.Data); err != nil {
			return err
		}
	}
	return nil
}

// addTag reads one Tag: its target, then its names and values. Nested
// SimpleTags say more about the one around them and are left out.
func (t *chunkTags) addTag(tag []byte) error {
	targeted, elsewhere := false, false
	for e, err := range ebml.Elements(tag) {
		if err != nil {
			return fmt.Errorf("tag: %w", err)
		}
		if e.ID == ebml.IDTargets {
			targeted = true
			if elsewhere, err = namesPart(e.Data); err != nil {
				return fmt.Errorf("tag targets: %w", err)
			}
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
		if t.count++; t.count > maxTags {
			return tooLarge("number of tags", int64(t.count), maxTags)
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

// namesPart says whether Targets name a part of the document by its UID; a UID
// of 0 means all of them.
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

// simpleTag reads the name and the text of a SimpleTag.
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

// take sorts one tag to where it belongs. Both spellings of the AWS pages are
// understood (API Reference, GetMedia and GetMediaForFragmentList).
func (t *chunkTags) take(name, value string, targeted bool) error {
	var err error
	short, _ := strings.CutPrefix(name, awsPrefix)
	if short == name {
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
			t.user = append(t.user, media.Tag{Name: name, Value: value})
		}
	}
	if err != nil {
		return fmt.Errorf("tag %s: %w", name, err)
	}
	return nil
}

// takeFailure notes one tag of an error chunk. Where no id is given, a code that
// is a number is the id.
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

// parseTimestamp reads "seconds.millis" since the Unix epoch without going
// through a float, which would not hold every millisecond.
func parseTimestamp(text string) (time.Time, error) {
	whole, fraction, dotted := strings.Cut(text, ".")
	if !isDigits(whole) || len(whole) > 12 || dotted && (!isDigits(fraction) || len(fraction) > 9) {
		return time.Time{}, fmt.Errorf("%.40q is not a time in seconds", text)
	}
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	nanos, err := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	return time.Unix(seconds, nanos).UTC(), nil
}

// IsFragmentNumber says whether the API takes text as a fragment number (API Reference, GetMedia and
// GetMediaForFragmentList).
func IsFragmentNumber(text string) bool { return isDigits(text) && len(text) <= maxNumber }

// isDigits says whether text consists of decimal digits, at least one.
func isDigits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}
