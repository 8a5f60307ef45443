//go:build cgo

package decode

import (
	"bytes"
	"testing"

	"github.com/asticode/go-astiav"

	"github.com/kvsframes/kvsframes/decode/decodetest"
	"github.com/kvsframes/kvsframes/media"
)

// frameOf returns a frame of a clip's first fragment.
func frameOf(t *testing.T, clip string, k int, cfg Config, o Output) media.Image {
	t.Helper()
	p := newTestPool(t, func(c *Config) { c.Deinterlace = cfg.Deinterlace })
	images, _ := decodeAll(t, stream(t, p, o), fragments(t, "testdata/"+clip))
	return images[0][k]
}

// TestInterlacedPicturesShowOneInstant compares with whole frames of the instants of the first fields.
func TestInterlacedPicturesShowOneInstant(t *testing.T) {
	on, off := DefaultConfig(), DefaultConfig()
	off.Deinterlace = DeinterlaceOff
	for _, clip := range []string{"interlaced.mkv", "interlaced-bff.mkv"} {
		for _, resize := range []Resize{{}, {Width: 150}, {Width: 96}, {Width: 64}} {
			for k := range 4 {
				o := rawOf(PixelRGB24, resize)
				want := frameOf(t, "progressive.mkv", k, on, o)
				good, combed := frameOf(t, clip, k, on, o), frameOf(t, clip, k, off, o)
				a, b := psnr(good.Data, want.Data), psnr(combed.Data, want.Data)
				if a < 23 || a < b+7 {
					t.Errorf("%s frame %d at width %d: %.1f dB, combed %.1f dB", clip, k, good.Width, a, b)
				}
			}
		}
	}
}

// TestLinesBetweenAreACubicOfTheField checks all layouts against the definition.
func TestLinesBetweenAreACubicOfTheField(t *testing.T) {
	for format, depth := range map[astiav.PixelFormat]int{astiav.PixelFormatYuv420P: 8, astiav.PixelFormatYuv422P10Le: 10} {
		for _, h := range []int{2, 3, 16, 17} {
			f, value := noise(t, 40, h, format, depth)
			for _, second := range []bool{false, true} {
				out := drawn(t, 40, h, format, func(int, int, int) uint16 { return 0 })
				oneField(planesOf(out, 1)[0], planesOf(f, 1)[0], second, depth)
				first, last := 0, (h-1)&^1
				if second {
					first, last = 1, (h-2)|1
					if last >= h {
						last -= 2
					}
				}
				got := samples(out, 0, depth)
				for y := range h {
					for x := range 40 {
						want := int(value(0, x, y))
						if y&1 != first {
							line := func(y int) int { return int(value(0, x, min(max(y, first), last))) }
							want = min(max((9*(line(y-1)+line(y+1))-line(y-3)-line(y+3)+8)>>4, 0), 1<<depth-1)
						}
						if int(got[y*40+x]) != want {
							t.Fatalf("%s, height %d, second %v: line %d is %d, want %d", format, h, second, y, got[y*40+x], want)
						}
					}
				}
			}
		}
	}
}

func samples(f frame, p, depth int) []uint16 {
	pl, out := planesOf(f, p+1)[p], []uint16(nil)
	data, err := f.Data().Bytes(1)
	if err != nil || p != 0 {
		return nil
	}
	for i := range int(pl.w * pl.h) {
		if depth > 8 {
			out = append(out, uint16(data[2*i])|uint16(data[2*i+1])<<8)
		} else {
			out = append(out, uint16(data[i]))
		}
	}
	return out
}

func TestProgressivePicturesAreLeftAlone(t *testing.T) {
	off := DefaultConfig()
	off.Deinterlace = DeinterlaceOff
	a, b := frameOf(t, "progressive.mkv", 1, DefaultConfig(), everyFrame()), frameOf(t, "progressive.mkv", 1, off, everyFrame())
	if !bytes.Equal(a.Data, b.Data) {
		t.Error("deinterlace changes a progressive picture")
	}
}

// TestFieldsThatArePicturesHaveTheShapeOfTheFrame has H.265, which codes each field as a picture: every line
// of it is shown, where it belongs in the frame.
func TestFieldsThatArePicturesHaveTheShapeOfTheFrame(t *testing.T) {
	const clip, w, h = "hevc-fields.mkv", 192, 128
	fields := decodetest.Frames(t, fragments(t, "testdata/"+clip)[0].MKV)
	if len(fields) != 4 || len(fields[0]) != w*h/2*3/2 {
		t.Fatalf("%d fields", len(fields))
	}
	off := DefaultConfig()
	off.Deinterlace = DeinterlaceOff
	for k, field := range fields {
		for _, cfg := range []Config{DefaultConfig(), off} {
			img := frameOf(t, clip, k, cfg, rawOf(PixelYUV420P, Resize{}))
			if img.Width != w || img.Height != h || len(img.Data) != w*h*3/2 {
				t.Fatalf("field %d is %dx%d", k, img.Width, img.Height)
			}
			for y := range h / 2 {
				line := 2*y + k%2 // the top field is first
				if !bytes.Equal(img.Data[line*w:(line+1)*w], field[y*w:(y+1)*w]) {
					t.Fatalf("line %d of field %d is not line %d of the frame", y, k, line)
				}
			}
		}
	}
	// As the first fields of whole frames are.
	for _, resize := range []Resize{{}, {Width: 150}, {Width: 96}, {Width: 64}} {
		for k := range 2 {
			o := rawOf(PixelRGB24, resize)
			got, want := frameOf(t, clip, 2*k, DefaultConfig(), o), frameOf(t, "progressive.mkv", k, DefaultConfig(), o)
			if got.Width != want.Width || got.Height != want.Height || psnr(got.Data, want.Data) < 23 {
				t.Errorf("field %d at width %d: %dx%d, %.1f dB", 2*k, resize.Width, got.Width, got.Height, psnr(got.Data, want.Data))
			}
		}
	}
}
