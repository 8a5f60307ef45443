//go:build cgo

package decode

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asticode/go-astiav"

	"github.com/kvsframes/kvsframes/media"
)

// TestExifToolFindsNothingWrongWithImages runs a program that knows all of the standard.
func TestExifToolFindsNothingWrongWithImages(t *testing.T) {
	tool, err := exec.LookPath("exiftool")
	if err != nil {
		t.Fatalf("exiftool (make setup-test installs it): %v", err)
	}
	encoder, err := newEncoder()
	if err != nil {
		t.Fatal(err)
	}
	defer encoder.free()
	folder := t.TempDir()
	producer := time.Date(2026, 3, 4, 5, 6, 7, 89e6, time.UTC)
	for stream, server := range map[string]time.Time{"cam": {}, "\u0414\u0432\u0435\u0440\u044c \u2764 \U0001f6aa": producer.Add(time.Second)} {
		for _, format := range []Format{FormatJPEG, FormatPNG} {
			o := Output{Format: format, Quality: 80, EXIF: true}
			f, _ := noise(t, 40, 24, astiav.PixelFormatYuv444P, 8)
			picture, err := newTestRenderer(t).render(f, o)
			if err != nil {
				t.Fatal(err)
			}
			img, err := encoder.encode(picture, o, media.FrameInfo{Stream: stream, FragmentNumber: "7", Index: 3, ProducerTime: producer, ServerTime: server})
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(folder, "image."+img.Ext)
			if err := os.WriteFile(path, img.Data, 0o600); err != nil {
				t.Fatal(err)
			}
			says, err := exec.CommandContext(t.Context(), tool, "-validate", "-warning", "-error", "-a", "-s3", path).CombinedOutput()
			if got := strings.TrimSpace(string(says)); err != nil || got != "OK" {
				t.Errorf("%s of %q: %v\n%s", format, stream, err, got)
			}
			told, err := exec.CommandContext(t.Context(), tool, "-s3", "-ImageDescription", "-SubSecDateTimeOriginal", "-ExifImageWidth", path).Output()
			lines := strings.Split(string(told), "\n")
			var description struct{ Stream string }
			if err != nil || json.Unmarshal([]byte(lines[0]), &description) != nil || description.Stream != stream || strings.Trim(lines[0], asciiText) != "" {
				t.Errorf("%s: description %s of %q, %v", format, lines[0], stream, err)
			}
			if len(lines) < 3 || lines[1] != "2026:03:04 05:06:07.089+00:00" || lines[2] != "40" {
				t.Errorf("%s: told %q", format, lines)
			}
		}
	}
}

// asciiText are the characters of ASCII that are no controls.
var asciiText = func() string {
	var b strings.Builder
	for c := byte(' '); c <= '~'; c++ {
		b.WriteByte(c)
	}
	return b.String()
}()

// TestEachExifFieldIsDescribed reads the tags of both directories (TIFF 6.0, section 2).
func TestEachExifFieldIsDescribed(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	body := exifBody(media.FrameInfo{Stream: "cam", ProducerTime: at, ServerTime: at}, 40, 24, true)
	var written []uint16
	var directory func(offset uint32)
	directory = func(offset uint32) {
		for i := range uint32(binary.LittleEndian.Uint16(body[offset:])) {
			entry := body[offset+2+12*i:]
			tag := binary.LittleEndian.Uint16(entry)
			if written = append(written, tag); tag == tagExifIFD {
				directory(binary.LittleEndian.Uint32(entry[8:]))
			}
		}
	}
	directory(8)
	var described []uint16
	for _, f := range exifFields {
		described = append(described, f.tag)
	}
	slices.Sort(written)
	slices.Sort(described)
	if !slices.Equal(written, described) {
		t.Errorf("written are the tags %x, described %x", written, described)
	}
}
