package decode

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/kvsframes/kvsframes/media"
)

// Tags and types of Exif 2.32 (CIPA DC-008-2019, 4.6).
const (
	tagDescription         = 0x010e
	tagXResolution         = 0x011a
	tagYResolution         = 0x011b
	tagResolutionUnit      = 0x0128
	tagSoftware            = 0x0131
	tagYCbCrPositioning    = 0x0213
	tagExifIFD             = 0x8769
	tagExifVersion         = 0x9000
	tagDateTimeOriginal    = 0x9003
	tagDateTimeDigitized   = 0x9004
	tagComponents          = 0x9101
	tagOffsetTimeOriginal  = 0x9011
	tagOffsetTimeDigitized = 0x9012
	tagSubSecOriginal      = 0x9291
	tagSubSecDigitized     = 0x9292
	tagFlashpixVersion     = 0xa000
	tagColorSpace          = 0xa001
	tagPixelXDimension     = 0xa002
	tagPixelYDimension     = 0xa003

	typeASCII     = 2
	typeShort     = 3
	typeLong      = 4
	typeRational  = 5
	typeUndefined = 7
)

// exifFields names the fields that are written, with what their values are.
var exifFields = []struct {
	tag       uint16
	name, doc string
}{
	{tagDescription, "ImageDescription", `JSON: {"stream": text, "fragment_number": text, "frame_index": number}`},
	{tagDateTimeOriginal, "DateTimeOriginal", "the capture time on the clock of the producer"},
	{tagOffsetTimeOriginal, "OffsetTimeOriginal", "+00:00: the time is in UTC"},
	{tagSubSecOriginal, "SubSecTimeOriginal", "its milliseconds"},
	{tagDateTimeDigitized, "DateTimeDigitized", "the capture time on the clock of the server; absent, with the two that follow, if unknown"},
	{tagOffsetTimeDigitized, "OffsetTimeDigitized", "+00:00: the time is in UTC"},
	{tagSubSecDigitized, "SubSecTimeDigitized", "its milliseconds"},
	{tagSoftware, "Software", "kvsframes"},
	{tagPixelXDimension, "PixelXDimension", "the width of the image in pixels"},
	{tagPixelYDimension, "PixelYDimension", "the height of the image in pixels"},
	{tagColorSpace, "ColorSpace", "1, which is sRGB"},
	{tagXResolution, "XResolution", "72, which the standard requires"},
	{tagYResolution, "YResolution", "72"},
	{tagResolutionUnit, "ResolutionUnit", "2, which is inches"},
	{tagExifVersion, "ExifVersion", "0232"},
	{tagFlashpixVersion, "FlashpixVersion", "0100"},
	{tagComponents, "ComponentsConfiguration", "Y, Cb, Cr; of JPEG"},
	{tagYCbCrPositioning, "YCbCrPositioning", "1, which is centered; of JPEG"},
	{tagExifIFD, "ExifIFD", "where the second directory begins"},
}

// ExifFields yields the names of the Exif fields of images, with what their values are.
func ExifFields() iter.Seq2[string, string] {
	return func(yield func(name, doc string) bool) {
		for _, f := range exifFields {
			if !yield(f.name, f.doc) {
				return
			}
		}
	}
}

// exifSizes are the sizes of one value of each type, in bytes.
var exifSizes = map[uint16]int{typeASCII: 1, typeShort: 2, typeLong: 4, typeRational: 8, typeUndefined: 1}

// exifEntry is one field of an image file directory.
type exifEntry struct {
	tag, kind uint16
	value     []byte
}

func ascii(tag uint16, s string) exifEntry {
	return exifEntry{tag, typeASCII, append([]byte(s), 0)}
}

func short(tag uint16, v int) exifEntry {
	return exifEntry{tag, typeShort, binary.LittleEndian.AppendUint16(nil, uint16(v))}
}

func long(tag uint16, v int) exifEntry {
	return exifEntry{tag, typeLong, binary.LittleEndian.AppendUint32(nil, uint32(v))}
}

// whole returns a field that holds a whole number as a rational.
func whole(tag uint16, v int) exifEntry {
	b := binary.LittleEndian.AppendUint32(nil, uint32(v))
	return exifEntry{tag, typeRational, binary.LittleEndian.AppendUint32(b, 1)}
}

// exifSegment returns the APP1 segment of a JPEG of w x h pixels.
func exifSegment(f media.FrameInfo, w, h int) []byte {
	body := exifBody(f, w, h, true)
	segment := make([]byte, 0, 10+len(body))
	segment = append(segment, 0xff, 0xe1)
	segment = binary.BigEndian.AppendUint16(segment, uint16(2+6+len(body)))
	return append(append(segment, "Exif\x00\x00"...), body...)
}

