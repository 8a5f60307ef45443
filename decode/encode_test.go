//go:build cgo

package decode

import (
	"bytes"
	"encoding/binary"
	"image/png"
	"testing"
	"time"

	"github.com/asticode/go-astiav"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
)

// painted returns a frame of yuv420p with samples of at. The bytes beyond its rows are set to padding.
func painted(t testing.TB, w, h int, padding byte, at func(plane, x, y int) uint8) frame {
	t.Helper()
	f, err := newPicture(w, h, astiav.PixelFormatYuv420P)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.free)
	if err := f.fill([4]uint32{uint32(padding), uint32(padding), uint32(padding), 255}); err != nil {
		t.Fatal(err)
	}
	var data []byte
	for plane := range 3 {
		pw, ph := w, h
		if plane > 0 {
			pw, ph = (w+1)/2, (h+1)/2
		}
		for y := range ph {
			for x := range pw {
				data = append(data, at(plane, x, y))
			}
		}
	}
	if err := f.Data().SetBytes(data, 1); err != nil {
		t.Fatal(err)
	}
	return f
}

// scene has slopes, edges and a grain that is the same every time.
func scene(plane, x, y int) uint8 {
	grain := (x*7919 ^ y*104729 ^ x*y*31) & 7
	if (x/40+y/40)%2 == 0 {
		return uint8(60 + (x+2*y)%100 + grain + 20*plane)
	}
	return uint8(180 - (2*x+y)%70 + grain - 20*plane)
}

// A picture that is brought to JFIF's terms on its way gives the bytes of one that was in those before.
func TestJPEGsOfOtherTermsAreTheSame(t *testing.T) {
	t.Cleanup(func() { setPlainLoops(false) })
	encode := func(e *encoder, f frame, from colorimetry) []byte {
		p, err := e.jpegPicture(f, from)
		if err != nil {
			t.Fatal(err)
		}
		data, err := e.jpegs.Encode(p, 90, nil)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for _, plain := range []bool{false, true} {
		setPlainLoops(plain)
		e, err := newEncoder()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.free)
		for _, from := range []colorimetry{{MatrixBT709, false}, {MatrixBT601, false}, {MatrixBT709, true}} {
			for _, size := range [][2]int{{1, 1}, {2, 1}, {15, 16}, {17, 33}, {33, 17}, {31, 130}, {320, 180}, {1920, 1080}, {65535, 3}} {
				f := painted(t, size[0], size[1], 0, scene)
				before := painted(t, size[0], size[1], 0, scene)
				var s scratch
				s.convert(planesOf(before, 3), planesOf(f, 3), conversion(from, jfif))
				if !bytes.Equal(encode(e, f, from), encode(e, before, jfif)) {
					t.Errorf("%dx%d from %v, plain %t: other bytes", size[0], size[1], from, plain)
				}
			}
		}
	}
}

func pngOf(sample plan.Sample, resize Resize) Output {
	o := jpegOf(sample, resize)
	o.Sink, o.Format, o.Quality = "stills", FormatPNG, 0
	return o
}

func TestPNGsHoldThePixelsOfRGB24(t *testing.T) {
	for _, clip := range []string{"bframes.mkv", "card-bt709.mkv"} {
		frags := fragments(t, "testdata/"+clip)[:1]
		for _, width := range []int{0, 33, 1} {
			resize := Resize{Width: width}
			images, _ := decodeAll(t, stream(t, newTestPool(t, nil), pngOf(plan.Sample{Type: plan.SampleAll}, resize), rawOf(PixelRGB24, resize)), frags)
			for i := 0; i < len(images[0]); i += 2 {
				img, want := images[0][i], images[0][i+1]
				if img.Format != "png" || img.Ext != "png" || img.ContentType != "image/png" {
					t.Fatalf("the image is %s, .%s, %s", img.Format, img.Ext, img.ContentType)
				}
				decoded, err := png.Decode(bytes.NewReader(img.Data))
				if err != nil {
					t.Fatal(err)
				}
				if b := decoded.Bounds(); b.Dx() != img.Width || b.Dy() != img.Height {
					t.Fatalf("%v, said to be %dx%d", b, img.Width, img.Height)
				}
				for k := 0; k < len(want.Data); k += 3 {
					r, g, b, _ := decoded.At(k/3%img.Width, k/3/img.Width).RGBA()
					if got := [3]byte{byte(r >> 8), byte(g >> 8), byte(b >> 8)}; !bytes.Equal(got[:], want.Data[k:k+3]) {
						t.Fatalf("frame %d, pixel %d is %v, want %v", img.Index, k/3, got, want.Data[k:k+3])
					}
				}
			}
		}
	}
}

