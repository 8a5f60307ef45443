package kvstest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/internal/ebml"
	"github.com/kvsframes/kvsframes/media"
)

// Names of the tags that AWS adds to a chunk (API Reference, GetMedia).
const (
	tagPrefix         = "AWS_KINESISVIDEO_"
	tagFragmentNumber = tagPrefix + "FRAGMENT_NUMBER"
	tagServerTime     = tagPrefix + "SERVER_TIMESTAMP"
	tagProducerTime   = tagPrefix + "PRODUCER_TIMESTAMP"
	tagMillisBehind   = tagPrefix + "MILLIS_BEHIND_NOW"
	tagToken          = tagPrefix + "CONTINUATION_TOKEN"
	tagErrorID        = tagPrefix + "ERROR_ID"
	tagErrorCode      = tagPrefix + "ERROR_CODE"
)

// Chunk is one chunk of a GetMedia payload, for AppendChunk. Empty fields are not written, so that unusual
// chunks can be made.
type Chunk struct {
	// FragmentNumber has 47 digits in real streams.
	FragmentNumber string
	// ProducerTime and ServerTime are written with millisecond precision; a zero time has no tag.
	ProducerTime, ServerTime time.Time
	// ErrorID and ErrorCode make an error chunk; an ErrorID of 0 is not written.
	ErrorID   int
	ErrorCode string
	// Tags are user tags before the cluster, TrailingTags user tags after it.
	Tags, TrailingTags []media.Tag
	// Tracks describe the tracks. RawTracks, if not nil, is a complete Tracks element that replaces them.
	Tracks    []media.Track
	RawTracks []byte
	// Timecode is the cluster's timecode; it is cut to milliseconds.
	Timecode time.Duration
	// Blocks are the cluster's blocks. If nil there is no cluster; if empty the cluster is empty.
	Blocks []Block
	// UnknownClusterSize writes the cluster with an unknown size.
	UnknownClusterSize bool
	// ContinuationToken and MillisBehindNow (in milliseconds) are written after the cluster; without a token
	// neither is.
	ContinuationToken string
	MillisBehindNow   int64
}

// Block is one SimpleBlock of a chunk.
type Block struct {
	Track uint64
	// Time is the presentation time, relative to the chunk's timecode, in whole milliseconds from -32768 to 32767.
	Time time.Duration
	Key  bool
	// Lacing holds the other bits of the block's flags (RFC 9559, section 10.2); 0 is a plain block.
	Lacing byte
	// Data follows the flags: it is the payload of a plain block.
	Data []byte
}

// AppendChunk appends a chunk to dst in the layout of KVS: EBML header, Segment of unknown
// size, Info, Tracks, AWS's tags, one Cluster of SimpleBlocks, closing tags.
func AppendChunk(dst []byte, c Chunk) []byte {
	dst = ebml.AppendDocumentHead(dst, 2)
	dst = appendTracks(dst, c)
	dst = appendTags(dst, c.Tags)
	dst = appendTags(dst, c.openingTags())
	if c.Blocks != nil {
		dst = appendCluster(dst, c)
	}
	dst = appendTags(dst, c.TrailingTags)
	if c.ContinuationToken != "" {
		dst = appendClosingTags(dst, c.MillisBehindNow, c.ContinuationToken)
	}
	return dst
}

