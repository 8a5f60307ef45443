//go:build cgo

package decode

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"github.com/kvsframes/kvsframes/decode/decodetest"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
)

// one returns the first image of a clip as o asks for it.
func one(t *testing.T, clip string, o Output) media.Image {
	t.Helper()
	return firstOf(t, fragments(t, "testdata/"+clip)[0], DefaultConfig(), o)
}

func firstOf(t *testing.T, f *media.Fragment, cfg Config, o Output) media.Image {
	t.Helper()
	images, outcomes := decodeAll(t, stream(t, newTestPool(t, func(c *Config) { c.Deinterlace = cfg.Deinterlace }), o), []*media.Fragment{f})
	if len(images[0]) == 0 {
		t.Fatalf("no image: %+v", outcomes)
	}
	return images[0][0]
}

// cornersOf names the colours in the four quarters of an image: top left, top right, below left and right.
func cornersOf(t *testing.T, img media.Image) string {
	t.Helper()
	at, names := pixels(t, img), ""
	for _, c := range [4][2]int{{1, 1}, {3, 1}, {1, 3}, {3, 3}} {
		p := at(img.Width*c[0]/4, img.Height*c[1]/4)
		switch {
		case p[0] > 200 && p[1] > 200 && p[2] > 200:
			names += "w"
		case p[0] > 200 && p[1] < 50 && p[2] < 50:
			names += "r"
		case p[1] > 200 && p[0] < 50 && p[2] < 50:
			names += "g"
		case p[2] > 200 && p[0] < 50 && p[1] < 50:
			names += "b"
		default:
			names += "?"
		}
	}
	return names
}

// upright holds the corners of each clip when it is shown as it says.
var upright = map[string]string{
	"corners.mkv": "rgbw", "corners-rotate-90.mkv": "gwrb", "corners-rotate-180.mkv": "wbgr", "corners-rotate-270.mkv": "brwg",
	"corners-flip-horizontal.mkv": "grwb", "corners-flip-vertical.mkv": "bwrg", "corners-rotate-90-flip-horizontal.mkv": "rbgw",
}

func TestPicturesStandUpright(t *testing.T) {
	for clip, want := range upright {
		w, h := 64, 32
		if want[0] == 'g' && want[1] == 'w' || want[0] == 'b' && want[1] == 'r' || want == "rbgw" {
			w, h = 32, 64
		}
		for name, c := range map[string]struct {
			resize Resize
			w, h   int
		}{
			"full size": {Resize{}, w, h},
			"half size": {Resize{Width: w / 2}, w / 2, h / 2},
			"enlarged":  {Resize{Width: w * 2, Upscale: true}, w * 2, h * 2},
			"odd":       {Resize{Width: 23, Height: 23, Fit: FitStretch}, 23, 23},
			"cover":     {Resize{Width: 20, Height: 20, Fit: FitCover}, 20, 20},
		} {
			t.Run(clip+" "+name, func(t *testing.T) {
				for _, o := range []Output{jpegOf(plan.Sample{Rule: plan.Keyframes{}}, c.resize), rawOf(PixelRGB24, c.resize)} {
					img := one(t, clip, o)
					if got := cornersOf(t, img); got != want || img.Width != c.w || img.Height != c.h {
						t.Errorf("%s: %s at %dx%d, want %s at %dx%d", img.Format, got, img.Width, img.Height, want, c.w, c.h)
					}
				}
			})
		}
	}
}

