//go:build cgo

package decode

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/jpeg"
	"image/png"
	"math"
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

func encodeJPEG(t testing.TB, e *jpegEncoder, f frame, quality int) []byte {
	t.Helper()
	q := quantisersAt(quality)
	data, err := e.encode(f, jfif, &q, nil)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func testJPEGEncoder(t testing.TB) *jpegEncoder {
	e := newJPEGEncoder()
	t.Cleanup(e.free)
	return e
}

// worstPSNR returns that of the worst plane of a JPEG.
func worstPSNR(t testing.TB, data []byte, w, h int, at func(plane, x, y int) uint8) float64 {
	t.Helper()
	decoded, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	got := decoded.(*image.YCbCr)
	if b := got.Bounds(); b.Dx() != w || b.Dy() != h || got.SubsampleRatio != image.YCbCrSubsampleRatio420 {
		t.Fatalf("the picture is %v, %v, want %dx%d", b, got.SubsampleRatio, w, h)
	}
	worst := 100.0
	for plane, p := range [][]uint8{got.Y, got.Cb, got.Cr} {
		pw, ph, stride := w, h, got.YStride
		if plane > 0 {
			pw, ph, stride = (w+1)/2, (h+1)/2, got.CStride
		}
		sum := 0.0
		for y := range ph {
			for x := range pw {
				d := float64(p[y*stride+x]) - float64(at(plane, x, y))
				sum += d * d
			}
		}
		worst = min(worst, 10*math.Log10(255*255*float64(pw*ph)/max(sum, 1e-9)))
	}
	return worst
}

func TestJPEGsAreAsCloseAsTheirQuality(t *testing.T) {
	e := testJPEGEncoder(t)
	const w, h = 360, 240
	f := painted(t, w, h, 0, scene)
	psnr, size := 0.0, 0
	for _, c := range []struct {
		quality int
		atLeast float64
	}{{1, 12}, {10, 24}, {30, 29}, {60, 33}, {80, 36}, {90, 40}, {95, 44}, {100, 54}} {
		data := encodeJPEG(t, e, f, c.quality)
		got := worstPSNR(t, data, w, h, scene)
		if got < c.atLeast || got <= psnr || len(data) <= size {
			t.Errorf("quality %d: %.1f dB in %d bytes, want %.1f dB; less quality gave %.1f dB in %d", c.quality, got, len(data), c.atLeast, psnr, size)
		}
		psnr, size = got, len(data)
	}
}

// A picture that the encoder brings to JFIF's terms gives the bytes of one that was in those before.
func TestJPEGsOfOtherTermsAreTheSame(t *testing.T) {
	t.Cleanup(func() { setPlainLoops(false) })
	for _, plain := range []int{0, 1, 2} {
		setPlainLoops(plain == 1)
		e := testJPEGEncoder(t)
		e.plain = plainness(plain)
		for _, from := range []colorimetry{{MatrixBT709, false}, {MatrixBT601, false}, {MatrixBT709, true}} {
			for _, size := range [][2]int{{1, 1}, {2, 1}, {15, 16}, {17, 33}, {33, 17}, {31, 130}, {320, 180}, {1920, 1080}, {65535, 3}} {
				f := painted(t, size[0], size[1], 0, scene)
				before := painted(t, size[0], size[1], 0, scene)
				var s scratch
				s.convert(planesOf(before, 3), planesOf(f, 3), conversion(from, jfif))
				q := quantisersAt(90)
				got, err := e.encode(f, from, &q, nil)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, encodeJPEG(t, e, before, 90)) {
					t.Errorf("%dx%d from %v, plain %d: other bytes", size[0], size[1], from, plain)
				}
			}
		}
	}
}

func TestJPEGsOfAnySizeAreWhole(t *testing.T) {
	e := testJPEGEncoder(t)
	for _, size := range [][2]int{{1, 1}, {2, 1}, {1, 2}, {7, 9}, {8, 8}, {15, 16}, {16, 15}, {17, 33}, {33, 17}, {31, 130}, {65535, 1}, {1, 65535}, {65535, 17}, {19, 65535}} {
		w, h := size[0], size[1]
		f := painted(t, w, h, 0, scene)
		data := encodeJPEG(t, e, f, 98)
		if got := worstPSNR(t, data, w, h, scene); got < 45 {
			t.Errorf("%dx%d: %.1f dB", w, h, got)
		}
		if other := encodeJPEG(t, e, painted(t, w, h, 255, scene), 98); !bytes.Equal(other, data) {
			t.Errorf("%dx%d: what lies beside the picture is in the file", w, h)
		}
	}
}