func appendTracks(dst []byte, c Chunk) []byte {
	if c.RawTracks != nil {
		return append(dst, c.RawTracks...)
	}
	if len(c.Tracks) == 0 {
		return dst
	}
	var tracks []byte
	for _, t := range c.Tracks {
		entry := ebml.AppendUint(nil, ebml.IDTrackNumber, t.Number)
		entry = ebml.AppendUint(entry, ebml.IDTrackUID, t.Number)
		entry = ebml.AppendUint(entry, ebml.IDTrackType, uint64(t.Type))
		entry = ebml.AppendString(entry, ebml.IDCodecID, t.CodecID)
		if t.CodecPrivate != nil {
			entry = ebml.AppendElement(entry, ebml.IDCodecPrivate, t.CodecPrivate)
		}
		if t.DefaultDuration > 0 {
			entry = ebml.AppendUint(entry, ebml.IDDefaultDuration, uint64(t.DefaultDuration))
		}
		if t.Width > 0 {
			video := ebml.AppendUint(nil, ebml.IDPixelWidth, uint64(t.Width))
			video = ebml.AppendUint(video, ebml.IDPixelHeight, uint64(t.Height))
			entry = ebml.AppendElement(entry, ebml.IDVideo, video)
		}
		tracks = ebml.AppendElement(tracks, ebml.IDTrackEntry, entry)
	}
	return ebml.AppendElement(dst, ebml.IDTracks, tracks)
}

// openingTags returns the tags that AWS puts before the cluster.
func (c Chunk) openingTags() []media.Tag {
	id := ""
	if c.ErrorID != 0 {
		id = strconv.Itoa(c.ErrorID)
	}
	tags := []media.Tag{
		{Name: tagFragmentNumber, Value: c.FragmentNumber},
		{Name: tagServerTime, Value: formatStamp(c.ServerTime)},
		{Name: tagProducerTime, Value: formatStamp(c.ProducerTime)},
		{Name: tagErrorID, Value: id},
		{Name: tagErrorCode, Value: c.ErrorCode},
	}
	return slices.DeleteFunc(tags, func(t media.Tag) bool { return t.Value == "" })
}

func appendClosingTags(dst []byte, millisBehind int64, token string) []byte {
	return appendTags(dst, []media.Tag{
		{Name: tagMillisBehind, Value: strconv.FormatInt(millisBehind, 10)},
		{Name: tagToken, Value: token},
	})
}

// appendTags appends one Tags element with one Tag; no tags append nothing.
func appendTags(dst []byte, tags []media.Tag) []byte {
	if len(tags) == 0 {
		return dst
	}
	tag := ebml.AppendElement(nil, ebml.IDTargets, nil)
	for _, t := range tags {
		simple := ebml.AppendString(nil, ebml.IDTagName, t.Name)
		simple = ebml.AppendString(simple, ebml.IDTagString, t.Value)
		tag = ebml.AppendElement(tag, ebml.IDSimpleTag, simple)
	}
	return ebml.AppendElement(dst, ebml.IDTags, ebml.AppendElement(nil, ebml.IDTag, tag))
}

func appendCluster(dst []byte, c Chunk) []byte {
	cluster := ebml.AppendUint(nil, ebml.IDTimestamp, uint64(c.Timecode.Milliseconds()))
	for _, b := range c.Blocks {
		flags := b.Lacing &^ keyFlag
		if b.Key {
			flags |= keyFlag
		}
		cluster = ebml.AppendSimpleBlock(cluster, b.Track, int16(b.Time.Milliseconds()), flags, b.Data)
	}
	if c.UnknownClusterSize {
		dst = append(ebml.AppendID(dst, ebml.IDCluster), 0xFF) // the one-byte form of PIC producers
		return append(dst, cluster...)
	}
	return ebml.AppendElement(dst, ebml.IDCluster, cluster)
}

// keyFlag marks a key frame in the flags of a SimpleBlock.
const keyFlag = 0x80

// formatStamp formats a time as in AWS's tags: seconds since 1970 with three decimals; "" for the zero time.
func formatStamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	ms := t.UnixMilli()
	return fmt.Sprintf("%d.%03d", ms/1000, ms%1000)
}

// parseStamp reads the format of formatStamp. It returns false for other text.
func parseStamp(s string) (time.Time, bool) {
	whole, frac, _ := strings.Cut(s, ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || sec < 0 || len(frac) > 9 {
		return time.Time{}, false
	}
	nanos, err := strconv.ParseUint((frac + "000000000")[:9], 10, 32)
	if err != nil {
		return time.Time{}, false
	}
	return time.Unix(sec, int64(nanos)).UTC(), true
}
