//go:build cgo

package jpeg

import (
	"bytes"
	"image"
	"image/jpeg"
	"math"
	"testing"
)

// painted returns a picture with samples of at. The bytes beyond its rows are set to padding.
func painted(w, h int, padding byte, at func(plane, x, y int) uint8) Picture {
	var planes [3]Plane
	for i := range planes {
		pw, ph := w, h
		if i > 0 {
			pw, ph = (w+1)/2, (h+1)/2
		}
		stride := pw + 64
		planes[i] = Plane{bytes.Repeat([]byte{padding}, stride*(ph+8)), stride}
		for y := range ph {
			for x := range pw {
				planes[i].Data[y*stride+x] = at(i, x, y)
			}
		}
	}
	return FromPlanes(w, h, planes[0], planes[1], planes[2])
}

// scene has slopes, edges and a grain that is the same every time.
func scene(plane, x, y int) uint8 {
	grain := (x*7919 ^ y*104729 ^ x*y*31) & 7
	if (x/40+y/40)%2 == 0 {
		return uint8(60 + (x+2*y)%100 + grain + 20*plane)
	}
	return uint8(180 - (2*x+y)%70 + grain - 20*plane)
}

func encodeJPEG(t testing.TB, e *Encoder, p Picture, quality int) []byte {
	t.Helper()
	data, err := e.Encode(p, quality, nil)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func testJPEGEncoder(t testing.TB) *Encoder {
	e := NewEncoder()
	t.Cleanup(e.Close)
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
	f := painted(w, h, 0, scene)
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

func TestJPEGsOfAnySizeAreWhole(t *testing.T) {
	e := testJPEGEncoder(t)
	for _, size := range [][2]int{{1, 1}, {2, 1}, {1, 2}, {7, 9}, {8, 8}, {15, 16}, {16, 15}, {17, 33}, {33, 17}, {31, 130}, {65535, 1}, {1, 65535}, {65535, 17}, {19, 65535}} {
		w, h := size[0], size[1]
		f := painted(w, h, 0, scene)
		data := encodeJPEG(t, e, f, 98)
		if got := worstPSNR(t, data, w, h, scene); got < 45 {
			t.Errorf("%dx%d: %.1f dB", w, h, got)
		}
		if other := encodeJPEG(t, e, painted(w, h, 255, scene), 98); !bytes.Equal(other, data) {
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
	f := painted(256, 256, 0, at)
	if got := worstPSNR(t, encodeJPEG(t, e, f, 100), 256, 256, at); got < 50 {
		t.Errorf("%.1f dB", got)
	}
}

func TestVectorsDoNotChangeTheBytes(t *testing.T) {
	fast := testJPEGEncoder(t)
	f := painted(333, 222, 0, scene)
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
	noise := painted(2000, 1500, 0, func(plane, x, y int) uint8 { return uint8(x*x*31 + y*y*17 + x*y*plane) })
	small := painted(320, 180, 0, scene)
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
	noise := painted(4000, 3000, 0, func(plane, x, y int) uint8 { return uint8(x*x*31 + y*y*17 + x*y*(plane+1)*13) })
	if n := len(encodeJPEG(t, e, noise, 100)); n < keptBytes {
		t.Fatalf("noise took only %d bytes", n)
	}
	if e.scan.capacity != 0 {
		t.Errorf("a buffer of %d bytes is kept", e.scan.capacity)
	}
}

func TestQuantisersScaleAsTheIJGs(t *testing.T) {
	// The entries for mean brightness, for the next frequencies and for the highest.
	for quality, want := range map[int][3]byte{1: {255, 255, 255}, 25: {32, 60, 112}, 50: {16, 30, 56}, 80: {6, 12, 22}, 90: {3, 6, 11}, 100: {1, 1, 1}} {
		data := encodeJPEG(t, testJPEGEncoder(t), painted(16, 16, 0, scene), quality)
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
	data := encodeJPEG(t, testJPEGEncoder(t), painted(64, 48, 0, scene), 80)
	if !bytes.HasPrefix(data, []byte("\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xdb")) || !bytes.HasSuffix(data, []byte{0xff, 0xd9}) {
		t.Errorf("the file starts with %q", data[:min(len(data), 32)])
	}
}

func TestWhatIsNoPictureIsRefused(t *testing.T) {
	e := testJPEGEncoder(t)
	whole := Plane{make([]byte, 64*48), 64}
	half := Plane{make([]byte, 32*24), 32}
	for name, c := range map[string]struct {
		picture Picture
		quality int
	}{
		"no width":      {FromPlanes(0, 48, whole, half, half), 80},
		"too high":      {FromPlanes(64, maxSide+1, whole, half, half), 80},
		"quality 0":     {FromPlanes(64, 48, whole, half, half), 0},
		"quality 101":   {FromPlanes(64, 48, whole, half, half), 101},
		"a short luma":  {FromPlanes(64, 49, whole, Plane{make([]byte, 32*25), 32}, Plane{make([]byte, 32*25), 32}), 80},
		"a short Cr":    {FromPlanes(64, 48, whole, half, Plane{half.Data[1:], 32}), 80},
		"a wide stride": {FromPlanes(65, 48, whole, half, half), 80},
	} {
		if data, err := e.Encode(c.picture, c.quality, nil); err == nil {
			t.Errorf("%s: %d bytes", name, len(data))
		}
	}
	if _, err := e.Encode(FromPlanes(64, 48, whole, half, half), 80, nil); err != nil {
		t.Error(err)
	}
}