// TestTheLargestCoefficientsFit draws each base function of the transform, and its
// opposite, as strongly as it can be drawn.
func TestTheLargestCoefficientsFit(t *testing.T) {
	at := func(_, x, y int) uint8 {
		u, v, sign := x/8%8, y/8%8, 1-2*(x/64%2)
		basis := math.Cos(float64((2*(x%8)+1)*u)*math.Pi/16) * math.Cos(float64((2*(y%8)+1)*v)*math.Pi/16)
		if float64(sign)*basis > 0 {
			return 255
		}
		return 0
	}
	e := testJPEGEncoder(t)
	f := painted(t, 256, 256, 0, at)
	if got := worstPSNR(t, encodeJPEG(t, e, f, 100), 256, 256, at); got < 50 {
		t.Errorf("%.1f dB", got)
	}
}

func TestVectorsDoNotChangeTheBytes(t *testing.T) {
	fast := testJPEGEncoder(t)
	f := painted(t, 333, 222, 0, scene)
	for plain := 1; plain <= 2; plain++ {
		other := testJPEGEncoder(t)
		other.plain = plainness(plain)
		for _, quality := range []int{1, 5, 30, 50, 75, 88, 93, 99, 100} {
			if !bytes.Equal(encodeJPEG(t, fast, f, quality), encodeJPEG(t, other, f, quality)) {
				t.Errorf("quality %d, plain %d: other bytes", quality, plain)
			}
		}
	}
}

func TestAUsedEncoderGivesTheSameBytesAsANewOne(t *testing.T) {
	used := testJPEGEncoder(t)
	noise := painted(t, 2000, 1500, 0, func(plane, x, y int) uint8 { return uint8(x*x*31 + y*y*17 + x*y*plane) })
	small := painted(t, 320, 180, 0, scene)
	first := encodeJPEG(t, used, small, 85)
	big := encodeJPEG(t, used, noise, 100)
	if len(big) < 3e6 {
		t.Errorf("noise took only %d bytes", len(big))
	}
	for range 3 {
		if !bytes.Equal(encodeJPEG(t, used, small, 85), first) || !bytes.Equal(encodeJPEG(t, testJPEGEncoder(t), small, 85), first) {
			t.Fatal("the bytes depend on what was encoded before")
		}
	}
	if !bytes.Equal(encodeJPEG(t, used, noise, 100), big) {
		t.Error("a large picture has other bytes the second time")
	}
}

func TestLargeBuffersAreNotKept(t *testing.T) {
	e := testJPEGEncoder(t)
	noise := painted(t, 4000, 3000, 0, func(plane, x, y int) uint8 { return uint8(x*x*31 + y*y*17 + x*y*(plane+1)*13) })
	if n := len(encodeJPEG(t, e, noise, 100)); n < keptBytes {
		t.Fatalf("noise took only %d bytes", n)
	}
	if e.buffer.capacity != 0 {
		t.Errorf("a buffer of %d bytes is kept", e.buffer.capacity)
	}
}

func TestQuantisersScaleAsTheIJGs(t *testing.T) {
	// The entries for mean brightness, for the next frequencies and for the highest.
	for quality, want := range map[int][3]byte{1: {255, 255, 255}, 25: {32, 60, 112}, 50: {16, 30, 56}, 80: {6, 12, 22}, 90: {3, 6, 11}, 100: {1, 1, 1}} {
		data := encodeJPEG(t, testJPEGEncoder(t), painted(t, 16, 16, 0, scene), quality)
		at := bytes.Index(data, []byte{0xff, 0xdb, 0, 67, 0})
		if at < 0 {
			t.Fatal("no quantisation table")
		}
		table := data[at+5 : at+5+64]
		if got := [3]byte{table[0], table[1], table[63]}; got != want || table[2] != want[1] {
			t.Errorf("quality %d: quantisers %v, want %v", quality, got, want)
		}
	}
	for quality := 2; quality <= 100; quality++ {
		for i, q := range quantisersAt(quality) {
			if q > quantisersAt(quality - 1)[i] {
				t.Errorf("quantiser %d grows from quality %d to the next", i, quality-1)
			}
		}
	}
}

func TestJPEGsAreJFIFAndTellNoVersion(t *testing.T) {
	data := encodeJPEG(t, testJPEGEncoder(t), painted(t, 64, 48, 0, scene), 80)
	if !bytes.HasPrefix(data, []byte("\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xdb")) || !bytes.HasSuffix(data, []byte{0xff, 0xd9}) {
		t.Errorf("the file starts with %q", data[:min(len(data), 32)])
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
			images, _ := decodeAll(t, stream(t, newTestPool(t, nil), pngOf(plan.Sample{Rule: plan.All{}}, resize), rawOf(PixelRGB24, resize)), frags)
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
	o := pngOf(plan.Sample{Rule: plan.Keyframes{}}, Resize{})
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