func TestRawPlanesAreTurnedToo(t *testing.T) {
	straight := one(t, "corners.mkv", rawOf(PixelYUV420P, Resize{}))
	turned := one(t, "corners-rotate-90.mkv", rawOf(PixelYUV420P, Resize{}))
	packed := one(t, "corners-rotate-90.mkv", rawOf(PixelNV12, Resize{}))
	gray := one(t, "corners-rotate-90.mkv", rawOf(PixelGray, Resize{Width: 32, Height: 64}))
	if turned.Width != 32 || turned.Height != 64 || !bytes.Equal(turned.Data[:32*64], packed.Data[:32*64]) || gray.Width != 32 {
		t.Fatalf("%dx%d, gray %dx%d", turned.Width, turned.Height, gray.Width, gray.Height)
	}
	for y := range 64 {
		for x := range 32 {
			if got, want := turned.Data[y*32+x], straight.Data[x*64+63-y]; got != want {
				t.Fatalf("luma at %d, %d is %d, want %d", x, y, got, want)
			}
		}
	}
	for y := range 32 {
		for x := range 16 {
			want := straight.Data[64*32+x*32+31-y]
			if got := turned.Data[64*32+y*16+x]; got != want || packed.Data[64*32+y*32+2*x] != want {
				t.Fatalf("chroma at %d, %d is %d, want %d", x, y, got, want)
			}
		}
	}
}

func TestImagesHaveSquarePixels(t *testing.T) {
	for _, c := range []struct {
		clip   string
		resize Resize
		w, h   int
	}{
		{"corners-sar.mkv", Resize{}, 96, 32},
		{"corners-sar.mkv", Resize{Width: 48}, 48, 16},
		{"corners-sar.mkv", Resize{Width: 30, Height: 30, Fit: FitContain}, 30, 10},
		{"corners-sar.mkv", Resize{Width: 32, Height: 32, Fit: FitCover}, 32, 32},
		{"corners-aspect.mkv", Resize{}, 128, 32},
		{"corners-aspect.mkv", Resize{Height: 16}, 64, 16},
	} {
		for _, o := range []Output{jpegOf(plan.Sample{Rule: plan.Keyframes{}}, c.resize), rawOf(PixelRGB24, c.resize)} {
			if o.Format == FormatNone && c.resize == (Resize{}) {
				continue
			}
			img := one(t, c.clip, o)
			if got := cornersOf(t, img); img.Width != c.w || img.Height != c.h || got != "rgbw" {
				t.Errorf("%s to %+v: %s is %dx%d %s, want %dx%d", c.clip, c.resize, img.Format, img.Width, img.Height, got, c.w, c.h)
			}
		}
		f := fragments(t, "testdata/"+c.clip)[0]
		if raw := one(t, c.clip, everyFrame()); raw.Width != 64 || !bytes.Equal(raw.Data, decodetest.Frames(t, f.MKV)[0]) {
			t.Errorf("%s: raw frames at their own size are not the decoder's", c.clip)
		}
	}
	if w := squared(100, 1, 17); w != 100 {
		t.Errorf("pixels 17 times as high as wide are believed: %d", w)
	}
}

func TestCroppedPicturesBeginWhereTheStreamSays(t *testing.T) {
	whole := decodetest.Frames(t, fragments(t, "testdata/uncropped.mkv")[0].MKV)[0] // 176x112
	const left, top, w, h = 6, 2, 162, 100
	var want []byte
	for y := range h {
		at := (top+y)*176 + left
		want = append(want, whole[at:at+w]...)
	}
	for p := range 2 {
		for y := range h / 2 {
			at := 176*112 + p*88*56 + (top/2+y)*88 + left/2
			want = append(want, whole[at:at+w/2]...)
		}
	}
	img := one(t, "cropped.mkv", everyFrame())
	if img.Width != w || img.Height != h || !bytes.Equal(img.Data, want) {
		t.Errorf("%dx%d, or another part of the picture than the sequence header says", img.Width, img.Height)
	}
	hevc := one(t, "cropped-hevc.mkv", everyFrame())
	if hevc.Width != w || hevc.Height != h {
		t.Fatalf("HEVC is %dx%d", hevc.Width, hevc.Height)
	}
	if db := psnr(hevc.Data[:w*h], want[:w*h]); db < 35 {
		t.Errorf("HEVC is another part of the picture: %.1f dB", db)
	}
	// The same crop, by the container.
	f := withVideoElements(t, fragments(t, "testdata/uncropped.mkv")[0], []byte{
		0x54, 0xcc, 0x81, 6, 0x54, 0xdd, 0x81, 8, 0x54, 0xbb, 0x81, 2, 0x54, 0xaa, 0x81, 10,
	})
	if img := firstOf(t, f, DefaultConfig(), everyFrame()); img.Width != w || img.Height != h || !bytes.Equal(img.Data, want) {
		t.Errorf("%dx%d, or another part of the picture than the container says", img.Width, img.Height)
	}
	for _, o := range []Output{jpegOf(plan.Sample{Rule: plan.Keyframes{}}, Resize{}), jpegOf(plan.Sample{Rule: plan.Keyframes{}}, Resize{Width: 81}), rawOf(PixelRGB24, Resize{Width: 100})} {
		a, b := one(t, "cropped.mkv", o), firstOf(t, f, DefaultConfig(), o)
		if a.Width != b.Width || a.Height != b.Height || !bytes.Equal(a.Data, b.Data) {
			t.Errorf("%s %+v: the container's crop gives another image than the stream's", o.Format, o.Resize)
		}
	}
}

