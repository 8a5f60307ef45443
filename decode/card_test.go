//go:build cgo

package decode

import (
	"bytes"
	"strings"
	"testing"

	"github.com/asticode/go-astiav"
)

func TestGrayVideoGivesGrayPictures(t *testing.T) {
	for _, resize := range []Resize{{}, {Width: 128}} {
		for _, o := range []Output{jpegOf(Sample{Type: SampleKeyframes}, resize), rawOf(PixelRGB24, resize)} {
			img := one(t, "card-gray.mkv", o)
			at := pixels(t, img)
			for i, c := range patches {
				got := at((2*i+1)*img.Width/16, img.Height/2)
				want := int(colorimetry{MatrixBT601, true}.ycc(c)[0])
				for _, v := range got {
					if d := int(v) - want; d < -3 || d > 3 {
						t.Errorf("%s: patch %d is %v, want grey %d", img.Format, i, got, want)
						break
					}
				}
			}
		}
	}
}

// TestPlanesOfDeepVideoHaveEightBitsAndKeepTheirRange looks at the white and the grey patch.
func TestPlanesOfDeepVideoHaveEightBitsAndKeepTheirRange(t *testing.T) {
	for clip, want := range map[string]colorimetry{
		"card-10bit.mkv": {MatrixBT709, false}, "card-10bit-full.mkv": {MatrixBT601, true}, "card-main10.mkv": {MatrixBT709, false},
	} {
		for _, resize := range []Resize{{}, {Width: 64}, {Width: 300, Upscale: true}} {
			for _, format := range []PixelFormat{PixelYUV420P, PixelNV12} {
				img := one(t, clip, rawOf(format, resize))
				for _, patch := range []int{5, 6} {
					got := int(img.Data[img.Height/2*img.Width+(2*patch+1)*img.Width/16])
					if d := got - int(want.ycc(patches[patch])[0]); d < -1 || d > 1 {
						t.Errorf("%s as %s at width %d: luma of patch %d is %d", clip, format, img.Width, patch, got)
					}
				}
			}
		}
	}
}

func TestHDRIsRefusedByName(t *testing.T) {
	for clip, want := range map[string]string{"card-pq.mkv": "HDR (PQ, SMPTE ST 2084) and is not tone-mapped", "card-hlg.mkv": "HDR (HLG, ARIB STD-B67) and is not tone-mapped"} {
		_, outcomes := decodeAll(t, stream(t, newTestPool(t, nil), jpegOf(Sample{Type: SampleAll}, Resize{Width: 64})), fragments(t, "testdata/"+clip)[:1])
		if g := outcomes[0].Gaps; len(g) != 1 || !strings.Contains(g[0].Detail, want) || g[0].FramesLost != 2 {
			t.Errorf("%s: gaps = %+v", clip, g)
		}
	}
}

func TestPNGTakesTheSamePixelsAsRawRGB(t *testing.T) {
	f, _ := noise(t, 96, 64, astiav.PixelFormatYuv420P, 8)
	r := newTestRenderer(t)
	png := jpegOf(Sample{}, Resize{Width: 40})
	png.Format = FormatPNG
	a, _, _ := rendered(t, r, f, png)
	b, _, _ := rendered(t, r, f, rawOf(PixelRGB24, Resize{Width: 40}))
	if len(a) != 3*40*27 || !bytes.Equal(a, b) {
		t.Error("the pixels differ")
	}
}

// TestRGBIsWhatTheDefinitionSays compares each component with BT.601, BT.709 and BT.2020.
func TestRGBIsWhatTheDefinitionSays(t *testing.T) {
	spaces := map[Matrix]astiav.ColorSpace{MatrixBT601: astiav.ColorSpaceSmpte170M, MatrixBT709: astiav.ColorSpaceBt709, MatrixBT2020: astiav.ColorSpaceBt2020Ncl}
	ranges := map[bool]astiav.ColorRange{true: astiav.ColorRangeJpeg, false: astiav.ColorRangeMpeg}
	f, value := noise(t, 512, 256, astiav.PixelFormatYuv444P, 8)
	for matrix, space := range spaces {
		for full, span := range ranges {
			f.SetColorSpace(space)
			f.SetColorRange(span)
			got, _, _ := rendered(t, newTestRenderer(t), f, rawOf(PixelRGB24, Resize{}))
			c := colorimetry{matrix, full}
			black, luma, chroma := c.levels()
			blue, red, greenU, greenV := c.chroma()
			for i := range 512 * 256 {
				y := (float64(value(0, i%512, i/512)) - black) * 255 / luma
				u := (float64(value(1, i%512, i/512)) - 128) * 255 / chroma
				v := (float64(value(2, i%512, i/512)) - 128) * 255 / chroma
				for k, want := range [3]float64{y + red*v, y + greenU*u + greenV*v, y + blue*u} {
					// Half a level is rounding, the rest is fixed point.
					if d := float64(got[3*i+k]) - min(max(want, 0), 255); d < -0.56 || d > 0.56 {
						t.Fatalf("%s full %v: component %d is %d, want %.3f", matrix, full, k, got[3*i+k], want)
					}
				}
			}
		}
	}
}
