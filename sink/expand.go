package sink

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/kvsframes/kvsframes/internal/disk"
	"github.com/kvsframes/kvsframes/media"
)

const (
	// unknown replaces a time or a name that is missing, noTag a tag that is missing or empty.
	unknown = "unknown"
	noTag   = "none"
	// hashBytes is the size of {hash2}.
	hashBytes = 2
	// markBytes is the size of the mark that is appended to a changed value.
	markBytes = 9
)

// Image returns the key of an image. The key depends only on the image's names, times and sizes and on
// runID, never on its pixels.
//
// Times are in UTC, cut to the millisecond; a zero time becomes `unknown`. Names that come from a stream are
// cleaned: characters that are not printable, slashes, backslashes and two dots in a row become underscores,
// and a long name is cut. A changed name ends with a mark derived from the original, so that two names never
// become equal. {tag:NAME} is the value of the fragment's first tag of that name, cleaned in the same way, or
// `none` if there is no such tag or it is empty. {hash2} is the first byte, in hex, of the SHA-256 of the key
// without it.
func (t *Template) Image(img media.Image, runID string) string {
	return t.expand(func(p piece, limit int) string {
		switch p.token {
		case tokenStream:
			return clean(img.Stream, limit)
		case tokenSink:
			return clean(img.Sink, limit)
		case tokenFragment:
			return clean(img.FragmentNumber, numberBytes)
		case tokenFrame:
			return fmt.Sprintf("%06d", img.Index)
		case tokenProducerTime:
			return stamp(img.ProducerTime)
		case tokenServerTime:
			return stamp(img.ServerTime)
		case tokenDate, tokenHour:
			return partition(p.token, img.ProducerTime)
		case tokenTag:
			return tagValue(img.Tags, p.tag, limit)
		case tokenPTS:
			return strconv.FormatInt(Milliseconds(img.PTS), 10)
		case tokenWidth:
			return strconv.Itoa(img.Width)
		case tokenHeight:
			return strconv.Itoa(img.Height)
		case tokenExt:
			return clean(img.Ext, limit)
		default:
			return clean(runID, limit)
		}
	})
}

// Part returns the key of the manifest part of a fragment; see Image.
func (t *Template) Part(f *media.Fragment, sink, runID string) string {
	return t.expand(func(p piece, limit int) string {
		switch p.token {
		case tokenStream:
			return clean(f.Stream, limit)
		case tokenSink:
			return clean(sink, limit)
		case tokenFragment:
			return clean(f.Number, numberBytes)
		case tokenProducerTime:
			return stamp(f.ProducerTime)
		case tokenServerTime:
			return stamp(f.ServerTime)
		case tokenDate, tokenHour:
			return partition(p.token, f.ProducerTime)
		case tokenTag:
			return tagValue(f.Tags, p.tag, limit)
		default:
			return clean(runID, limit)
		}
	})
}

// expand fills in the values, of at most limit bytes each.
func (t *Template) expand(value func(p piece, limit int) string) string {
	if !t.has(tokenHash) {
		return t.fill(value)
	}
	hash := ""
	withHash := func(p piece, limit int) string {
		if p.token == tokenHash {
			return hash
		}
		return value(p, limit)
	}
	sum := sha256.Sum256([]byte(t.fill(withHash)))
	hash = hex.EncodeToString(sum[:])[:hashBytes]
	return t.fill(withHash)
}

func (t *Template) fill(value func(p piece, limit int) string) string {
	segments := make([]string, len(t.segments))
	for i, pieces := range t.segments {
		// The last limit always fits: parseSegment checked it.
		for _, limit := range []int{MaxSegmentBytes, 192, 128, 96, 64, 40, minValueBytes} {
			if segments[i] = fillSegment(pieces, value, limit); len(segments[i]) <= MaxSegmentBytes {
				break
			}
		}
	}
	return strings.Join(segments, "/")
}

func fillSegment(pieces []piece, value func(p piece, limit int) string, limit int) string {
	var b strings.Builder
	for _, p := range pieces {
		if p.token == "" {
			b.WriteString(p.literal)
		} else {
			b.WriteString(value(p, limit))
		}
	}
	// The pieces together must not form the name of an unfinished file.
	if s := b.String(); strings.HasPrefix(s, disk.TempPrefix) {
		return "_" + s[1:]
	}
	return b.String()
}

// clean turns a name from outside into a valid part of a segment.
func clean(name string, limit int) string {
	if name == "" {
		return unknown
	}
	safe := strings.Map(func(r rune) rune {
		if r == '/' || r == '\\' || r == utf8.RuneError || !unicode.IsPrint(r) {
			return '_'
		}
		return r
	}, name)
	safe = strings.ReplaceAll(safe, "..", "__")
	if safe == "." {
		safe = "_"
	}
	if safe == name && len(safe) <= limit {
		return safe
	}
	sum := sha256.Sum256([]byte(name))
	return cut(safe, limit-markBytes) + "-" + hex.EncodeToString(sum[:])[:markBytes-1]
}

// cut returns the longest prefix of s of whole characters and at most limit bytes.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// stamp formats a time for a key. Layouts of package time require a dot before the fraction, so the dot is
// replaced afterwards.
func stamp(t time.Time) string {
	if t.IsZero() {
		return unknown
	}
	return strings.Replace(t.UTC().Format("20060102T150405.000"), ".", "_", 1) + "Z"
}

// partition formats a time as {producer_date} or {producer_hour}.
func partition(t token, at time.Time) string {
	switch {
	case at.IsZero():
		return unknown
	case t == tokenHour:
		return at.UTC().Format("15")
	}
	return at.UTC().Format(time.DateOnly)
}

// tagValue returns the value of the first tag of a name.
func tagValue(tags []media.Tag, name string, limit int) string {
	i := slices.IndexFunc(tags, func(t media.Tag) bool { return t.Name == name })
	if i < 0 || tags[i].Value == "" {
		return noTag
	}
	return clean(tags[i].Value, limit)
}

// Milliseconds rounds down, also for negative durations, so that times keep their order.
func Milliseconds(d time.Duration) int64 {
	n := d.Milliseconds()
	if d%time.Millisecond < 0 {
		n--
	}
	return n
}