func TestTheContainerTurnsPicturesToo(t *testing.T) {
	roll := func(degrees float32) []byte { // Projection > ProjectionPoseRoll
		value := binary.BigEndian.AppendUint32([]byte{0x76, 0x75, 0x84}, math.Float32bits(degrees))
		return append([]byte{0x76, 0x70, 0x80 | byte(len(value))}, value...)
	}
	straight := fragments(t, "testdata/corners.mkv")[0]
	var turned []*media.Fragment
	for _, degrees := range []float32{90, 0, -90, 180, 45} { // counter-clockwise
		turned = append(turned, withVideoElements(t, straight, roll(degrees)))
	}
	// One worker, and equal codec data: what one container says must not stick.
	images, _ := decodeAll(t, stream(t, newTestPool(t, nil), rawOf(PixelRGB24, Resize{})), turned)
	for i, want := range []string{"gwrb", "rgbw", "brwg", "wbgr", "rgbw"} {
		if got := cornersOf(t, images[i][0]); got != want {
			t.Errorf("fragment %d: %s, want %s", i, got, want)
		}
	}
}

// withVideoElements adds elements to the settings of a fragment's video track.
func withVideoElements(t *testing.T, f *media.Fragment, extra []byte) *media.Fragment {
	t.Helper()
	c := *f
	var grow func(b []byte, path [][]byte) []byte
	grow = func(b []byte, path [][]byte) []byte {
		at := bytes.Index(b, path[0])
		if at < 0 {
			t.Fatalf("no element %x", path[0])
		}
		at += len(path[0])
		length := bytesOfSize(b[at])
		size := uint64(b[at]) &^ (0x80 >> (length - 1))
		for _, d := range b[at+1 : at+length] {
			size = size<<8 | uint64(d)
		}
		body, rest := b[at+length:], []byte(nil)
		unknown := size == 1<<(7*length)-1
		if !unknown {
			body, rest = body[:size], body[size:]
		}
		if len(path) > 1 {
			body = grow(body, path[1:])
		} else {
			body = slices.Concat(body, extra)
		}
		head := slices.Concat(b[:at], binary.BigEndian.AppendUint64(nil, 1<<56|uint64(len(body))))
		if unknown {
			head = slices.Clone(b[:at+length])
		}
		return slices.Concat(head, body, rest)
	}
	c.MKV = grow(f.MKV, [][]byte{{0x18, 0x53, 0x80, 0x67}, {0x16, 0x54, 0xae, 0x6b}, {0xae}, {0xe0}})
	c.Blocks = slices.Clone(f.Blocks)
	for i := range c.Blocks {
		c.Blocks[i].Offset += len(c.MKV) - len(f.MKV)
	}
	return &c
}

func bytesOfSize(first byte) int {
	n := 1
	for ; first&0x80 == 0; first <<= 1 {
		n++
	}
	return n
}