// exifBody returns the Exif fields of one frame, in an image of w x h pixels, as a TIFF file: the producer's
// time as the original, the server's as the digitized time, both in UTC, and stream,
// fragment and frame as JSON in the description. The other fields are those that the standard requires
// of every file (Exif 2.32, 4.6.8), and of compressed ones if it is a JPEG.
func exifBody(f media.FrameInfo, w, h int, jpeg bool) []byte {
	const date, second = "2006:01:02 15:04:05", "000"
	description, err := json.Marshal(struct {
		Stream   string `json:"stream"`
		Fragment string `json:"fragment_number"`
		Frame    int    `json:"frame_index"`
	}{f.Stream, f.FragmentNumber, f.Index})
	if err != nil { // strings and integers always marshal
		panic(err)
	}
	producer := f.ProducerTime.UTC()
	exif := []exifEntry{
		{tagExifVersion, typeUndefined, []byte("0232")},
		ascii(tagDateTimeOriginal, producer.Format(date)),
		ascii(tagOffsetTimeOriginal, "+00:00"),
		ascii(tagSubSecOriginal, producer.Format("." + second)[1:]),
	}
	if server := f.ServerTime.UTC(); !f.ServerTime.IsZero() {
		exif = append(exif,
			ascii(tagDateTimeDigitized, server.Format(date)),
			ascii(tagOffsetTimeDigitized, "+00:00"),
			ascii(tagSubSecDigitized, server.Format("." + second)[1:]))
	}
	const sRGB = 1
	if jpeg {
		exif = append(exif, exifEntry{tagComponents, typeUndefined, []byte{1, 2, 3, 0}}) // Y, Cb, Cr
	}
	exif = append(exif,
		exifEntry{tagFlashpixVersion, typeUndefined, []byte("0100")}, short(tagColorSpace, sRGB),
		long(tagPixelXDimension, w), long(tagPixelYDimension, h))
	const inches, dotsPerInch, centered = 2, 72, 1
	main := []exifEntry{
		ascii(tagDescription, asciiJSON(description)),
		whole(tagXResolution, dotsPerInch), whole(tagYResolution, dotsPerInch), short(tagResolutionUnit, inches),
		ascii(tagSoftware, "kvsframes"),
	}
	if jpeg {
		main = append(main, short(tagYCbCrPositioning, centered))
	}
	main = append(main, exifEntry{tagExifIFD, typeLong, nil})
	slices.SortFunc(exif, func(a, b exifEntry) int { return cmp.Compare(a.tag, b.tag) })
	const header = 8
	return appendDirectory([]byte("II*\x00\x08\x00\x00\x00"), header, main, exif)
}

// asciiJSON escapes characters that are not ASCII, since text in Exif is ASCII (4.6.2).
func asciiJSON(text []byte) string {
	var b strings.Builder
	for _, unit := range utf16.Encode([]rune(string(text))) {
		if unit < utf8.RuneSelf {
			b.WriteByte(byte(unit))
		} else {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}

// appendDirectory appends a directory that starts at offset, its values, and the
// directory that its tagExifIFD entry points to (TIFF 6.0, section 2).
func appendDirectory(dst []byte, offset int, entries, sub []exifEntry) []byte {
	order := binary.LittleEndian
	values := offset + 2 + 12*len(entries) + 4
	var tail []byte
	dst = order.AppendUint16(dst, uint16(len(entries)))
	subEntry := -1
	for _, e := range entries {
		dst = order.AppendUint16(dst, e.tag)
		dst = order.AppendUint16(dst, e.kind)
		if e.tag == tagExifIFD {
			dst = order.AppendUint32(dst, 1)
			subEntry = len(dst)
			dst = order.AppendUint32(dst, 0)
			continue
		}
		dst = order.AppendUint32(dst, uint32(len(e.value)/exifSizes[e.kind]))
		if len(e.value) <= 4 {
			dst = append(dst, append(e.value, 0, 0, 0, 0)[:4]...)
			continue
		}
		dst = order.AppendUint32(dst, uint32(values+len(tail)))
		tail = append(tail, e.value...)
		if len(tail)%2 != 0 { // values start at even offsets
			tail = append(tail, 0)
		}
	}
	dst = append(order.AppendUint32(dst, 0), tail...)
	if subEntry >= 0 {
		at := values + len(tail)
		order.PutUint32(dst[subEntry:], uint32(at))
		dst = appendDirectory(dst, at, sub, nil)
	}
	return dst
}