func TestPNGsTellTimeStreamAndFragment(t *testing.T) {
	frags := fragments(t, "testdata/small.mkv")[:1]
	o := pngOf(plan.Sample{Type: plan.SampleKeyframes}, Resize{})
	o.EXIF = true
	images, _ := decodeAll(t, stream(t, newTestPool(t, nil), o), frags)
	again, _ := decodeAll(t, stream(t, newTestPool(t, nil), o), frags)
	img := images[0][0]
	if !bytes.Equal(img.Data, again[0][0].Data) {
		t.Error("two runs gave different bytes")
	}
	chunks := map[string][]byte{}
	for b := img.Data[8:]; len(b) >= 12; {
		n := int(binary.BigEndian.Uint32(b))
		chunks[string(b[4:8])] = b[8 : 8+n]
		b = b[12+n:]
	}
	if !bytes.Equal(chunks["eXIf"], exifBody(img.FrameInfo, img.Width, img.Height, false)) || !bytes.HasPrefix(chunks["eXIf"], []byte("II*\x00")) {
		t.Errorf("eXIf = %q", chunks["eXIf"])
	}
	if !bytes.Equal(chunks["sRGB"], []byte{0}) {
		t.Errorf("sRGB = %v", chunks["sRGB"])
	}
	if _, err := png.Decode(bytes.NewReader(img.Data)); err != nil { // checks the sums
		t.Error(err)
	}
	for _, kind := range []string{"tEXt", "tIME", "cICP", "iCCP"} {
		if chunks[kind] != nil {
			t.Errorf("there is a chunk %s", kind)
		}
	}
}

func TestWhatIsNoPNGIsRefused(t *testing.T) {
	if _, err := withChunks([]byte("\x89PNG"), nil); err == nil {
		t.Error("a torn PNG passed")
	}
	if _, err := withChunks(make([]byte, 100), nil); err == nil {
		t.Error("zeros passed")
	}
}

var benchmarkInfo = media.FrameInfo{Stream: "cam", FragmentNumber: "1", ProducerTime: time.Unix(1e9, 0)}

func benchmarkEncode(b *testing.B, w, h int, o Output) {
	e, err := newEncoder()
	if err != nil {
		b.Fatal(err)
	}
	defer e.free()
	f := painted(b, w, h, 0, scene)
	if o.Format == FormatPNG {
		rgb, err := newPicture(w, h, astiav.PixelFormatRgb24)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(rgb.free)
		if err := rgb.fill([4]uint32{90, 120, 150, 255}); err != nil {
			b.Fatal(err)
		}
		f = rgb
	}
	size := 0
	for b.Loop() {
		img, err := e.encode(target{frame: f, w: w, h: h, color: jfif}, o, benchmarkInfo)
		if err != nil {
			b.Fatal(err)
		}
		size = len(img.Data)
	}
	b.ReportMetric(float64(size), "bytes/image")
}

func BenchmarkEncode(b *testing.B) {
	jpeg := Output{Format: FormatJPEG, Quality: 88, EXIF: true}
	b.Run("jpeg 1920x1080", func(b *testing.B) { benchmarkEncode(b, 1920, 1080, jpeg) })
	b.Run("jpeg 320x180", func(b *testing.B) { benchmarkEncode(b, 320, 180, jpeg) })
	b.Run("png 320x180", func(b *testing.B) { benchmarkEncode(b, 320, 180, Output{Format: FormatPNG}) })
}