func TestOddSizesKeepTheirLastRowAndColumn(t *testing.T) {
	f := fragments(t, "testdata/odd.mkv")[0]
	raw := decodetest.Frames(t, f.MKV)[0]
	img := one(t, "odd.mkv", rawOf(PixelGray, Resize{}))
	if img.Width != 161 || img.Height != 91 {
		t.Fatalf("%dx%d", img.Width, img.Height)
	}
	full := one(t, "odd.mkv", rawOf(PixelYUV420P, Resize{}))
	if !bytes.Equal(full.Data[:161*91], raw[:161*91]) || len(full.Data) != 161*91+2*81*46 {
		t.Error("luma of an odd size is not the decoder's")
	}
	for _, w := range []int{160, 99, 33, 1} {
		rgb, jpg := one(t, "odd.mkv", rawOf(PixelRGB24, Resize{Width: w})), one(t, "odd.mkv", jpegOf(plan.Sample{Rule: plan.Keyframes{}}, Resize{Width: w}))
		at, of, sum := pixels(t, rgb), pixels(t, jpg), 0.0
		for y := range rgb.Height {
			for x := range w {
				a, b := at(x, y), of(x, y)
				sum += math.Abs(float64(a[1]) - float64(b[1]))
			}
		}
		if mean := sum / float64(w*rgb.Height); mean > 12 {
			t.Errorf("width %d: RGB and JPEG differ by %.1f levels of green in the mean", w, mean)
		}
	}
}

func TestGeometry(t *testing.T) {
	whole := rect{0, 0, 1920, 1080}
	for name, c := range map[string]struct {
		resize Resize
		want   geometry
	}{
		"as the source":             {Resize{Fit: FitContain}, geometry{whole, whole, 1920, 1080}},
		"width alone":               {Resize{Width: 320, Fit: FitContain}, geometry{whole, rect{0, 0, 320, 180}, 320, 180}},
		"height alone":              {Resize{Height: 90, Fit: FitContain}, geometry{whole, rect{0, 0, 160, 90}, 160, 90}},
		"contain in a square":       {Resize{Width: 224, Height: 224, Fit: FitContain}, geometry{whole, rect{0, 0, 224, 126}, 224, 126}},
		"contain in a tall box":     {Resize{Width: 100, Height: 900, Fit: FitContain}, geometry{whole, rect{0, 0, 100, 56}, 100, 56}},
		"contain does not enlarge":  {Resize{Width: 4000, Height: 4000, Fit: FitContain}, geometry{whole, whole, 1920, 1080}},
		"contain enlarges if told":  {Resize{Width: 3840, Fit: FitContain, Upscale: true}, geometry{whole, rect{0, 0, 3840, 2160}, 3840, 2160}},
		"cover a square":            {Resize{Width: 224, Height: 224, Fit: FitCover}, geometry{rect{420, 0, 1080, 1080}, rect{0, 0, 224, 224}, 224, 224}},
		"cover a strip":             {Resize{Width: 960, Height: 100, Fit: FitCover}, geometry{rect{0, 440, 1920, 200}, rect{0, 0, 960, 100}, 960, 100}},
		"cover does not enlarge":    {Resize{Width: 2000, Height: 2000, Fit: FitCover}, geometry{rect{420, 0, 1080, 1080}, rect{0, 0, 1080, 1080}, 1080, 1080}},
		"pad to a square":           {Resize{Width: 224, Height: 224, Fit: FitPad}, geometry{whole, rect{0, 48, 224, 126}, 224, 224}},
		"pad around a small source": {Resize{Width: 2000, Height: 2000, Fit: FitPad}, geometry{whole, rect{40, 460, 1920, 1080}, 2000, 2000}},
		"stretch":                   {Resize{Width: 64, Height: 512, Fit: FitStretch}, geometry{whole, rect{0, 0, 64, 512}, 64, 512}},
		"stretch does not enlarge":  {Resize{Width: 64, Height: 2000, Fit: FitStretch}, geometry{whole, rect{0, 0, 64, 1080}, 64, 1080}},
		"never nothing":             {Resize{Width: 1, Fit: FitContain}, geometry{whole, rect{0, 0, 1, 1}, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.resize.geometry(1920, 1080); got != c.want {
				t.Errorf("geometry = %+v, want %+v", got, c.want)
			}
		})
	}
}
